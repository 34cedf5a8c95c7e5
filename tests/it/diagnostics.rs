//! What `forewarn check` prints about broken rules: one file under `tests/diagnostics` for every code, its report as a
//! snapshot beside it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The day on which a case is checked, where it does not name another: `# on: 2026-12-15`.
const DAY: &str = "2026-06-01";

/// Runs `forewarn check` on a case, with the feeds beside it and no other rules.
fn check(case: &Path, format: &str) -> Output {
    let text = fs::read_to_string(root().join(case)).unwrap_or_default();
    let day = text.lines().next().and_then(|line| line.strip_prefix("# on: ")).unwrap_or(DAY);
    Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .current_dir(root())
        .args(["check", "--rules", "tests/diagnostics/none", "--format", format, "--on", day])
        .arg(case)
        .env("NO_COLOR", "1")
        .output()
        .expect("the binary runs")
}

/// Broken files, and directories of them, as paths from the repository's root.
fn cases() -> Vec<PathBuf> {
    let dir = Path::new("tests/diagnostics");
    let mut out: Vec<PathBuf> = fs::read_dir(root().join(dir))
        .expect("the cases")
        .map(|e| dir.join(e.expect("an entry").file_name()))
        .filter(|p| !p.ends_with("feeds") && !p.ends_with("reports"))
        .collect();
    out.sort();
    out
}

fn stem(case: &Path) -> &str {
    case.file_stem().and_then(|s| s.to_str()).expect("a name")
}

#[test]
fn reports() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("tests/diagnostics/reports"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();
    let cases = cases();
    assert!(cases.len() > 40, "{cases:?}");
    for case in cases {
        let output = check(&case, "human");
        let report = String::from_utf8(output.stdout).expect("UTF-8");
        let errors = !report.contains(" 0 errors");
        assert_eq!(output.status.code(), Some(i32::from(errors)), "{}: {report}", case.display());
        insta::assert_snapshot!(stem(&case), report);
    }
}

/// A new code without a broken file to show it fails here.
#[test]
fn every_code_has_a_case() {
    let mut codes = BTreeSet::new();
    let mut dirs = vec![root().join("src/rule"), root().join("src/model")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).expect("a directory").map(|e| e.expect("an entry").path()) {
            if entry.is_dir() {
                dirs.push(entry);
                continue;
            }
            let text = fs::read_to_string(&entry).expect("text");
            for quoted in text.split('"') {
                let code =
                    ["rule::", "yaml::", "list::"].iter().find_map(|r| quoted.strip_prefix(r));
                if code.is_some_and(|c| {
                    !c.is_empty()
                        && c.bytes()
                            .all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
                }) {
                    codes.insert(quoted.to_owned());
                }
            }
        }
    }
    // A file that cannot be read has no text to show, a test without a rule no rule; `load` has tests of both.
    codes.remove("rule::unreadable");
    codes.remove("rule::stray_case");
    // Two files of one list, an unreadable one and a huge one are made in the tests of `rule/lists`.
    for code in ["list::unreadable", "list::twice", "list::too_large", "list::empty"] {
        codes.remove(code);
    }
    let mut shown = BTreeSet::new();
    for case in cases() {
        let report: Value = serde_json::from_slice(&check(&case, "json").stdout).expect("JSON");
        let findings = report["findings"].as_array().expect("findings");
        shown.extend(findings.iter().filter_map(|f| f["code"].as_str()).map(str::to_owned));
    }
    let missing: Vec<_> = codes.difference(&shown).collect();
    assert!(codes.len() > 40 && missing.is_empty(), "no case for {missing:?}");
}

#[test]
fn json_counts_characters_and_bytes() {
    let output = check(Path::new("tests/diagnostics/unknown_column.yaml"), "json");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let finding = &report["findings"][0];
    assert_eq!(finding["code"], "rule::unknown_column");
    // where: channel = '电话' and knid = 'TS'
    assert_eq!((finding["line"].as_u64(), finding["column"].as_u64()), (Some(5), Some(27)));
    let text =
        fs::read_to_string(root().join("tests/diagnostics/unknown_column.yaml")).expect("text");
    let bytes = |i: usize| finding["bytes"][i].as_u64().expect("an offset") as usize;
    assert_eq!(&text[bytes(0)..bytes(1)], "knid");
}

#[test]
fn sarif_has_what_code_hosts_require() {
    let output = check(Path::new("tests/diagnostics/many_at_once.yaml"), "sarif");
    let log: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "forewarn");
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let results = run["results"].as_array().expect("results");
    assert!(results.len() >= 5, "{results:?}");
    for result in results {
        let index = result["ruleIndex"].as_u64().expect("an index") as usize;
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["error", "warning"].contains(&result["level"].as_str().expect("a level")));
        assert!(!result["message"]["text"].as_str().expect("a text").is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "tests/diagnostics/many_at_once.yaml");
        let number = |key: &str| place["region"][key].as_u64().expect("a number");
        let (from, to) = (
            (number("startLine"), number("startColumn")),
            (number("endLine"), number("endColumn")),
        );
        assert!(from >= (1, 1) && from <= to, "{place}");
    }
}

#[test]
fn committed_schemas_are_those_of_the_code() {
    for (name, schema) in
        [("rule", forewarn::rule::json_schema()), ("feed", forewarn::feed::json_schema())]
    {
        let path = root().join(format!("rules/schema/{name}.schema.json"));
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == format!("{schema:#}\n"),
            "{} is stale: run `forewarn schema`",
            path.display()
        );
    }
}

#[test]
fn a_path_that_is_not_there_is_a_usage_error() {
    let output = check(Path::new("tests/diagnostics/nowhere.yaml"), "human");
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(error.contains("nowhere.yaml is not there"), "{error}");
}
