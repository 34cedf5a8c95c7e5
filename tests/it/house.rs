//! The house rules that a compiler does not keep: who may import whom, and where clocks, threads and sockets may be.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The rooms in the order of an event's walk, with the rooms each may import beside itself.
const MAY_IMPORT: [(&str, &[&str]); 13] = [
    ("model", &[]),
    ("source", &["model"]),
    ("decode", &["model"]),
    ("feed", &["model"]),
    ("pane", &["model"]),
    ("detect", &["model"]),
    ("rule", &["model", "pane", "detect"]),
    ("alert", &["model"]),
    ("sink", &["model"]),
    ("checkpoint", &["model"]),
    ("store", &["model"]),
    (
        "engine",
        &[
            "model",
            "source",
            "decode",
            "feed",
            "pane",
            "detect",
            "rule",
            "alert",
            "sink",
            "checkpoint",
            "store",
        ],
    ),
    ("api", &["model", "engine"]),
];

/// Rooms that are plain functions over batches: "now" is an argument, randomness a seed.
const PURE: [&str; 7] = ["model", "decode", "feed", "pane", "detect", "rule", "alert"];

/// What pure rooms do not touch.
const CLOCKS_AND_SOCKETS: [&str; 7] = [
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "tokio::",
    "std::net",
    "thread::sleep",
];

#[test]
fn rooms_import_only_whom_they_may() {
    let imports = imports_by_room();
    assert!(
        imports.contains_key("engine") && imports.contains_key("rule"),
        "no rooms found under src/"
    );
    for (room, whom) in &imports {
        println!("{room:10} ──▶ {}", whom.keys().cloned().collect::<Vec<_>>().join(" "));
    }
    let mut broken = Vec::new();
    for (room, whom) in &imports {
        let Some((_, may)) = MAY_IMPORT.iter().find(|(name, _)| name == room) else {
            broken.push(format!("src/{room} is not a room of the house"));
            continue;
        };
        for (other, places) in whom {
            if other != room && !may.contains(&other.as_str()) {
                broken.push(format!("{room} imports {other}: {}", places.join(", ")));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn pure_rooms_have_no_clock_and_no_socket() {
    let mut broken = Vec::new();
    for room in PURE {
        for file in files_of(room) {
            for (number, line) in code_of(&file).lines().enumerate() {
                for word in CLOCKS_AND_SOCKETS.iter().filter(|w| line.contains(**w)) {
                    broken.push(format!("{}:{}: {word}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "time is an argument in these rooms:\n{}", broken.join("\n"));
}

#[test]
fn imports_are_read_in_every_form() {
    for (text, rooms) in [
        ("use crate::model::time::Zone;", vec!["model"]),
        (
            "use crate::{\n    model::{time, window},\n    rule::file::RuleFile,\n};",
            vec!["model", "rule"],
        ),
        ("fn f() -> crate::pane::Store { crate :: alert::new() }", vec!["pane"]),
        ("// use crate::api::Server;\nuse std::io;", vec![]),
        ("use crate::{feed, model::{a::{b, c}, d}, store};", vec!["feed", "model", "store"]),
    ] {
        assert_eq!(rooms_named(&without_comments(text)), rooms, "{text}");
    }
}

/// Room → the rooms it names after `crate::` → the files that do.
fn imports_by_room() -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let mut out: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for entry in fs::read_dir(src()).unwrap() {
        let path = entry.unwrap().path();
        let Some(room) = path.file_name().and_then(|n| n.to_str()).filter(|_| path.is_dir()) else {
            continue;
        };
        if room == "cli" {
            continue; // Hangs below main.rs, in the binary; there `crate` is the binary.
        }
        let whom = out.entry(room.to_owned()).or_default();
        for file in files_of(room) {
            let places = file.strip_prefix(src()).unwrap().display().to_string();
            for other in rooms_named(&code_of(&file)) {
                whom.entry(other).or_default().push(places.clone());
            }
        }
    }
    out
}

/// The first path segments behind `crate::` in a text without comments, sorted, each once.
fn rooms_named(code: &str) -> Vec<String> {
    let mut out = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let behind = code[at + "crate::".len()..].trim_start();
        match behind.strip_prefix('{') {
            Some(group) => out.extend(heads_of_group(group)),
            None => out.extend(head(behind)),
        }
    }
    out.into_iter().collect()
}

/// The heads of `a::b, c::{d, e}, f}` up to the closing brace.
fn heads_of_group(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut out) = (0, 0, Vec::new());
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                out.extend(head(group[start..i].trim_start()));
                return out;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                out.extend(head(group[start..i].trim_start()));
                start = i + 1;
            }
            _ => {}
        }
    }
    out
}

fn head(path: &str) -> Option<String> {
    let name: String = path.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
    // `crate::Name` is an item of lib.rs, not a room.
    (!name.is_empty()).then_some(name)
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All Rust files of a room; none if there is no such room yet.
fn files_of(room: &str) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut open = vec![src().join(room)];
    while let Some(dir) = open.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    out.sort();
    out
}

fn code_of(file: &Path) -> String {
    without_comments(&fs::read_to_string(file).unwrap())
}

/// The text with line comments blanked; good enough here because no string of ours holds `//` and `crate::` both.
fn without_comments(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or(""));
    lines.collect::<Vec<_>>().join("\n")
}
