//! Place: the demo's directory, and which province is in it.
//!
//! A directory belongs to one province: seed, scale, first day and years of history stand in `demo.json`. A second start
//! takes them from there; one that asks for another province is told what to do. A directory that holds anything else is
//! left alone.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use forewarn::{
    model::time::{days_from_civil, format_day},
    source::demo::Simulation,
};
use serde::{Deserialize, Serialize};

use super::{DemoArgs, shipped};

/// What makes a directory a demo's.
const FILE: &str = "demo.json";
/// What `--fresh` deletes beside [`FILE`].
const MADE: [&str; 5] =
    ["log", "dead_letters", "forewarn.db", "forewarn.db-wal", "forewarn.db-shm"];

/// Which province.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Province {
    /// Decides everything in it.
    pub(super) seed: u64,
    /// Its size.
    pub(super) scale: f64,
    /// The first day of its history, `2024-01-01`.
    pub(super) from: String,
    /// How long that is.
    pub(super) years: f64,
}

impl Default for Province {
    fn default() -> Self {
        Self { seed: 1, scale: super::SCALE, from: super::FROM.to_owned(), years: 2.0 }
    }
}

impl Province {
    /// What is asked for, over what is there or the default.
    fn asked(&self, args: &DemoArgs) -> Self {
        Self {
            seed: args.seed.unwrap_or(self.seed),
            scale: args.scale.unwrap_or(self.scale),
            from: args.from.clone().unwrap_or_else(|| self.from.clone()),
            years: args.years.unwrap_or(self.years),
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        if day(&self.from).is_none() {
            bail!("--from {:?} is no date, write 2024-01-01", self.from);
        }
        if !(0.0001..=100.0).contains(&self.scale) {
            bail!("--scale {}: between 0.0001 and 100", self.scale);
        }
        if !(0.01..=50.0).contains(&self.years) {
            bail!("--years {}: between 0.01 and 50", self.years);
        }
        Ok(())
    }

    /// Its first day, in days since 1970-01-01.
    pub(super) fn first(&self) -> i32 {
        day(&self.from).unwrap_or_default()
    }

    /// The first day behind its history.
    pub(super) fn live(&self) -> i32 {
        self.first() + (self.years * 365.25).round() as i32
    }

    pub(super) fn simulation(&self) -> Simulation {
        Simulation::new(self.seed, self.scale, self.first())
    }
}

impl fmt::Display for Province {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, scale, .. } = self;
        let (from, until) = (format_day(self.first()), format_day(self.live() - 1));
        write!(f, "seed {seed}, scale {scale}, history {from} to {until}")
    }
}

/// Days since 1970-01-01 of `2024-01-01`.
pub(super) fn day(text: &str) -> Option<i32> {
    let mut parts = text.splitn(3, '-');
    let mut number = || parts.next()?.parse::<u32>().ok();
    let (year, month, day) = (number()?, number()?, number()?);
    days_from_civil(i32::try_from(year).ok()?, month, day)
}

/// Makes the directory ready for the province asked for; returns it, and whether there was one already.
pub(super) fn prepare(args: &DemoArgs) -> anyhow::Result<(Province, bool)> {
    let dir = &args.data;
    let file = dir.join(FILE);
    let found = read(dir, &file)?;
    if args.fresh && found.is_some() {
        fresh(dir).with_context(|| format!("{} cannot be emptied", dir.display()))?;
    }
    let here = found.filter(|_| !args.fresh);
    let asked = here.clone().unwrap_or_default().asked(args);
    asked.check()?;
    if let Some(here) = here.as_ref().filter(|here| **here != asked) {
        bail!(
            "{} holds the province of {here}; leave these options out to go on with it, take --fresh to begin anew, or \
             --data DIR to have a second one",
            dir.display()
        );
    }
    let rules = dir.join("rules");
    shipped::write(&rules).with_context(|| format!("rules in {}", rules.display()))?;
    if here.is_none() {
        let text = serde_json::to_string_pretty(&asked)? + "\n";
        fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok((asked, here.is_some()))
}

fn read(dir: &Path, file: &Path) -> anyhow::Result<Option<Province>> {
    match fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text)
            .map(Some)
            .with_context(|| format!("{} is not as forewarn demo wrote it", file.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let begun = |name: &&str| *name != "rules" && dir.join(name).exists();
            match MADE.iter().find(|name| begun(name)) {
                Some(name) => bail!(
                    "{} has a {name} that is not a demo's; choose another directory with --data",
                    dir.display()
                ),
                None => Ok(None),
            }
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

/// Deletes what a demo made; its name goes last, so that one that was stopped here is known again.
fn fresh(dir: &Path) -> io::Result<()> {
    for path in MADE.map(|name| dir.join(name)).into_iter().chain([dir.join(FILE)]) {
        let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        gone.or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })?;
    }
    Ok(())
}

/// A path as one types it after a command, quoted where a shell would take it apart.
pub(super) fn typed(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-~".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Where the demo lies where nobody says otherwise.
pub(super) fn default_dir() -> PathBuf {
    PathBuf::from("forewarn-demo")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        demo: DemoArgs,
    }

    fn args(dir: &Path, more: &[&str]) -> DemoArgs {
        let line = ["demo", "--data", dir.to_str().unwrap()];
        Line::parse_from(line.into_iter().chain(more.iter().copied())).demo
    }

    #[test]
    fn a_directory_belongs_to_one_province() {
        let dir = tempfile::tempdir().unwrap();
        let prepare = |more: &[&str]| prepare(&args(dir.path(), more));
        let (first, was_there) = prepare(&["--seed", "7", "--scale", "0.01"]).unwrap();
        assert_eq!((first.seed, first.scale, was_there), (7, 0.01, false));
        assert_eq!(prepare(&[]).unwrap(), (first.clone(), true));
        assert_eq!(prepare(&["--seed", "7"]).unwrap().0, first);
        let error = prepare(&["--seed", "8"]).unwrap_err().to_string();
        assert!(error.contains("seed 7, scale 0.01") && error.contains("--fresh"), "{error}");

        fs::create_dir_all(dir.path().join("log")).unwrap();
        let own = dir.path().join("rules/mine.yaml");
        fs::write(&own, "rule: mine").unwrap();
        let (second, was_there) = prepare(&["--fresh", "--seed", "8"]).unwrap();
        assert_eq!((second.seed, second.scale, was_there), (8, super::super::SCALE, false));
        assert!(!dir.path().join("log").exists() && own.exists());
    }

    #[test]
    fn what_is_not_a_demos_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("log")).unwrap();
        for more in [&[][..], &["--fresh"]] {
            let error = prepare(&args(dir.path(), more)).unwrap_err().to_string();
            assert!(error.contains("not a demo's"), "{error}");
        }
        assert!(dir.path().join("log").exists() && !dir.path().join("rules").exists());
    }

    #[test]
    fn wrong_values_are_told() {
        let dir = tempfile::tempdir().unwrap();
        for (option, value) in [
            ("--from", "2024-13-01"),
            ("--from", "soon"),
            ("--scale", "0"),
            ("--scale", "NaN"),
            ("--years", "-1"),
        ] {
            let line = format!("{option}={value}");
            let error = prepare(&args(dir.path(), &[&line])).unwrap_err().to_string();
            assert!(error.starts_with(option), "{error}");
        }
        assert!(!dir.path().join(FILE).exists());
    }

    #[test]
    fn paths_can_be_pasted() {
        for (path, expect) in [
            ("forewarn-demo", "forewarn-demo"),
            ("/tmp/a b", "'/tmp/a b'"),
            ("数据/x", "数据/x"),
            ("it's", "'it'\\''s'"),
        ] {
            assert_eq!(typed(Path::new(path)), expect);
        }
    }
}
