//! The files an editor has open, and what lies beside them on disk.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use forewarn::{
    engine::editor::{self, Beside},
    feed::{FeedSpec, spec},
    model::{diagnostic::Diagnostic, time::Zone},
    rule::{self, check as rule_check, file::RuleFile, lists},
};

/// A file that is open.
pub(super) struct Document {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// The rule as it could be read last.
    rule: Option<RuleFile>,
}

/// What lies under one directory with feeds in it.
struct Home {
    feeds: Vec<FeedSpec>,
    rules: Vec<RuleFile>,
}

/// Everything the server knows.
pub(super) struct Workspace {
    zone: Zone,
    open: BTreeMap<String, Document>,
    /// By directory; read when first asked for, and again after a file was saved.
    homes: BTreeMap<PathBuf, Home>,
}

impl Workspace {
    pub(super) fn new(zone: Zone) -> Self {
        Self { zone, open: BTreeMap::new(), homes: BTreeMap::new() }
    }

    /// Takes the text of a file as the editor has it.
    pub(super) fn set(&mut self, uri: &str, text: String) {
        let Some(path) = path_of(uri) else { return };
        let read = if editor::is_feed(&path) { None } else { RuleFile::parse(&path, &text).0 };
        let kept = self.open.remove(uri).and_then(|document| document.rule);
        let rule = read.filter(|_| editor::is_whole(&text)).or(kept);
        self.open.insert(uri.to_owned(), Document { path, text, rule });
    }

    pub(super) fn close(&mut self, uri: &str) {
        self.open.remove(uri);
    }

    /// Files on disk have changed.
    pub(super) fn forget(&mut self) {
        self.homes.clear();
    }

    pub(super) fn document(&self, uri: &str) -> Option<&Document> {
        self.open.get(uri)
    }

    pub(super) fn uris(&self) -> Vec<String> {
        self.open.keys().cloned().collect()
    }

    /// What `forewarn check` finds about an open file as it is in the editor.
    pub(super) fn findings(&mut self, uri: &str) -> Vec<Diagnostic> {
        let Some(document) = self.open.get(uri) else { return Vec::new() };
        let (path, text) = (document.path.clone(), document.text.clone());
        if editor::is_feed(&path) {
            return spec::check(&path, &text, &self.zone).1;
        }
        if is_other(&path) {
            return Vec::new();
        }
        let (rule, mut findings) = RuleFile::parse(&path, &text);
        let mut cache = lists::Cache::default();
        if let (Some(mut rule), Some(home)) = (rule, self.home(&path)) {
            rule.lists = cache.of(&path);
            // Its tests in files of their own are as they are on disk.
            let same = |r: &&RuleFile| same_file(&r.path, &path);
            if let Some(on_disk) = home.rules.iter().find(same) {
                rule.exceptions = on_disk.exceptions.clone();
                let beside = on_disk.tests.iter().filter(|t| t.path != on_disk.path);
                rule.tests.extend(beside.cloned());
            }
            let mut rules: Vec<RuleFile> =
                home.rules.iter().filter(|r| !same_file(&r.path, &path)).cloned().collect();
            rules.push(rule);
            let found = rule_check::check(&rules, &super::super::facts(&home.feeds));
            findings.extend(found.into_iter().filter(|d| d.file == path));
        }
        rule_check::sort(&mut findings);
        findings.dedup();
        findings
    }

    /// What lies beside an open file, for completion and hover.
    pub(super) fn beside<T>(
        &mut self,
        uri: &str,
        ask: impl FnOnce(&Beside<'_>, &str) -> T,
    ) -> Option<T> {
        let path = self.open.get(uri)?.path.clone();
        if editor::is_feed(&path) || is_other(&path) {
            return None;
        }
        self.home(&path);
        let lists = lists::Cache::default().of(&path);
        let document = self.open.get(uri)?;
        let feeds = home_of(&path).and_then(|dir| self.homes.get(&dir)).map(|h| &h.feeds[..]);
        let beside = Beside {
            feeds: feeds.unwrap_or_default(),
            lists: &lists,
            rule: document.rule.as_ref(),
        };
        Some(ask(&beside, &document.text))
    }

    /// The feeds and rules beside a file; `None` where no directory above it has feeds.
    fn home(&mut self, path: &Path) -> Option<&Home> {
        let dir = home_of(path)?;
        let zone = &self.zone;
        let read = || Home {
            feeds: spec::load_dir(&dir.join("feeds"), zone).0,
            rules: rule::load_dir(&dir).0,
        };
        Some(self.homes.entry(dir.clone()).or_insert_with(read))
    }
}

/// The nearest directory above a file that has feeds in it.
fn home_of(path: &Path) -> Option<PathBuf> {
    path.ancestors().skip(1).find(|dir| dir.join("feeds").is_dir()).map(Path::to_owned)
}

/// A file beside rules that is none: exceptions and the like.
fn is_other(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    ["exceptions", "overrides", "defaults"].contains(&stem)
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || a.canonicalize().ok().is_some_and(|a| b.canonicalize().ok() == Some(a))
}

/// The path of a `file:` address; `%E7%94%B2` and the like are bytes.
pub(super) fn path_of(uri: &str) -> Option<PathBuf> {
    let path = uri.strip_prefix("file://")?;
    // `file://localhost/…` names this machine.
    let path = path.strip_prefix("localhost").unwrap_or(path);
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let hex = behind.get(..2).and_then(|h| std::str::from_utf8(h).ok());
        match hex.filter(|_| *first == b'%').and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    // `/C:/rules` is a path of Windows.
    let text = String::from_utf8(bytes).ok()?;
    let drive = text.as_bytes().get(2) == Some(&b':');
    Some(PathBuf::from(if drive { &text[1..] } else { &text }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_paths() {
        let check = |uri: &str, path: &str| assert_eq!(path_of(uri), Some(PathBuf::from(path)));
        check("file:///rules/%E6%8A%95%E8%AF%89/a%20b.yaml", "/rules/投诉/a b.yaml");
        check("file:///C:/rules/a.yaml", "C:/rules/a.yaml");
        check("file:///rules/100%.yaml", "/rules/100%.yaml");
        assert_eq!(path_of("untitled:a.yaml"), None);
    }
}
