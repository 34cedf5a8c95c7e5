//! `forewarn dead-letters` over letters as the server stores them.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use forewarn::{
    model::{
        batch::{DeadClass, DeadLetter},
        secret::Secret,
    },
    store::dead_letters::DeadLetters,
};

const KEY: [u8; 32] = [7; 32];

fn letter(line: u64, class: DeadClass, raw: &str) -> DeadLetter {
    let message = format!("column \"at\": refused in line {line}");
    DeadLetter { line, class, message, raw: raw.as_bytes().to_vec() }
}

/// A data directory with three letters of complaints, which are sealed, and one of lifts.
fn data(dir: &Path) {
    fs::write(dir.join("local.key"), KEY).unwrap();
    let mut store = DeadLetters::new(dir, &Secret::new(KEY));
    let header = "编号,电话,日期\r\n";
    let rows = [
        letter(2, DeadClass::BadTime, &format!("{header}A1,13800138000,x\r\n")),
        letter(5, DeadClass::Late, &format!("{header}A2,13800138001,2020-01-01\r\n")),
        letter(9, DeadClass::BadTime, &format!("{header}A3,13800138002,y\r\n")),
    ];
    store.append("complaints", true, "day.csv", 1_772_668_800_000, &rows).unwrap();
    let lifts = [letter(1, DeadClass::Syntax, "{\"a\":")];
    store.append("lifts", false, "push", 1_772_755_200_000, &lifts).unwrap();
    store.sync().unwrap();
}

fn forewarn(data: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .arg("dead-letters")
        .args(args)
        .arg("--data")
        .arg(data)
        .output()
        .unwrap()
}

fn listed(data: &Path, args: &[&str]) -> usize {
    let args = [&["list", "--json"], args].concat();
    String::from_utf8(forewarn(data, &args).stdout).unwrap().lines().count()
}

#[test]
fn letters_are_listed_by_filter_and_never_show_their_bytes() {
    let dir = tempfile::tempdir().unwrap();
    data(dir.path());
    for (args, expect) in [
        (&[][..], 4),
        (&["--feed", "complaints"], 3),
        (&["--class", "bad_time"], 2),
        (&["--class", "bad_time", "--class", "late"], 3),
        (&["--feed", "lifts", "--class", "late"], 0),
        (&["--since", "2026-03-06"], 1),
        (&["--limit", "2"], 2),
        (&["--partition", "push"], 1),
    ] {
        assert_eq!(listed(dir.path(), args), expect, "{args:?}");
    }
    let told = forewarn(dir.path(), &["list"]);
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(text.contains("complaints day.csv:5 late: column \"at\": refused in line 5"), "{text}");
    assert!(!text.contains("138"), "{text}");
    let text = String::from_utf8(forewarn(dir.path(), &["list", "--raw"]).stdout).unwrap();
    assert!(text.contains("{\"a\":") && !text.contains("138"), "{text}");
    let stored = fs::read_to_string(dir.path().join("dead_letters/complaints.ndjson")).unwrap();
    assert!(!stored.contains("13800138000") && !stored.contains("MTM4MDAxMzgwMDA"), "{stored}");
}

#[test]
fn a_wrong_class_names_the_right_ones() {
    let dir = tempfile::tempdir().unwrap();
    data(dir.path());
    let told = forewarn(dir.path(), &["list", "--class", "badtime"]);
    assert_eq!(told.status.code(), Some(2));
    let text = String::from_utf8(told.stderr).unwrap();
    assert!(text.contains("bad_time, bad_ucc"), "{text}");
}

#[test]
fn written_letters_become_the_file_they_came_from_and_are_closed() {
    let dir = tempfile::tempdir().unwrap();
    data(dir.path());
    let out = dir.path().join("again");
    let args = ["replay", "--feed", "complaints", "--class", "bad_time", "--out"];
    let args: Vec<&str> = args.into_iter().chain(out.to_str()).collect();
    let told = forewarn(dir.path(), &args);
    assert_eq!(told.status.code(), Some(0), "{}", String::from_utf8_lossy(&told.stderr));
    assert_eq!(
        fs::read_to_string(out.join("complaints-1.csv")).unwrap().replace('\r', ""),
        "编号,电话,日期\nA1,13800138000,x\nA3,13800138002,y\n"
    );
    assert_eq!(listed(dir.path(), &["--feed", "complaints"]), 1);
    assert_eq!(listed(dir.path(), &["--feed", "complaints", "--all"]), 3);
}

#[test]
fn an_existing_file_is_not_overwritten_and_nothing_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    data(dir.path());
    let out = dir.path().join("again");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("complaints-1.csv"), "mine").unwrap();
    let told =
        forewarn(dir.path(), &["replay", "--feed", "complaints", "--out", out.to_str().unwrap()]);
    assert_eq!(told.status.code(), Some(2));
    assert_eq!(fs::read_to_string(out.join("complaints-1.csv")).unwrap(), "mine");
    assert_eq!(listed(dir.path(), &["--feed", "complaints"]), 3);
}
