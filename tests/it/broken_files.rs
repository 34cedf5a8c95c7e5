//! Rule files broken in any way: reading and checking never panic, and every finding lies inside its file.

use std::path::Path;

use forewarn::{
    model::{
        diagnostic::Diagnostic,
        schema::{Column, ColumnType, FeedSchema},
        yaml::Node,
    },
    rule::{
        check::{FeedFacts, check},
        file::RuleFile,
    },
};
use proptest::prelude::*;

const RULE: &str = include_str!("../diagnostics/many_at_once.yaml");
const MENDED: &str = include_str!("../../rules/complaints/complaint_surge_business.yaml");

fn feed() -> FeedSchema {
    let column = Column::new;
    FeedSchema::new(
        "complaints",
        vec![
            column("registered_at", ColumnType::Timestamp),
            column("ucc", ColumnType::Ucc),
            column("kind", ColumnType::Text),
            column("channel", ColumnType::Text),
            column("complainant", ColumnType::Text),
            column("complainant_hash", ColumnType::Text),
            column("duplicate_of", ColumnType::Text),
            column("region", ColumnType::Region),
        ],
        0,
    )
}

fn findings(source: &str) -> Vec<Diagnostic> {
    let feed = feed();
    let (rule, mut findings) = RuleFile::parse(Path::new("rules/many_at_once.yaml"), source);
    findings.extend(check(rule.as_slice(), &[FeedFacts::new(&feed)]));
    findings
}

/// Text that YAML or SQL gives a meaning to, and text in three widths of UTF-8.
fn fragment() -> impl Strategy<Value = String> {
    const SHARP: [&str; 52] = [
        "{",
        "}",
        "[",
        "]",
        "'",
        "\"",
        "\\",
        ":",
        ": ",
        ",",
        "#",
        " #",
        "-",
        "\n",
        "\n  ",
        "\n- ",
        "\r\n",
        "\t",
        "|",
        ">",
        "&a ",
        "*a",
        "!",
        "%",
        "---\n",
        "(",
        ")",
        "$",
        "$min",
        "n / 0",
        " as ",
        "is distinct from ",
        "--",
        "'' ''",
        "~",
        "on",
        "：",
        "（",
        "投诉",
        "é",
        "𝄞",
        "\u{feff}",
        "\0",
        "usual.",
        "..",
        "{n",
        "{{",
        "1e999",
        "99999999999999999999",
        "count(*)",
        "over ()",
        "select 1",
    ];
    prop_oneof![4 => proptest::sample::select(&SHARP[..]).prop_map(str::to_owned), 1 => "\\PC{0,4}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn broken_rules_give_findings_inside_the_file(
        mended in any::<bool>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..12, fragment()), 1..4),
    ) {
        let mut chars: Vec<char> = if mended { MENDED } else { RULE }.chars().collect();
        for (at, cut, insert) in edits {
            let from = at.index(chars.len() + 1);
            let to = (from + cut).min(chars.len());
            chars.splice(from..to, insert.chars());
        }
        let source: String = chars.into_iter().collect();
        for finding in findings(&source) {
            prop_assert!(
                source.get(finding.span.clone()).is_some(),
                "{} at {:?} of {}: {source}", finding.code, finding.span, source.len()
            );
            prop_assert!(!finding.message.is_empty());
        }
    }

    /// Whatever stands in a quoted scalar, each of its characters is found again in the file.
    #[test]
    fn quoted_texts_map_back(text in "[a-z投诉é𝄞'\"\\\\\n\t ]{0,24}") {
        let json = serde_json::Value::from(text.as_str()).to_string();
        let source = format!("{{名: 甲, k: {json}}}");
        let node = Node::parse(&source).map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
        if let Some(sql) = node.get("k").and_then(Node::sql) {
            prop_assert_eq!(&sql.text, &text);
            for (i, c) in text.char_indices().filter(|(_, c)| !"\"\\\n\t".contains(*c)) {
                let at = sql.file_span(i..i + c.len_utf8());
                prop_assert_eq!(source.get(at), text.get(i..i + c.len_utf8()), "{:?}", sql.map);
            }
        }
    }
}

#[test]
fn rules_are_checked_wherever_they_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    std::fs::create_dir_all(rules.join("feeds")).unwrap();
    std::fs::write(rules.join("feeds/f.yaml"), "feed: f\ntitle: {zh: 甲, en: F}\nevent_time: at\ncolumns:\n  at: timestamp\n  firm: text\n").unwrap();
    // Compiles, and can never fire.
    let rule = "rule: never\ntitle: {zh: 乙, en: Never}\nkind: window\nfeed: f\nkey: [firm]\nwindow: {tumbling: 1d}\nmeasures: {n: count(*)}\nwhen: n >= 3 and 1 = 2\nseverity: low\n";
    std::fs::write(rules.join("never.yaml"), rule).unwrap();
    std::fs::write(dir.path().join("f.ndjson"), "").unwrap();
    let forewarn = |args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_forewarn"))
            .current_dir(dir.path())
            .args(args)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, report) = {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_forewarn"))
            .current_dir(dir.path())
            .args(["check", "--rules", "rules"])
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(code, Some(1));
    // All findings but the last line, which counts files.
    let (findings, _) = report.trim_end().rsplit_once('\n').unwrap();
    assert!(findings.contains("rule::impossible") && findings.contains("never.yaml:8"), "{report}");
    for args in [
        &["replay", "--input", "f=f.ndjson", "--out", "out"][..],
        &["run", "--listen", "127.0.0.1:0"],
        &["explain", "A-1", "--data", "data"],
    ] {
        let (code, said) = forewarn(args);
        assert!(said.contains(findings), "{args:?}: {said}\ncheck: {report}");
        assert_eq!(code, Some(2), "{args:?}: {said}");
    }
    let (code, said) = forewarn(&["test", "rules"]);
    assert!(said.contains("rule::impossible"), "{said}");
    assert_eq!(code, Some(1), "{said}");
    // What is owed to readers stops `check` alone; it is told, each with its place.
    std::fs::write(rules.join("never.yaml"), rule.replace(" and 1 = 2", "")).unwrap();
    let (code, said) = forewarn(&["replay", "--input", "f=f.ndjson", "--out", "out"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("warning: rules/never.yaml:1: "), "{said}");
    assert!(said.contains("do not stop the rules"), "{said}");
}
