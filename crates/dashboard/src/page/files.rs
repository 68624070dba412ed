//! The files of the page, as the build took them in. `assets/ORIGINS.json` says where each is from.

/// The page itself.
pub(super) const INDEX: &str = include_str!("../../assets/index.html");

/// A file that the page loads.
pub(super) struct File {
    pub(super) name: &'static str,
    pub(super) content: &'static str,
}

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(File { name: $name, content: include_str!(concat!("../../assets/", $name)) }),+]
    };
}

pub(super) const FILES: &[File] = files![
    "api.js",
    "app.js",
    "connection.js",
    "dom.js",
    "event-log.js",
    "event-stream.js",
    "failure.js",
    "favicon.svg",
    "feed.js",
    "format.js",
    "frames.js",
    "icons.js",
    "order.js",
    "order-view.js",
    "page.css",
    "session.js",
    "status.js",
    "stock.js",
    "timeline.js",
];

impl File {
    pub(super) fn content_type(&self) -> &'static str {
        match self.name.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        }
    }
}
