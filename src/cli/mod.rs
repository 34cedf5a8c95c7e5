//! The command line: one file per subcommand, each a thin layer over the library.

pub(crate) mod check;
pub(crate) mod dead_letters;
pub(crate) mod explain;
pub(crate) mod feed;
pub(crate) mod feeds;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod test;

use std::{io::Write, path::Path};

use anyhow::Context;
use forewarn::{
    feed::{FeedSpec, spec},
    model::{
        diagnostic::{Diagnostic, Level},
        secret::Secret,
        time::Zone,
    },
    rule::{self, file::RuleFile},
    store::seal,
};

/// Feeds and rules of a directory; prints the findings, and returns nothing where some are errors.
pub(crate) fn load(
    rules: &Path,
    feeds: &Path,
    zone: &Zone,
) -> anyhow::Result<Option<(Vec<FeedSpec>, Vec<RuleFile>)>> {
    if !feeds.is_dir() {
        anyhow::bail!(
            "there is no directory of feeds at {}; name it with --feeds, or the rules' with --rules",
            feeds.display()
        );
    }
    let (specs, mut findings) = spec::load_dir(feeds, zone);
    let (files, found) = rule::load_dir(rules);
    findings.extend(found);
    findings.retain(|f| f.level == Level::Error);
    if findings.is_empty() {
        return Ok(Some((specs, files)));
    }
    print_findings(&findings);
    Ok(None)
}

/// Findings as a short list; `forewarn check` prints them in full.
pub(crate) fn print_findings(findings: &[Diagnostic]) {
    let mut err = std::io::stderr().lock();
    for f in findings {
        let line = std::fs::read_to_string(&f.file)
            .map_or(0, |t| t[..f.span.start.min(t.len())].matches('\n').count() + 1);
        let _ =
            writeln!(err, "{}:{line}: {} [{}] {}", f.file.display(), f.message, f.code, f.label);
    }
    let _ = writeln!(err, "{} finding(s); `forewarn check` shows them in place", findings.len());
}

/// The present, milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the command line is where clocks are read")]
pub(crate) fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
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
