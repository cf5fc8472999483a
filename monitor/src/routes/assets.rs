//! Stylesheet, script and icon: part of the program, served under a path that changes with
//! their content, so that a browser may keep them for ever and never has an old one.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::error::Problem;

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

/// An asset under the name of its file.
macro_rules! asset {
    ($name:literal, $kind:expr) => {
        Asset { name: $name, kind: $kind, content: include_str!(concat!("../../assets/", $name)) }
    };
}

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: [Asset; 7] = [
    asset!("monitor.css", CSS),
    asset!("monitor.js", SCRIPT),
    asset!("api.css", CSS),
    asset!("api.js", SCRIPT),
    asset!("keys.js", SCRIPT),
    asset!("theme.js", SCRIPT),
    asset!("icon.svg", "image/svg+xml"),
];

static BUILD: LazyLock<String> = LazyLock::new(|| {
    let bytes = ASSETS.iter().flat_map(|asset| asset.content.bytes());
    format!("{:016x}", bytes.fold(FNV_OFFSET, fnv))
});

/// Names the content of all assets together.
pub(crate) fn build() -> &'static str {
    &BUILD
}

/// Where an asset is.
pub(crate) fn url(name: &str) -> String {
    format!("/assets/{}/{name}", build())
}

/// A page from before an update asks for assets of another build; it gets the present ones, but
/// may not keep them under that name.
pub(super) async fn asset(
    Path((build_asked, name)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return Problem::no_such_page(uri.path()).into_response();
    };
    let cache =
        if build_asked == build() { "public, max-age=31536000, immutable" } else { "no-cache" };
    let tag = format!("\"{:016x}\"", asset.content.bytes().fold(FNV_OFFSET, fnv));
    let cached =
        headers.get(header::IF_NONE_MATCH).is_some_and(|tags| tags.as_bytes() == tag.as_bytes());
    let tag = HeaderValue::try_from(tag).expect("hex digits in quotes");
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        (header::ETAG, tag),
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
    ];
    if cached {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        (headers, asset.content).into_response()
    }
}

/// FNV-1a (Fowler, Noll, Vo): tells contents apart; it need not withstand anybody.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}
