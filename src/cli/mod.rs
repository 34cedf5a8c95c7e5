//! The command line: one file per subcommand, each a thin layer over the library.

mod chart;
pub(crate) mod check;
pub(crate) mod dead_letters;
pub(crate) mod demo;
pub(crate) mod detect;
mod diff;
pub(crate) mod explain;
pub(crate) mod feed;
pub(crate) mod feeds;
pub(crate) mod health;
pub(crate) mod hygiene;
pub(crate) mod lsp;
pub(crate) mod new;
mod recovery;
mod reload;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod simulate;
pub(crate) mod test;
pub(crate) mod tune;
mod verify;

use std::{
    collections::HashSet,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use forewarn::{
    engine::config::{Config, Error as ConfigError},
    feed::{FeedSpec, spec},
    model::{
        diagnostic::{Diagnostic, Level},
        secret::Secret,
        time::Zone,
    },
    rule::{
        self,
        check::{self as rule_check, FeedFacts},
        file::RuleFile,
    },
    store::seal,
};

/// The configuration file where none is named.
const CONFIG: &str = "forewarn.yaml";

/// Feeds and rules of a directory, checked as `forewarn check` does; prints the findings, and returns nothing where some
/// are errors.
pub(crate) fn load(
    rules: &Path,
    feeds: &Path,
    zone: &Zone,
) -> anyhow::Result<Option<(Vec<FeedSpec>, Vec<RuleFile>)>> {
    Ok(read(rules, feeds, zone)?.map(|(specs, files, findings)| {
        report::mention(&findings);
        (specs, files)
    }))
}

/// The same, where findings that stop nothing are not mentioned.
pub(crate) fn load_quietly(
    rules: &Path,
    feeds: &Path,
    zone: &Zone,
) -> anyhow::Result<Option<(Vec<FeedSpec>, Vec<RuleFile>)>> {
    Ok(read(rules, feeds, zone)?.map(|(specs, files, _)| (specs, files)))
}

/// Feeds, rules and findings that stop nothing.
pub(crate) type Read = (Vec<FeedSpec>, Vec<RuleFile>, Vec<Diagnostic>);

fn read(rules: &Path, feeds: &Path, zone: &Zone) -> anyhow::Result<Option<Read>> {
    Ok(match found(rules, feeds, zone)? {
        Ok(read) => Some(read),
        Err(findings) => {
            print_findings(&findings);
            None
        }
    })
}

/// The same without telling anybody; all findings where one of them is an error that stops a run.
pub(crate) fn found(
    rules: &Path,
    feeds: &Path,
    zone: &Zone,
) -> anyhow::Result<Result<Read, Vec<Diagnostic>>> {
    if !feeds.is_dir() {
        anyhow::bail!(
            "there is no directory of feeds at {}; name it with --feeds, or the rules' with --rules",
            feeds.display()
        );
    }
    let (specs, mut findings) = spec::load_dir(feeds, zone);
    let paths = rule::rule_paths(rules)
        .with_context(|| format!("rules {} cannot be read", rules.display()))?;
    let (files, found) = checked(&paths, rules, &specs);
    findings.extend(found);
    if findings.iter().any(stops) {
        return Ok(Err(findings));
    }
    Ok(Ok((specs, files, findings)))
}

/// The rules in these files, and all findings about them, in order. `home`: the directory of all rules; tests may name the
/// others there, and none may say the same twice.
pub(crate) fn checked(
    paths: &[PathBuf],
    home: &Path,
    feeds: &[FeedSpec],
) -> (Vec<RuleFile>, Vec<Diagnostic>) {
    let (named, mut findings) = rule::load(paths);
    let place = |p: &PathBuf| p.canonicalize().unwrap_or_else(|_| p.clone());
    let places: HashSet<PathBuf> = paths.iter().map(place).collect();
    let mut others = rule::rule_paths(home).unwrap_or_default();
    others.retain(|p| !places.contains(&place(p)));
    let mut all = rule::load(&others).0;
    let first = all.len();
    all.extend(named);
    let found = rule_check::check(&all, &facts(feeds));
    // Not what is wrong with another rule or with a test beside it.
    let others_have = |d: &Diagnostic| others.iter().any(|rule| rule::is_of(&d.file, rule));
    findings.extend(found.into_iter().filter(|d| !others_have(d)));
    rule_check::sort(&mut findings);
    findings.dedup();
    (all.split_off(first), findings)
}

/// Whether a rule with this finding is not run.
pub(crate) fn stops(finding: &Diagnostic) -> bool {
    finding.level == Level::Error && !rule_check::is_editorial(finding.code)
}

/// What rules need to know of the feeds.
pub(crate) fn facts(feeds: &[FeedSpec]) -> Vec<FeedFacts<'_>> {
    feeds
        .iter()
        .map(|f| FeedFacts {
            allowed_lateness_ms: f.allowed_lateness_ms,
            ..FeedFacts::new(&f.schema)
        })
        .collect()
}

/// The configuration file, `forewarn.yaml` where none is named and there is one, with the environment over it; prints the
/// findings about it.
pub(crate) fn config(path: Option<&Path>) -> anyhow::Result<Config> {
    let default = Some(Path::new(CONFIG)).filter(|p| p.exists());
    Config::load(path.or(default), std::env::vars()).map_err(|error| {
        if let ConfigError::Findings { findings, .. } = &error {
            print_findings(findings);
        }
        error.into()
    })
}

/// Findings as `forewarn check` shows them, on standard error.
pub(crate) fn print_findings(findings: &[Diagnostic]) {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // Where nobody can be told nothing is lost by going on.
    let _ = std::io::stderr().write_all(report::places(findings, colour).as_bytes());
}

/// The present, milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the command line is where clocks are read")]
pub(crate) fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// The instant that an option names.
pub(crate) fn instant(text: &str, option: &str, zone: &Zone) -> anyhow::Result<i64> {
    zone.parse_instant(text).with_context(|| {
        format!("{option} {text:?} is neither a date nor an instant, write 2026-03-05 or 2026-03-05T08:00:00+08:00")
    })
}

/// A progress bar over bytes, on a terminal only.
pub(crate) fn bar(bytes: u64, quiet: bool) -> indicatif::ProgressBar {
    if quiet {
        return indicatif::ProgressBar::hidden();
    }
    let style = "{bar:40} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
    let bar = indicatif::ProgressBar::new(bytes);
    match indicatif::ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Most memory this process ever held, bytes; 0 where the system does not say.
pub(crate) fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kb = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kb.unwrap_or(0) * 1024
}

/// The local key in `data`, which is made if it is not there.
pub(crate) fn local_key(data: &Path) -> anyhow::Result<Secret> {
    seal::local_key(data).with_context(|| format!("local key in {}", data.display()))
}
