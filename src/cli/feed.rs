//! `forewarn feed`: work on feed files.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use forewarn::{
    decode::{Compression, Format, Input, sample},
    feed::infer,
    model::{schema::Encoding, time::Zone},
};

/// Work on feed files
#[derive(Debug, clap::Args)]
pub(crate) struct Feed {
    #[command(subcommand)]
    command: FeedCommand,
}

#[derive(Debug, clap::Subcommand)]
enum FeedCommand {
    /// Propose a feed file from a sample of the data
    Infer(Infer),
}

/// Propose a feed file from a sample of the data
#[derive(Debug, clap::Args)]
struct Infer {
    /// .csv, .ndjson, .parquet or .arrow, with .gz or .zst behind it if compressed
    file: PathBuf,
    /// Name of the feed; the file's where left out
    #[arg(long)]
    name: Option<String>,
    /// Records to look at
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    rows: usize,
    /// Format, where the ending does not tell: ndjson, csv, parquet or arrow
    #[arg(long)]
    format: Option<String>,
    /// Zone of times without an offset
    #[arg(long, default_value = "Asia/Shanghai")]
    zone: String,
    /// Write it here instead of to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Feed) -> anyhow::Result<ExitCode> {
    match &args.command {
        FeedCommand::Infer(args) => infer_feed(args),
    }
}

fn infer_feed(args: &Infer) -> anyhow::Result<ExitCode> {
    let file = &args.file;
    let format = match &args.format {
        Some(word) => Format::of_path(Path::new(&format!("x.{word}")))
            .with_context(|| format!("format {word:?} is none of ndjson, csv, parquet, arrow"))?,
        None => Format::of_path(file).with_context(|| {
            format!("the ending of {} tells no format: name it with --format", file.display())
        })?,
    };
    let zone = Zone::parse(&args.zone)?;
    let input = Input::File(File::open(file).with_context(|| format!("{}", file.display()))?);
    let sample = sample(input, format, Compression::of_path(file), Encoding::Auto, args.rows)
        .with_context(|| format!("{}", file.display()))?;
    let name = args.name.clone().unwrap_or_else(|| name_of(file));
    let proposal = infer::infer(&name, &sample.headings, &sample.rows, &zone)
        .with_context(|| format!("{}", file.display()))?;
    match &args.out {
        Some(out) if out.exists() => bail!("{} exists already", out.display()),
        Some(out) => {
            std::fs::write(out, &proposal.yaml).with_context(|| format!("{}", out.display()))?;
        }
        None => std::io::stdout().write_all(proposal.yaml.as_bytes())?,
    }
    let mut err = std::io::stderr().lock();
    for note in &proposal.notes {
        writeln!(err, "{note}")?;
    }
    if sample.unreadable > 0 {
        writeln!(err, "{} records could not be read", sample.unreadable)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `complaints` of `2026-03_Complaints.csv.gz`: the letters of the file's name.
fn name_of(file: &Path) -> String {
    let stem = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let stem = stem.split('.').next().unwrap_or_default().to_lowercase();
    let words = stem.split(|c: char| !c.is_ascii_lowercase()).filter(|w| w.len() > 1);
    let name = words.collect::<Vec<_>>().join("_");
    if name.is_empty() { "new_feed".to_owned() } else { name }
}
