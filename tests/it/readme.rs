//! The README shows files that exist as they are, so that what a newcomer copies works.

use std::{fs, path::Path};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_tutorial_shows_the_files_of_samples_lifts() {
    let readme = read("README.md");
    for path in ["samples/lifts/feeds/lifts.yaml", "samples/lifts/lift_trapping.yaml"] {
        assert!(
            readme.contains(&format!("```yaml\n{}```", read(path))),
            "README.md does not show {path} as it is"
        );
    }
    let head: String =
        read("samples/lifts.csv").lines().take(2).map(|line| format!("{line}\n")).collect();
    assert!(
        readme.contains(&head.replace('\r', "")),
        "README.md does not show the head of samples/lifts.csv"
    );
}

#[test]
fn the_first_command_names_files_that_exist() {
    let readme = read("README.md");
    let inputs: Vec<&str> =
        readme.split("--input ").skip(1).filter_map(|t| t.split_whitespace().next()).collect();
    assert!(inputs.len() >= 4, "{inputs:?}");
    for input in inputs {
        let (feed, path) = input.split_once('=').unwrap();
        assert!(
            Path::new(env!("CARGO_MANIFEST_DIR")).join(path).is_file(),
            "{path} of feed {feed} is absent"
        );
    }
}
