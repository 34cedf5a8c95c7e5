//! The rule files of a directory, read in one order everywhere.
//!
//! The only place of this room that touches the disk, and only to read: all that is decided about a file is decided in
//! `file` and `check`, from its text.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::file::RuleFile;
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

/// The rules in these files.
#[must_use]
pub fn load(paths: &[PathBuf]) -> (Vec<RuleFile>, Vec<Diagnostic>) {
    let (mut rules, mut findings) = (Vec::new(), Vec::new());
    for path in paths {
        match fs::read_to_string(path) {
            Ok(source) => {
                let (rule, found) = RuleFile::parse(path, &source);
                rules.extend(rule);
                findings.extend(found);
            }
            Err(e) => findings.push(unreadable(path, &e)),
        }
    }
    (rules, findings)
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
}
