//! `forewarn simulate`: a made-up province as files, with the truth about what was planted in it.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, bail};
use forewarn::{
    model::time::{DAY_MS, Zone},
    source::demo::{
        Feed, Simulation,
        write::{self, Written, feed_file, truth_file},
    },
};

/// Write a made-up province's feeds as files, with incidents planted in them and the truth about them
#[derive(Debug, clap::Args)]
pub(crate) struct Simulate {
    /// Directory for one file per feed, truth.ndjson and README.md
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Size of the province: 1 is about Hunan, two million records a year
    #[arg(long, default_value_t = 0.1, value_name = "X")]
    scale: f64,
    /// The first day
    #[arg(long, default_value = "2024-01-01", value_name = "DATE")]
    from: String,
    /// How long; halves and quarters of a year are possible
    #[arg(long, default_value_t = 2.0, value_name = "YEARS")]
    years: f64,
    /// Format of the feeds' files
    #[arg(long, default_value = "ndjson", value_parser = ["ndjson"])]
    format: String,
    /// No progress bar and no summary
    #[arg(long, short)]
    quiet: bool,
}

#[expect(clippy::disallowed_methods, reason = "the command line is where clocks are read")]
pub(crate) fn run(args: &Simulate) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let zone = Zone::parse("Asia/Shanghai")?;
    let Some(from_ms) = zone.parse_instant(&args.from) else {
        bail!("--from {:?} is no date, write 2024-01-01", args.from);
    };
    if !(0.0001..=100.0).contains(&args.scale) {
        bail!("--scale {}: between 0.0001 and 100", args.scale);
    }
    if !(0.01..=50.0).contains(&args.years) {
        bail!("--years {}: between 0.01 and 50", args.years);
    }
    let first = (zone.to_local(from_ms).div_euclid(DAY_MS)) as i32;
    let span = first..first + (args.years * 365.25).round() as i32;
    let province = Simulation::new(args.seed, args.scale, first);
    let bar = super::bar(0, args.quiet);
    bar.set_length(span.len() as u64);
    bar.set_style(indicatif::ProgressStyle::with_template(
        "{bar:40} {pos}/{len} days  {eta} left",
    )?);
    let written = write::write(&province, span, &args.out, || bar.inc(1))
        .with_context(|| format!("files in {} cannot be written", args.out.display()))?;
    bar.finish_and_clear();
    let readme = args.out.join("README.md");
    std::fs::write(&readme, about(args, &written))
        .with_context(|| format!("{} cannot be written", readme.display()))?;
    if !args.quiet {
        let text = summary(&args.out, &written, began.elapsed().as_secs_f64());
        io::stdout().write_all(text.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(dir: &Path, written: &Written, seconds: f64) -> String {
    let lines: u64 = written.lines.iter().map(|(_, n)| n).sum();
    let mut text = format!(
        "{lines} records in {seconds:.1} s ({:.0} records/s), {} MB\n\n",
        lines as f64 / seconds,
        written.bytes / 1_000_000
    );
    for (feed, n) in &written.lines {
        let _ = writeln!(text, "{:<14} {n:>10}", feed.name());
    }
    let _ = writeln!(
        text,
        "\n{} incidents planted, see {}\nwhat to do with it: {}",
        written.incidents,
        truth_file(dir).display(),
        dir.join("README.md").display()
    );
    text
}

/// The command that replays everything and scores it.
fn replay(dir: &Path) -> String {
    let mut text = String::from("forewarn replay --rules rules --out out");
    for feed in Feed::ALL {
        let _ = write!(text, " \\\n  --input {}={}", feed.name(), feed_file(dir, feed).display());
    }
    let _ = write!(text, " \\\n  --labels {}", truth_file(dir).display());
    text
}

fn about(args: &Simulate, written: &Written) -> String {
    let mut rows = String::new();
    for (feed, n) in &written.lines {
        let _ = writeln!(rows, "| `{}.ndjson` | {n} |", feed.name());
    }
    format!(
        "# A made-up province\n\n\
         Written by `forewarn simulate --seed {} --scale {} --from {} --years {}`; the same command gives the same bytes.\n\
         Nothing in it exists: businesses are called 样例, their codes have right check characters and an organisation part that\n\
         begins with `YY`.\n\n\
         | file | records |\n|---|---|\n{rows}| `truth.ndjson` | {} incidents |\n\n\
         Records stand in the order of their arrival (`received_at`), later than what they tell of. Some come twice, are corrected\n\
         or withdrawn, and some rows are bad: those become dead letters of the replay.\n\n\
         Replay it with the shipped rules and hold the alerts against the truth:\n\n```\n{}\n```\n\n\
         Each line of `truth.ndjson` is an incident: the `rule` that should raise it and the `key`, the event time `from` and `until`\n\
         which it should fire, the day of `harm` that an alert is early against, when its records are `complete`, a `title`, and\n\
         the `subjects` it is about. The score counts an incident as found when its rule raised its key in time and did not take it\n\
         back; `lead` is the time from the engine's first knowing to the harm. Alerts of other rules about the same subjects are not\n\
         counted; all others are false alarms, of which some are slips of the pen that their offices corrected, and taken back.\n",
        args.seed,
        args.scale,
        args.from,
        args.years,
        written.incidents,
        replay(&args.out)
    )
}
