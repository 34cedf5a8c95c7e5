//! Assets: style sheet, scripts and icon, inside the binary.
//!
//! Each address has a hash over all of them, so that browsers may keep what they have for ever and never mix two versions;
//! modules import each other by name, below the same hash.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::api::problem::Problem;

/// Where assets are served.
pub(super) const ROUTE: &str = "/assets/{hash}/{name}";
/// How long a browser may keep them.
const FOREVER: &str = "public, max-age=31536000, immutable";

const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const ICON: &str = "image/svg+xml";

/// Name, kind, content.
const FILES: [(&str, &str, &str); 7] = [
    (
        "console.css",
        STYLE,
        concat!(include_str!("assets/console.css"), include_str!("assets/pages.css")),
    ),
    ("console.js", SCRIPT, include_str!("assets/console.js")),
    ("keys.js", SCRIPT, include_str!("assets/keys.js")),
    ("live.js", SCRIPT, include_str!("assets/live.js")),
    ("stream.js", SCRIPT, include_str!("assets/stream.js")),
    ("fetch.js", SCRIPT, include_str!("assets/fetch.js")),
    ("icon.svg", ICON, include_str!("assets/icon.svg")),
];

static HASH: LazyLock<String> = LazyLock::new(|| {
    let all: String = FILES.iter().map(|(name, _, text)| format!("{name}\0{text}\0")).collect();
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(all.as_bytes()))
});

/// The address of an asset.
pub(super) fn address(name: &str) -> String {
    debug_assert!(FILES.iter().any(|(known, ..)| *known == name), "there is no asset {name}");
    format!("/assets/{}/{name}", *HASH)
}

pub(super) async fn serve(Path((hash, name)): Path<(String, String)>) -> Response {
    let found = FILES.iter().find(|(known, ..)| *known == name).filter(|_| hash == *HASH);
    let Some((_, kind, text)) = found else {
        let detail = format!("there is no asset {name:?} of this version, load the page anew");
        return Problem::new(
            StatusCode::NOT_FOUND,
            "no-such-path",
            "There is no such path",
            detail,
        )
        .into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static(FOREVER)),
    ];
    (headers, *text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_keep_to_what_old_browsers_read_and_to_each_other() {
        for (name, kind, text) in FILES {
            if kind != SCRIPT {
                continue;
            }
            for newer in ["?.", "??", "replaceAll(", ".at(", "structuredClone", "||=", "&&="] {
                assert!(!text.contains(newer), "{name} has {newer}, newer than ES2019");
            }
            for line in text.lines().filter(|l| l.starts_with("import ")) {
                let from = line.rsplit('"').nth(1).unwrap().trim_start_matches("./");
                assert!(FILES.iter().any(|(known, ..)| *known == from), "{name}: {line}");
            }
        }
    }

    #[test]
    fn the_style_sheet_asks_nobody_else() {
        let style = FILES[0].2;
        assert!(
            !style.contains("url(") && !style.contains("@import"),
            "assets come from here only"
        );
    }
}
