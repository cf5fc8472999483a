# One image for every role: `celeriac worker` (the default), `monitor`, `enqueue`, …
# Build: docker build -t celeriac .

ARG RUST=1.95
ARG DEBIAN=trixie

# The workspace without its code: manifests, the lock file, and an empty program in the
# place of every crate root, example and test that a manifest may name. What comes out
# changes when dependencies change or such a file comes or goes, and not otherwise.
FROM debian:${DEBIAN}-slim AS manifests
WORKDIR /src
COPY . .
RUN find . -type f ! -name 'Cargo.*' ! -name '*.rs' -delete \
    && find . -path '*/src/*' ! -path '*/src/bin/*' -name '*.rs' ! -name lib.rs ! -name main.rs -delete \
    && find . -name '*.rs' | while read -r file; do echo 'fn main() {}' > "$file"; done

FROM rust:${RUST}-slim-${DEBIAN} AS build
WORKDIR /src
# For a small image; the names of functions stay for backtraces.
ENV CARGO_PROFILE_RELEASE_STRIP=debuginfo
# The dependencies: a layer of its own, taken from the cache while `manifests` is the same.
COPY --from=manifests /src .
RUN cargo build --release --locked -p celeriac-cli
# The code. Its files are older than what was just built in their place, and cargo goes
# by time: without `touch` it would keep the empty programs.
COPY . .
RUN find . -path ./target -prune -o -name '*.rs' -exec touch {} + \
    && cargo build --release --locked -p celeriac-cli

FROM debian:${DEBIAN}-slim
LABEL org.opencontainers.image.title="celeriac" \
      org.opencontainers.image.description="A persistent, distributed task queue on Redis" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
# A number, so that Kubernetes can tell that it is not root. It owns no file and needs none.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent \
    --shell /usr/sbin/nologin celeriac
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/celeriac/
COPY --from=build /src/target/release/celeriac /usr/local/bin/celeriac
USER 10001:10001
EXPOSE 5555
# Runs as process 1 and handles SIGTERM itself: `docker stop` drains a worker. Give it more
# time than the drain time-out (25 s): docker stop --timeout 35.
ENTRYPOINT ["celeriac"]
CMD ["worker"]
