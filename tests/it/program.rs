//! The program as a person runs it, in a directory of its own.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// Runs `forewarn` with these arguments in `dir`.
pub(crate) fn forewarn(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .args(arguments)
        .current_dir(dir)
        .env("NO_COLOR", "1")
        .env("FOREWARN_LOG", "warn")
        .output()
        .unwrap()
}

/// What it said, on both outputs.
pub(crate) fn says(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Copies a directory with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
