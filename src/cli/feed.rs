//! `forewarn feed infer`: a file that nobody has described yet → a feed file to start from.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use forewarn::{
    decode::{Compression, Format, Input, sample},
    feed::infer::infer,
    model::{schema::Encoding, time::Zone},
};

/// First line of every feed file, for completion in editors.
const SCHEMA_LINE: &str = "# yaml-language-server: $schema=../schema/feed.schema.json\n";

/// Describe feeds
#[derive(Debug, Args)]
pub(crate) struct Feed {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Propose a feed file from the first records of a file
    Infer(Infer),
}

#[derive(Debug, Args)]
struct Infer {
    /// The file; its ending tells the format: .ndjson .csv .parquet .arrow, with .gz or .zst behind it if compressed
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name of the feed; without it the file's
    #[arg(long, value_name = "NAME")]
    feed: Option<String>,
    /// Write the feed file here instead of showing it; must not be there yet
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Look at so many records
    #[arg(long, default_value_t = 5_000, value_name = "N")]
    rows: usize,
    /// Zone of times without an offset
    #[arg(long, default_value = "Asia/Shanghai")]
    zone: String,
}

pub(crate) fn run(args: &Feed) -> anyhow::Result<ExitCode> {
    let Command::Infer(args) = &args.command;
    let zone = Zone::parse(&args.zone)?;
    let format = Format::of_path(&args.file).with_context(|| {
        format!("{}: the ending tells no format; rename it to .ndjson, .csv, .parquet or .arrow", args.file.display())
    })?;
    let failed = || format!("{} cannot be read", args.file.display());
    let input = Input::File(File::open(&args.file).with_context(failed)?);
    let compression = Compression::of_path(&args.file);
    let sample = sample(input, format, compression, Encoding::Auto, args.rows.max(1)).with_context(failed)?;
    let name = name_of(args);
    let proposal = infer(&name, &sample.headings, &sample.rows, &zone)
        .with_context(|| format!("{}: no feed can be proposed", args.file.display()))?;
    let yaml = match proposal.yaml.starts_with("# yaml-language-server") {
        true => proposal.yaml,
        false => format!("{SCHEMA_LINE}{}", proposal.yaml),
    };
    match &args.out {
        Some(path) => write_new(path, &yaml)?,
        None => io::stdout().write_all(yaml.as_bytes())?,
    }
    let mut err = io::stderr().lock();
    for note in &proposal.notes {
        writeln!(err, "{note}")?;
    }
    if sample.unreadable > 0 {
        writeln!(err, "{} records could not be read and were left out", sample.unreadable)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A feed is called like its file, and so the other way round.
fn name_of(args: &Infer) -> String {
    let stem = |path: &Path| path.file_name().and_then(|n| n.to_str()).map(|n| n.split('.').next().unwrap_or(n).to_owned());
    let given = args.feed.clone().or_else(|| stem(args.out.as_ref()?)).or_else(|| stem(&args.file));
    feed_name(&given.unwrap_or_default())
}

/// Any text as a name of a–z, 0–9 and `_` that starts with a letter.
fn feed_name(text: &str) -> String {
    let mut name = String::new();
    for c in text.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' => name.push(c),
            _ if !name.is_empty() && !name.ends_with('_') => name.push('_'),
            _ => {}
        }
    }
    let name = name.trim_matches('_');
    match name.chars().next() {
        None => "feed".to_owned(),
        Some('0'..='9') => format!("feed_{name}"),
        Some(_) => name.to_owned(),
    }
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || format!("{} cannot be written", path.display());
    File::create_new(path).and_then(|mut f| f.write_all(text.as_bytes())).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_file_name_becomes_a_feed_name() {
        for (text, expect) in [
            ("lifts", "lifts"),
            ("Day 2026-03", "day_2026_03"),
            ("2026抽检", "feed_2026"),
            ("投诉", "feed"),
            ("_a_", "a"),
        ] {
            assert_eq!(feed_name(text), expect, "{text}");
        }
    }
}
