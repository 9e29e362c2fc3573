//! The dashboard: files that are part of the program, so that it works without a build step and without a network.
//!
//! They hold no data, so anybody may have them; what they show they ask of the routes beside, with the viewer's token.

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;
use axum::routing::get;

use super::door::Door;

/// Nothing comes from elsewhere, nothing is sent elsewhere, and no other page shows it in a frame.
pub(super) const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of the folder `dashboard`, with what it is.
macro_rules! files {
    ($($name:literal: $kind:ident),+ $(,)?) => {
        &[$((
            concat!("/dashboard/", $name),
            $kind,
            include_str!(concat!("../../dashboard/", $name)),
        )),+]
    };
}

/// The page.
pub(super) const PAGE: &str = include_str!("../../dashboard/index.html");

/// Where each file is served, what it is, and what is in it.
pub(super) const FILES: &[(&str, &str, &str)] = files! {
    "icon.svg": SVG,
    "base.css": CSS,
    "parts.css": CSS,
    "main.js": SCRIPT,
    "api.js": SCRIPT,
    "metrics.js": SCRIPT,
    "health.js": SCRIPT,
    "dom.js": SCRIPT,
    "format.js": SCRIPT,
    "nodes.js": SCRIPT,
    "spark.js": SCRIPT,
    "ring.js": SCRIPT,
    "members.js": SCRIPT,
    "load.js": SCRIPT,
    "repair.js": SCRIPT,
    "inspector.js": SCRIPT,
};

/// Adds the dashboard to what is served.
pub(super) fn add_to(mut router: Router<Door>) -> Router<Door> {
    for path in ["/", "/dashboard", "/dashboard/"] {
        router = router.route(path, get(|| async { file(HTML, PAGE) }));
    }
    for &(path, kind, text) in FILES {
        router = router.route(path, get(move || async move { file(kind, text) }));
    }
    router
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        // Another version of the program has other files.
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, text)
}
