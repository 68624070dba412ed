//! The web page, from the binary: `/` and the files it loads. Owns how they are served; what they do is theirs, in `assets`.
//!
//! The files stand under a name for all of them together, the *edition*, so that a browser keeps them for good and never mixes
//! those of two builds.

mod files;

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use orderly_http::ProblemResponse;
use orderly_protocol::ProblemCode;
use sha2::{Digest, Sha256};

use crate::etag;
use files::{FILES, INDEX};

/// Nothing but what this origin serves, no text as markup, in nobody's frame. `form-action` keeps a key out of every URL, should
/// the script that reads the form not have been loaded.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// On everything here.
const PROTECTION: [(HeaderName, &str); 5] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// What stands in the index for the path of the files.
const PLACE: &str = "{{assets}}";

/// Digits of the edition: two builds never share 64 bits of SHA-256.
const EDITION_BYTES: usize = 8;

struct Index {
    html: String,
    edition: String,
    etag: String,
}

static BUILT: LazyLock<Index> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    hash.update(INDEX);
    for file in FILES {
        // The name ends, and the length stands before the content: no two sets of files are the same bytes.
        hash.update(file.name);
        hash.update([0]);
        hash.update(file.content.len().to_be_bytes());
        hash.update(file.content);
    }
    let mut edition = String::new();
    for byte in &hash.finalize()[..EDITION_BYTES] {
        write!(edition, "{byte:02x}").expect("writing to a string does not fail");
    }
    Index {
        html: INDEX.replace(PLACE, &format!("/assets/{edition}")),
        etag: format!("\"{edition}\""),
        edition,
    }
});

/// `GET /`. It names the files, so it is asked for again each time.
pub(crate) async fn index(headers: HeaderMap) -> Response {
    let caching = "no-cache";
    if etag::matches(&headers, &BUILT.etag) {
        return serve(StatusCode::NOT_MODIFIED, caching, ());
    }
    let html = [(CONTENT_TYPE, "text/html; charset=utf-8")];
    serve(StatusCode::OK, caching, (html, BUILT.html.as_str()))
}

/// `GET /assets/{edition}/{file}`.
pub(crate) async fn asset(
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    // What is not UTF-8 names no file either.
    let (edition, name) = path.map_or_else(|_| Default::default(), |Path(parts)| parts);
    let file = FILES.iter().find(|file| file.name == name);
    let Some(file) = file.filter(|_| edition == BUILT.edition) else {
        let problem = ProblemResponse::new(
            ProblemCode::NotFound,
            "this build of the page has no such file; load the page again",
        );
        return serve(StatusCode::NOT_FOUND, "no-store", problem);
    };
    let caching = "public, max-age=31536000, immutable";
    if etag::matches(&headers, &BUILT.etag) {
        return serve(StatusCode::NOT_MODIFIED, caching, ());
    }
    let content = [(CONTENT_TYPE, file.content_type())];
    serve(StatusCode::OK, caching, (content, file.content))
}

fn serve(status: StatusCode, caching: &'static str, content: impl IntoResponse) -> Response {
    let mut response = content.into_response();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in PROTECTION {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    if status != StatusCode::NOT_FOUND {
        let etag = HeaderValue::from_str(&BUILT.etag).expect("hex digits in quotes");
        headers.insert(ETAG, etag);
    }
    response
}
