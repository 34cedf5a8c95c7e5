//! `forewarn hygiene`: what a rule set has become, each finding with its file and how to mend it.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use forewarn::{
    engine::hygiene::{self, Limits, Past},
    model::time::Zone,
};

use super::report::{self, Format};

/// Look a rule set over: rules that are silent, noisy, overlapping, ownerless, untested or left behind
#[derive(Debug, clap::Args)]
pub(crate) struct Hygiene {
    /// Directory of rules, with feed files in its `feeds`
    #[arg(default_value = "rules", value_name = "RULES")]
    rules: PathBuf,
    /// Directory of the feed files, if not `feeds` in the rules' directory
    #[arg(long, value_name = "DIR")]
    feeds: Option<PathBuf>,
    /// Judge what the rules told by a finished replay: the directory it wrote
    #[arg(long, value_name = "DIR")]
    replay: Option<PathBuf>,
    /// Judge it by the alerts that a running engine keeps in its data directory
    #[arg(long, value_name = "DIR", conflicts_with = "replay")]
    data: Option<PathBuf>,
    /// How many weeks of a data directory are looked at, up to its latest alert
    #[arg(long, default_value_t = 13, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    weeks: u32,
    /// Alerts a week from which a rule is noisy
    #[arg(long, default_value_t = 20.0, value_name = "N")]
    noisy: f64,
    /// Days after which a draft or a rule in shadow is left behind, by the time of its file
    #[arg(long, default_value_t = 90, value_name = "N")]
    stale_days: i64,
    /// Percentage of a rule's alerts that another rule tells too, from which they overlap
    #[arg(long, default_value_t = 80, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    overlap: u8,
    /// How findings are written
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Exit code 1 where anything is found
    #[arg(long)]
    strict: bool,
    /// Zone in which days begin
    #[arg(long, default_value = "Asia/Shanghai")]
    zone: String,
}

/// Exit code 0, or 1 with `--strict` and findings; 2 where the rules cannot be read.
pub(crate) fn run(args: &Hygiene) -> anyhow::Result<ExitCode> {
    let zone = Zone::parse(&args.zone)?;
    let feeds = args.feeds.clone().unwrap_or_else(|| args.rules.join("feeds"));
    let Some((specs, rules)) = super::load_quietly(&args.rules, &feeds, &zone)? else {
        return Ok(ExitCode::from(2));
    };
    let past = match (&args.replay, &args.data) {
        (Some(dir), _) => Some(Past::of_replay(dir, &zone)?),
        (None, Some(data)) => Some(Past::of_data(data, args.weeks, &zone)?),
        (None, None) => None,
    };
    let limits = Limits {
        now_ms: super::now_ms(),
        noisy_per_week: args.noisy,
        stale_days: args.stale_days,
        overlap: f64::from(args.overlap) / 100.0,
    };
    let findings = hygiene::inspect(&rules, &super::facts(&specs), past.as_ref(), &limits, &zone);
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut report = report::render(&findings, rules.len(), args.format, colour);
    if let (Format::Human, Some(past)) = (args.format, &past) {
        report.push_str(&format!(
            "{} alerts of {:.1} weeks in {} looked at\n",
            past.alerts.len(),
            past.weeks(),
            past.place.display()
        ));
    }
    io::stdout().write_all(report.as_bytes()).context("the report cannot be written")?;
    Ok(if args.strict && !findings.is_empty() { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
