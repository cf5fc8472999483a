//! Headers, and the assets that may be cached.

use crate::support::http::request;
use crate::support::site::{Site, fresh_broker};

const PATHS: [&str; 12] = [
    "/",
    "/jobs/0193a7c2b5e07d4e8a1f3c5d7e9b1a00",
    "/tasks/xyz",
    "/find?id=0193a7c2b5e07d4e8a1f3c5d7e9b1a00",
    "/nowhere",
    "/api/v1/overview",
    "/api/v1/tasks/xyz",
    "/api/nowhere",
    "/healthz",
    "/readyz",
    "/metrics",
    "/assets/x/monitor.css",
];

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let site = Site::start(fresh_broker().await).await;
    for path in PATHS {
        let answer = site.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
            "{path}: {policy}"
        );
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{path}: {policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
        assert_ne!(answer.header("cache-control"), "", "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_refused() {
    let site = Site::start(fresh_broker().await).await;
    for path in ["/", "/metrics", "/events", "/api/v1/jobs"] {
        request(site.address, "POST", path, "").await.problem(403, "forbidden");
    }
    let head = request(site.address, "HEAD", "/", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn assets_are_kept_for_ever_under_the_name_of_their_content() {
    let site = Site::start(fresh_broker().await).await;
    let page = site.get("/").await.ok();
    let url = |name: &str| {
        let end = page.find(name).expect("the page uses it") + name.len();
        let start = page[..end].rfind('"').expect("in an attribute") + 1;
        page[start..end].to_owned()
    };
    for (name, kind) in [
        ("monitor.css", "text/css; charset=utf-8"),
        ("monitor.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let asset = site.get(&url(name)).await;
        assert_eq!(asset.status, 200);
        assert_eq!(asset.header("content-type"), kind);
        assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable");
        let tag = asset.header("etag").to_owned();
        assert!(tag.len() == 18 && tag.starts_with('"'), "{tag}");
        let condition = format!("if-none-match: {tag}\r\n");
        let again = request(site.address, "GET", &url(name), &condition).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""));
        let old = site.get(&format!("/assets/0123456789abcdef/{name}")).await;
        assert_eq!((old.status, old.header("cache-control")), (200, "no-cache"));
        assert_eq!(old.body, asset.body);
    }
    assert_eq!(site.get("/assets/x/secret").await.status, 404);
    assert_eq!(site.get("/assets/x/..%2f..%2fCargo.toml").await.status, 404);
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere() {
    let site = Site::start(fresh_broker().await).await;
    let page = site.get("/").await.ok();
    assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
    assert!(page.len() < 60_000, "{} bytes", page.len());
}
