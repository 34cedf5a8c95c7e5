//! `forewarn feeds`: look at feeds as they come.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use forewarn::{
    decode::{Compression, Format, Input, OpenOptions, open},
    engine::{delays::Measuring, view::DelayRow},
    feed::{FeedSpec, spec},
    model::{
        diagnostic::Level,
        secret::Secret,
        time::{Zone, format_span},
    },
    store::{
        log,
        record::{Entry, conform},
    },
};

/// Look at feeds as they come
#[derive(Debug, clap::Args)]
pub(crate) struct Feeds {
    #[command(subcommand)]
    command: FeedsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum FeedsCommand {
    /// How long after a fact its record comes: quantiles, to choose out_of_order and allowed_lateness by
    Lateness(Lateness),
}

/// How long after a fact its record comes: quantiles, to choose out_of_order and allowed_lateness by
///
/// Measured are event time → arrival, and each other time column → event time, by the first version of each record.
#[derive(Debug, clap::Args)]
struct Lateness {
    /// Only this feed
    #[arg(value_name = "FEED")]
    feed: Option<String>,
    /// File of a feed, instead of the log in the data directory; may be repeated
    #[arg(long = "input", value_name = "FEED=FILE")]
    inputs: Vec<String>,
    /// Directory of the log
    #[arg(long, default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// Directory of rules, with feed files in its `feeds`
    #[arg(long, default_value = "rules", value_name = "DIR")]
    rules: PathBuf,
    /// Directory of feeds; RULES/feeds by default
    #[arg(long, value_name = "DIR")]
    feeds: Option<PathBuf>,
    /// Zone in which days begin
    #[arg(long, default_value = "Asia/Shanghai")]
    zone: String,
    /// As JSON, delays in seconds
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Feeds) -> anyhow::Result<ExitCode> {
    match &args.command {
        FeedsCommand::Lateness(args) => lateness(args),
    }
}

fn lateness(args: &Lateness) -> anyhow::Result<ExitCode> {
    let zone = Zone::parse(&args.zone)?;
    let dir = args.feeds.clone().unwrap_or_else(|| args.rules.join("feeds"));
    if !dir.is_dir() {
        bail!("there is no directory of feeds at {}; name it with --feeds", dir.display());
    }
    let (specs, mut findings) = spec::load_dir(&dir, &zone);
    findings.retain(|f| f.level == Level::Error);
    if !findings.is_empty() {
        super::print_findings(&findings);
        return Ok(ExitCode::from(2));
    }
    let position = |name: &str| {
        let known = || specs.iter().map(FeedSpec::name).collect::<Vec<_>>().join(", ");
        specs
            .iter()
            .position(|s| s.name() == name)
            .with_context(|| format!("there is no feed {name:?}, known feeds: {}", known()))
    };
    let only = args.feed.as_deref().map(position).transpose()?;
    let mut all: Vec<Measuring> =
        specs.iter().map(|s| Measuring::new(s.schema.clone(), zone.clone())).collect();
    if args.inputs.is_empty() {
        of_log(&args.data.join("log"), &specs, &mut all)?;
    }
    for input in &args.inputs {
        let Some((feed, path)) = input.split_once('=') else {
            bail!("--input {input:?}: write FEED=FILE, like complaints=orders.csv");
        };
        let feed = position(feed)?;
        of_file(Path::new(path), &specs[feed], &zone, &mut all[feed])?;
    }
    let feeds = (0..specs.len()).filter(|f| only.is_none_or(|o| o == *f));
    let shown: Vec<(&str, Vec<DelayRow>)> = feeds
        .map(|f| {
            let measured = all[f].delays().iter().filter(|d| d.records > 0);
            (specs[f].name(), measured.map(DelayRow::from).collect())
        })
        .filter(|(_, delays): &(_, Vec<_>)| !delays.is_empty())
        .collect();
    let mut out = std::io::stdout().lock();
    if args.json {
        let of = |(feed, delays): &(&str, Vec<DelayRow>)| serde_json::json!({"feed": feed, "delays": delays});
        let all: Vec<_> = shown.iter().map(of).collect();
        writeln!(out, "{}", serde_json::json!({ "feeds": all }))?;
    } else if shown.is_empty() {
        writeln!(out, "no records, nothing to measure")?;
    } else {
        write!(out, "{}", table(&shown))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Rows of the log of each feed that is still declared.
fn of_log(dir: &Path, specs: &[FeedSpec], all: &mut [Measuring]) -> anyhow::Result<()> {
    if !dir.is_dir() {
        bail!(
            "there is no log at {}; name the data directory with --data, or files with --input",
            dir.display()
        );
    }
    for entry in log::read(dir, 0).context("the log cannot be read")? {
        let Entry::Rows(logged) = entry.context("the log cannot be read")? else { continue };
        let head = &logged.head;
        let Some(feed) = specs.iter().position(|s| s.name() == head.feed) else { continue };
        let mut arrival = head.first;
        for rows in &logged.batches {
            let rows = conform(rows, specs[feed].schema.arrow()).with_context(|| {
                format!("logged rows of feed {:?} do not fit its columns", head.feed)
            })?;
            all[feed].take(&rows, arrival, Some(head.arrived_ms));
            arrival += rows.num_rows() as u64;
        }
    }
    Ok(())
}

/// Rows of a file. When they arrived only a column can tell.
fn of_file(path: &Path, spec: &FeedSpec, zone: &Zone, all: &mut Measuring) -> anyhow::Result<()> {
    let format = Format::of_path(path).with_context(|| {
        format!("{} has no known ending, use .ndjson, .csv, .parquet or .arrow", path.display())
    })?;
    let file = File::open(path).with_context(|| format!("{}", path.display()))?;
    let input = if format.is_text() { Input::Reader(Box::new(file)) } else { Input::File(file) };
    // Nothing is written: pseudonyms of any key will do.
    let secret = Secret::new([0; 32]);
    let options = OpenOptions::new(spec.schema.clone(), zone.clone(), format, secret);
    let options =
        OpenOptions { encoding: spec.encoding, compression: Compression::of_path(path), ..options };
    let (mut arrival, mut dead) = (1, 0);
    for decoded in open(input, &options).with_context(|| format!("{}", path.display()))? {
        let decoded = decoded.with_context(|| format!("{}", path.display()))?;
        all.take(&decoded.rows, arrival, None);
        arrival += decoded.rows.num_rows() as u64;
        dead += decoded.dead.len();
    }
    if dead > 0 {
        writeln!(std::io::stderr(), "{}: {dead} records cannot be read, left out", path.display())?;
    }
    Ok(())
}

fn table(shown: &[(&str, Vec<DelayRow>)]) -> String {
    let head = ["FEED", "FROM", "TO", "RECORDS", "P50", "P75", "P90", "P99", "MAX", "BACKWARDS"];
    let mut rows = vec![head.map(str::to_owned)];
    for (feed, delays) in shown {
        for d in delays {
            let span = |s: Option<i64>| s.map_or_else(|| "-".into(), |s| format_span(s * 1_000));
            rows.push([
                (*feed).to_owned(),
                d.from.clone(),
                d.to.clone(),
                d.records.to_string(),
                span(d.p50_seconds),
                span(d.p75_seconds),
                span(d.p90_seconds),
                span(d.p99_seconds),
                span(d.max_seconds),
                d.negative.to_string(),
            ]);
        }
    }
    let width = |c: usize| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |row: &[String; 10]| {
        let cells = row.iter().zip(&widths).map(|(cell, w)| format!("{cell:<w$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
