//! The command line: one file per subcommand, each a thin layer over the library.

pub(crate) mod check;
pub(crate) mod dead_letters;
pub(crate) mod explain;
pub(crate) mod feed;
pub(crate) mod health;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod test;

use std::{io::Write, path::Path};

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
    if !feeds.is_dir() {
        anyhow::bail!(
            "there is no directory of feeds at {}; name it with --feeds, or the rules' with --rules",
            feeds.display()
        );
    }
    let (specs, mut findings) = spec::load_dir(feeds, zone);
    let (files, found) = rule::load_dir(rules);
    findings.extend(found);
    findings.extend(rule_check::check(&files, &facts(&specs)));
    rule_check::sort(&mut findings);
    findings.dedup();
    let all = findings.len();
    findings.retain(|f| f.level == Level::Error && !rule_check::is_editorial(f.code));
    if findings.is_empty() {
        if all > 0 {
            let text =
                "finding(s) that do not stop the rules; `forewarn check` shows them in place";
            let _ = writeln!(std::io::stderr(), "{all} {text}");
        }
        return Ok(Some((specs, files)));
    }
    print_findings(&findings);
    Ok(None)
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
