//! `forewarn new`: a skeleton of every kind over many feeds passes check and test as written.

use std::{fs, path::Path, process::Output};

use forewarn::{
    feed::spec,
    model::time::Zone,
    rule::{file::Kind, skeleton},
};

use crate::program::{copy, forewarn, says};

/// A rules directory of its own with these feed files and no rules.
fn home(feeds: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join(feeds), &home.path().join("rules/feeds"));
    home
}

fn new(home: &Path, arguments: &str) -> Output {
    forewarn(home, &["new"].into_iter().chain(arguments.split(' ')).collect::<Vec<_>>())
}

#[test]
fn every_kind_over_every_feed_passes_check_and_test() {
    for feeds in ["rules/feeds", "tests/real/feeds", "samples/lifts/feeds"] {
        let home = home(feeds);
        let (specs, _) = spec::load_dir(&home.path().join("rules/feeds"), &Zone::utc());
        let mut written = 0;
        for feed in &specs {
            for kind in Kind::ALL {
                let id = format!("{}_{}", kind.word(), feed.name());
                let text = skeleton::skeleton(kind, &id, &feed.schema, None);
                let text = text.unwrap_or_else(|e| panic!("{id}: {e}"));
                fs::write(home.path().join(format!("rules/{id}.yaml")), text).unwrap();
                written += 1;
            }
        }
        assert!(written > 0, "{feeds}");
        let checked = forewarn(home.path(), &["check", "rules"]);
        assert!(checked.status.success(), "{feeds}: {}", says(&checked));
        let told = says(&checked);
        assert!(told.ends_with("0 errors, 0 warnings\n"), "{feeds}: {told}");
        let tested = forewarn(home.path(), &["test", "rules"]);
        let told = says(&tested);
        assert!(told.contains(&format!("\n{} passed, 0 failed", 2 * written)), "{feeds}: {told}");
    }
}

#[test]
fn a_skeleton_is_a_draft_with_the_columns_of_its_feed() {
    let home = home("rules/feeds");
    let made = new(home.path(), "many_refunds --kind window --feed complaints");
    assert!(says(&made).starts_with("rules/complaints/many_refunds.yaml\n"), "{}", says(&made));
    let text = fs::read_to_string(home.path().join("rules/complaints/many_refunds.yaml")).unwrap();
    for part in ["status: draft", "key: [ucc]", "amount_yuan (decimal)", "ucc: $A", "{ucc_name}"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn nothing_is_written_over_and_words_are_guessed() {
    let home = home("rules/feeds");
    let path = home.path().join("rules/mine/one.yaml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "mine").unwrap();
    for (arguments, told) in [
        ("one --kind window --feed complaints --dir rules/mine", "is already there"),
        ("two --kind windwo --feed complaints", "did you mean \"window\"?"),
        ("two --kind window --feed complaint", "did you mean \"complaints\"?"),
        ("two --kind window", "name a feed with --feed"),
        ("Two --kind window --feed complaints", "starting with a letter"),
    ] {
        let made = new(home.path(), arguments);
        assert_eq!(made.status.code(), Some(2), "{arguments}: {}", says(&made));
        assert!(says(&made).contains(told), "{arguments}: {}", says(&made));
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    let made = new(home.path(), "three --kind window --feed complaints");
    assert!(made.status.success(), "{}", says(&made));
    let again = new(home.path(), "three --kind instant --feed penalties");
    assert!(says(&again).contains("is already in rules/complaints/three.yaml"), "{}", says(&again));
}
