//! `forewarn check`: all findings about feeds and rules in one pass, each where it stands.

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use forewarn::{
    feed::{FeedSpec, spec},
    model::{
        diagnostic::Diagnostic,
        time::{DAY_MS, Zone},
    },
    rule::{self, check},
};

use super::report::{self, Format};

/// Check feeds and rules: names, types, conditions, messages and tests, all findings in one pass
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Rule and feed files, or directories of them; without any, the directory of rules
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How findings are written
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Directory of all rules, with feed files in its `feeds`
    #[arg(long, default_value = "rules", value_name = "DIR")]
    rules: PathBuf,
    /// Directory of the feed files; without it the nearest `feeds` beside or above a path, then `feeds` of the rules
    #[arg(long, value_name = "DIR")]
    feeds: Option<PathBuf>,
    /// Zone in which days begin
    #[arg(long, default_value = "Asia/Shanghai")]
    zone: String,
    /// Check as if it were this day: whether the holidays that rules need are known [default: today]
    #[arg(long, value_name = "DATE")]
    on: Option<String>,
}

/// Exit code 0 without errors, 1 with some; warnings alone are no failure.
pub(crate) fn run(args: &Check) -> anyhow::Result<ExitCode> {
    let zone = Zone::parse(&args.zone)?;
    let paths = if args.paths.is_empty() {
        std::slice::from_ref(&args.rules)
    } else {
        args.paths.as_slice()
    };
    let (mut feed_files, mut rule_files) = (Vec::new(), Vec::new());
    for path in paths {
        if !path.exists() {
            bail!("{} is not there; name rule files or directories", path.display());
        }
        collect(path, &mut feed_files, &mut rule_files)?;
    }
    let feeds_dir = feeds_dir(args, paths);
    let (feeds, feed_findings) = feeds(&feeds_dir, &zone)?;
    let (rules, mut findings) = super::checked(&rule_files, &args.rules, &feeds);
    let now_ms = match &args.on {
        Some(day) => super::instant(day, "--on", &zone)?,
        None => super::now_ms(),
    };
    let today = zone.to_local(now_ms).div_euclid(DAY_MS);
    findings.extend(check::calendar_ends(&rules, i32::try_from(today).unwrap_or(i32::MAX)));
    let same = |a: &Path, b: &Path| a.canonicalize().ok() == b.canonicalize().ok();
    findings
        .extend(feed_findings.into_iter().filter(|d| feed_files.iter().any(|p| same(p, &d.file))));
    findings.extend(strays(&feed_files, &feeds_dir, &zone));
    check::sort(&mut findings);
    findings.dedup();
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let report =
        report::render(&findings, feed_files.len() + rule_files.len(), args.format, colour);
    io::stdout().write_all(report.as_bytes()).context("the report cannot be written")?;
    Ok(if check::has_errors(&findings) { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Sorts what a path holds into feed files (those in a directory `feeds`) and rule files.
fn collect(
    path: &Path,
    feed_files: &mut Vec<PathBuf>,
    rule_files: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let is_feeds = |dir: &Path| dir.file_name().is_some_and(|n| n == "feeds");
    let failed = || format!("{} cannot be read", path.display());
    if path.is_file() {
        let feed = path.parent().is_some_and(is_feeds);
        (if feed { feed_files } else { rule_files }).push(path.to_owned());
        return Ok(());
    }
    if is_feeds(path) {
        feed_files.extend(yaml_files(path).with_context(failed)?);
        return Ok(());
    }
    rule_files.extend(rule::rule_paths(path).with_context(failed)?);
    let feeds = path.join("feeds");
    if feeds.is_dir() {
        feed_files.extend(yaml_files(&feeds).with_context(failed)?);
    }
    Ok(())
}

fn yaml_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            out.push(path);
        }
    }
    out.sort();
    Ok(out)
}

fn feeds_dir(args: &Check, paths: &[PathBuf]) -> PathBuf {
    if let Some(dir) = &args.feeds {
        return dir.clone();
    }
    let near = |path: &PathBuf| {
        let from = path.ancestors().filter(|a| !a.as_os_str().is_empty());
        let inside =
            from.map(|a| if a.ends_with("feeds") { a.to_owned() } else { a.join("feeds") });
        inside.into_iter().find(|d| d.is_dir())
    };
    paths.iter().find_map(near).unwrap_or_else(|| args.rules.join("feeds"))
}

fn feeds(dir: &Path, zone: &Zone) -> anyhow::Result<(Vec<FeedSpec>, Vec<Diagnostic>)> {
    if !dir.is_dir() {
        bail!(
            "there is no directory of feeds at {}; name it with --feeds, or the rules' with --rules",
            dir.display()
        );
    }
    Ok(spec::load_dir(dir, zone))
}

/// Findings about named feed files outside the directory of feeds.
fn strays(feed_files: &[PathBuf], dir: &Path, zone: &Zone) -> Vec<Diagnostic> {
    let home = dir.canonicalize().ok();
    let stray = |p: &&PathBuf| p.parent().and_then(|d| d.canonicalize().ok()) != home;
    let read = |p: &PathBuf| {
        let source = std::fs::read_to_string(p).unwrap_or_default();
        spec::check(p, &source, zone).1
    };
    feed_files.iter().filter(stray).flat_map(read).collect()
}
