//! The guides for authors: their rules run, and their tables name what the program has.

use std::{collections::BTreeSet, fs, path::Path};

use forewarn::rule::{file::Kind, house};

use crate::program::{copy, forewarn, says};

const GUIDES: [&str; 2] = ["docs/rules.md", "docs/rules.zh.md"];

/// Families of findings that the guides explain; those about feeds and configuration are the operator's.
const FAMILIES: [&str; 6] = ["yaml", "rule", "list", "exception", "test", "hygiene"];

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The rules that a guide shows.
fn rules(guide: &str) -> Vec<String> {
    let text = fs::read_to_string(repository(guide)).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    blocks.map(|b| b.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_rule_shown_passes_check_and_test() {
    for guide in GUIDES {
        let home = tempfile::tempdir().unwrap();
        for part in ["feeds", "lists"] {
            copy(&repository("rules").join(part), &home.path().join("rules").join(part));
        }
        let mut kinds = BTreeSet::new();
        for rule in rules(guide) {
            let field = |name: &str| {
                let line = rule.lines().find_map(|l| l.strip_prefix(name)).unwrap();
                line.trim().to_owned()
            };
            kinds.insert(field("kind:"));
            let path = home.path().join("rules").join(format!("{}.yaml", field("rule:")));
            fs::write(path, &rule).unwrap();
        }
        assert_eq!(kinds, Kind::ALL.map(|k| k.word().to_owned()).into(), "{guide}");
        let checked = forewarn(home.path(), &["check", "rules"]);
        assert!(says(&checked).ends_with("0 errors, 0 warnings\n"), "{guide}: {}", says(&checked));
        let tested = forewarn(home.path(), &["test", "rules"]);
        let told = says(&tested);
        let all = format!("\n{} passed, 0 failed", 2 * rules(guide).len());
        assert!(told.contains(&all), "{guide}: {told}");
    }
}

/// The codes that the program gives findings.
fn codes(dir: &Path, out: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes(&path, out);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        for literal in text.split('"') {
            let Some((family, name)) = literal.split_once("::") else { continue };
            let word = |w: &str| {
                w.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
            };
            if FAMILIES.contains(&family) && !name.is_empty() && word(name) {
                out.insert(literal.to_owned());
            }
        }
    }
}

#[test]
fn every_code_is_in_the_table_and_nothing_else() {
    let mut known = BTreeSet::new();
    codes(&repository("src"), &mut known);
    assert!(known.len() > 60, "{known:?}");
    for guide in GUIDES {
        let text = fs::read_to_string(repository(guide)).unwrap();
        let rows = text.lines().filter_map(|l| l.strip_prefix("| `")?.split('`').next());
        let told: BTreeSet<String> = rows.filter(|c| c.contains("::")).map(str::to_owned).collect();
        let missing: Vec<_> = known.difference(&told).collect();
        let unknown: Vec<_> = told.difference(&known).collect();
        assert!(missing.is_empty() && unknown.is_empty(), "{guide}: {missing:?} {unknown:?}");
    }
}

#[test]
fn every_house_function_is_explained() {
    for guide in GUIDES {
        let text = fs::read_to_string(repository(guide)).unwrap();
        let missing: Vec<_> =
            house::NAMES.iter().filter(|name| !text.contains(&format!("| `{name}("))).collect();
        assert!(missing.is_empty(), "{guide}: {missing:?}");
    }
}
