//! Shipped: the feeds, rules and lists of `rules/`, in the binary, so that it runs anywhere.

use std::{fs, io, path::Path};

macro_rules! shipped {
    ($($path:literal,)*) => {
        [$(($path, include_str!(concat!("../../../rules/", $path)))),*]
    };
}

/// Path below the directory of rules, and text.
const FILES: &[(&str, &str)] = &shipped![];

/// Writes the files that are not there below `dir`; others may have been changed and stay.
pub(super) fn write(dir: &Path) -> io::Result<()> {
    for (path, text) in FILES {
        let path = dir.join(path);
        if path.exists() {
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path, below: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, below, found);
            } else {
                found.push(path.strip_prefix(below).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_feed_rule_and_list_is_shipped_and_changed_ones_stay() {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let mut there = Vec::new();
        files(&rules, &rules, &mut there);
        there.sort();
        assert_eq!(FILES.iter().map(|(path, _)| *path).collect::<Vec<_>>(), there);

        let dir = tempfile::tempdir().unwrap();
        let changed = dir.path().join("food/food_fail_repeat.yaml");
        fs::create_dir_all(changed.parent().unwrap()).unwrap();
        fs::write(&changed, "mine").unwrap();
        write(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(changed).unwrap(), "mine");
        let mut written = Vec::new();
        files(dir.path(), dir.path(), &mut written);
        assert_eq!(written.len(), FILES.len());
    }
}
