//! The rule files of a directory, with the tests beside them, read in one order everywhere.
//!
//! The only place of this room that touches the disk, and only to read: all that is decided about a file is decided in
//! `file` and `check`, from its text.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{case, exceptions, file::RuleFile, lists};
use crate::model::diagnostic::Diagnostic;

/// Directories under `rules/` that hold other things than rules.
const OTHER_DIRS: [&str; 3] = ["feeds", "lists", "schema"];
/// Files under `rules/` that are no rules.
const OTHER_FILES: [&str; 3] = ["exceptions", "overrides", "defaults"];

/// All rules under `dir`, in the order of their paths, and the findings about their structure.
#[must_use]
pub fn load_dir(dir: &Path) -> (Vec<RuleFile>, Vec<Diagnostic>) {
    match rule_paths(dir) {
        Ok(paths) => load(&paths),
        Err(e) => (Vec::new(), vec![unreadable(dir, &e)]),
    }
}

/// The rules in these files, each with the tests in files beside it.
#[must_use]
pub fn load(paths: &[PathBuf]) -> (Vec<RuleFile>, Vec<Diagnostic>) {
    let (mut rules, mut findings) = (Vec::new(), Vec::new());
    let (mut lists, mut exceptions) = (lists::Cache::default(), exceptions::Cache::default());
    let mut beside: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for path in paths {
        let cases = beside.entry(dir_of(path)).or_insert_with_key(|dir| {
            let cases = case_paths(dir);
            findings.extend(cases.iter().filter_map(|case| stray(case)));
            cases
        });
        match fs::read_to_string(path) {
            Ok(source) => {
                let (rule, found) = RuleFile::parse(path, &source);
                findings.extend(found);
                rules.extend(rule.map(|mut rule| {
                    (rule.lists, rule.exceptions) = (lists.of(path), exceptions.of(path));
                    let cases = cases.iter().filter(|case| is_of(case, path));
                    cases.for_each(|case| add_case(&mut rule, case, &mut findings));
                    rule
                }));
            }
            Err(e) => findings.push(unreadable(path, &e)),
        }
    }
    findings.extend(lists.findings);
    findings.extend(exceptions.findings);
    (rules, findings)
}

/// Whether `path` is the rule file `rule` or a test beside it.
#[must_use]
pub fn is_of(path: &Path, rule: &Path) -> bool {
    path == rule || (dir_of(path) == dir_of(rule) && case_name(path, rule).is_some())
}

fn case_name<'a>(path: &'a Path, rule: &Path) -> Option<&'a str> {
    case::name_of(rule.file_stem()?.to_str()?, path.file_name()?.to_str()?)
}

fn add_case(rule: &mut RuleFile, path: &Path, findings: &mut Vec<Diagnostic>) {
    let name = case_name(path, &rule.path).unwrap_or_default();
    match fs::read_to_string(path).map(|source| case::read(path, &source, name)) {
        Ok(Ok(case)) => rule.tests.push(case),
        Ok(Err(found)) => findings.extend(found),
        Err(e) => findings.push(unreadable(path, &e)),
    }
}

/// Files of tests in a directory, sorted.
fn case_paths(dir: &Path) -> Vec<PathBuf> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let is_case = |name: &str| name.ends_with(".ndjson") && !name.starts_with('.');
    let mut out: Vec<PathBuf> = entries
        .filter_map(|entry| Some(PathBuf::from(entry.ok()?.file_name())))
        .filter(|name| name.to_str().is_some_and(is_case))
        .map(|name| if dir == Path::new(".") { name } else { dir.join(name) })
        .collect();
    out.sort();
    out
}

/// A test that stands beside no rule of its name would never run.
fn stray(case: &Path) -> Option<Diagnostic> {
    let (name, dir) = (case.file_name()?.to_str()?, dir_of(case));
    let rule = name.split_once('.')?.0;
    if ["yaml", "yml"].iter().any(|e| dir.join(format!("{rule}.{e}")).is_file()) {
        return None;
    }
    let message = format!("there is no rule {rule:?} beside this test, it never runs");
    let finding = Diagnostic::error("rule::stray_case", 0..0, message);
    Some(Diagnostic { file: case.to_owned(), ..finding })
}

fn dir_of(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

/// Paths of the rule files under `path`, sorted; `path` itself if it is a file.
///
/// # Errors
/// When `path` or a directory under it cannot be read.
pub fn rule_paths(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    if fs::metadata(path)?.is_file() {
        out.push(path.to_owned());
    } else {
        collect(path, &mut out)?;
    }
    out.sort();
    Ok(out)
}

fn collect(dir: &Path, out: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let extension = path.extension().and_then(|s| s.to_str());
        if path.is_dir() {
            if !OTHER_DIRS.contains(&stem) && !stem.starts_with('.') {
                collect(&path, out)?;
            }
        } else if matches!(extension, Some("yaml" | "yml")) && !OTHER_FILES.contains(&stem) {
            out.push(path);
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let message = format!("cannot be read: {error}");
    Diagnostic { file: path.to_owned(), ..Diagnostic::error("rule::unreadable", 0..0, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_in_path_order_without_what_is_no_rule() {
        let dir = tempfile::tempdir().expect("a directory");
        let rule =
            |id: &str| format!("rule: {id}\ntitle: 甲\nkind: instant\nfeed: f\nseverity: low\n");
        for (path, text) in [
            ("food/b.yaml", rule("b")),
            ("food/a.yml", rule("a")),
            ("z.yaml", "rule: [".into()),
            ("feeds/f.yaml", "feed: f".into()),
            ("exceptions.yaml", "exceptions: []".into()),
            ("food/notes.txt", "x".into()),
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("has one")).expect("made");
            fs::write(path, text).expect("written");
        }
        let (rules, findings) = load_dir(dir.path());
        assert_eq!(rules.iter().map(|r| r.id.value.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(findings.iter().map(|d| d.code).collect::<Vec<_>>(), ["yaml::syntax"]);
        assert_eq!(load_dir(&dir.path().join("nowhere")).1[0].code, "rule::unreadable");
    }

    #[test]
    fn tests_beside_a_rule_are_its_own_and_strays_are_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let rule =
            |id: &str| format!("rule: {id}\ntitle: 甲\nkind: instant\nfeed: f\nseverity: low\n");
        for (path, text) in [
            ("a.yaml", rule("a")),
            ("a_b.yaml", rule("a_b")),
            ("a.two.ndjson", "{\"until\": \"2026-03-08\"}".into()),
            ("a.one.ndjson", "{\"until\": \"2026-03-08\"}".into()),
            ("a_b.bad.ndjson", "{}".into()),
            ("c.one.ndjson", String::new()),
        ] {
            fs::write(dir.path().join(path), text).expect("written");
        }
        let (rules, findings) = load_dir(dir.path());
        let names = |r: &RuleFile| r.tests.iter().map(|t| t.name.value.clone()).collect::<Vec<_>>();
        assert_eq!(rules.iter().map(names).collect::<Vec<_>>(), [vec!["one", "two"], vec![]]);
        let found: Vec<_> = findings.iter().map(|d| (d.code, d.file.file_name())).collect();
        let file = |name: &'static str| Some(std::ffi::OsStr::new(name));
        assert_eq!(
            found,
            [
                ("rule::stray_case", file("c.one.ndjson")),
                ("test::bad_line", file("a_b.bad.ndjson")),
                ("test::no_until", file("a_b.bad.ndjson")),
            ]
        );
    }
}
