//! `forewarn dead-letters`: what was refused, why, and the way back in.
//!
//! `list` shows letters without their bytes, which may hold personal data. `replay` writes the bytes into a file as they
//! came, to be mended where needed and pushed again, and notes that it did.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use forewarn::{
    model::{batch::DeadClass, time::Zone},
    store::dead_letters::{DeadLetters, Filter, Listing, Stored},
};
use serde_json::json;

/// List refused rows, or write them out to be pushed again
#[derive(Debug, Args)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show letters and why they were refused, never their bytes
    List(List),
    /// Write the rows as they came into a file, and note that it was done
    Replay(Replay),
}

/// Which letters.
#[derive(Debug, Args)]
struct Which {
    /// Data directory of the server
    #[arg(long, default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// Of this class only; may be given many times
    #[arg(long = "class", value_name = "CLASS")]
    classes: Vec<String>,
    /// Of this partition only: a file name or the name of a token
    #[arg(long, value_name = "NAME")]
    partition: Option<String>,
    /// That arrived at this date or instant or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only these letters; may be given many times
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
    /// Zone of times
    #[arg(long, default_value = "Asia/Shanghai")]
    zone: String,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    which: Which,
    /// Of this feed only
    #[arg(long, value_name = "FEED")]
    feed: Option<String>,
    /// Show at most so many, the latest ones
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
    /// Also those that were replayed
    #[arg(long)]
    replayed: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Replay {
    #[command(flatten)]
    which: Which,
    /// The feed
    #[arg(long, value_name = "FEED")]
    feed: String,
    /// File to write; must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Lists or replays; exit code 1 when no letter is like that.
pub(crate) fn run(args: &DeadLettersArgs) -> anyhow::Result<ExitCode> {
    let found = match &args.command {
        Command::List(args) => list(args)?,
        Command::Replay(args) => replay(args)?,
    };
    Ok(if found { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn list(args: &List) -> anyhow::Result<bool> {
    let zone = Zone::parse(&args.which.zone)?;
    let filter = args.which.filter(args.feed.clone(), args.replayed, &zone)?;
    let listing = open(&args.which.data)?.list(&filter)?;
    let mut letters: Vec<&Stored> = listing.letters.iter().collect();
    letters.sort_by_key(|l| l.at_ms);
    let shown = &letters[letters.len().saturating_sub(args.limit)..];
    let mut out = io::stdout().lock();
    for letter in shown {
        writeln!(out, "{}", if args.json { as_json(letter, &zone) } else { as_text(letter, &zone) })?;
    }
    if !args.json {
        tell_rest(letters.len(), shown.len(), &listing)?;
    }
    Ok(!letters.is_empty())
}

fn replay(args: &Replay) -> anyhow::Result<bool> {
    let zone = Zone::parse(&args.which.zone)?;
    let filter = args.which.filter(Some(args.feed.clone()), false, &zone)?;
    let mut store = open(&args.which.data)?;
    let letters = store.list(&filter)?.letters;
    if letters.is_empty() {
        writeln!(io::stderr(), "no open dead letters of feed {:?} are like that", args.feed)?;
        return Ok(false);
    }
    let raws = letters.iter().map(|l| store.raw(l)).collect::<Result<Vec<_>, _>>()?;
    let bytes = joined(&raws).context("choose among them with --partition or --id")?;
    let failed = || format!("{} cannot be written", args.out.display());
    let mut file = std::fs::File::create_new(&args.out).with_context(failed)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).with_context(failed)?;
    // Only when the rows are safe: a letter noted as replayed is not shown again.
    let ids: Vec<String> = letters.iter().map(|l| l.id.clone()).collect();
    store.mark_replayed(&args.feed, &ids, super::now_ms())?;
    writeln!(io::stderr(), "{} rows in {}; mend them and push them again", ids.len(), args.out.display())?;
    Ok(true)
}

impl Which {
    fn filter(&self, feed: Option<String>, replayed: bool, zone: &Zone) -> anyhow::Result<Filter> {
        let class = |word: &String| {
            DeadClass::parse(word).with_context(|| {
                let known = DeadClass::ALL.map(DeadClass::word).join(", ");
                format!("--class {word:?} is no class of dead letters; known classes: {known}")
            })
        };
        let since_ms = match &self.since {
            None => None,
            Some(text) => Some(zone.parse_instant(text).with_context(|| {
                format!("--since {text:?} is neither a date nor an instant, write 2026-03-05 or 2026-03-05T08:00:00+08:00")
            })?),
        };
        Ok(Filter {
            feed,
            classes: self.classes.iter().map(class).collect::<Result<_, _>>()?,
            partition: self.partition.clone(),
            ids: self.ids.clone(),
            since_ms,
            until_ms: None,
            replayed,
        })
    }
}

fn open(data: &Path) -> anyhow::Result<DeadLetters> {
    if !data.is_dir() {
        bail!("there is no data directory at {}; name it with --data", data.display());
    }
    Ok(DeadLetters::new(data, &super::local_key(data)?))
}

/// The rows of one file. Letters of a CSV source carry its header line, which is written once.
///
/// # Errors
/// When the letters come from files with different header lines, or from text and columnar sources: no one file holds
/// them.
fn joined(raws: &[Vec<u8>]) -> anyhow::Result<Vec<u8>> {
    let mut out: Vec<u8> = Vec::new();
    let mut header: Option<Option<&[u8]>> = None;
    for raw in raws {
        let (own, row) = split(raw);
        match header {
            None => {
                header = Some(own);
                out.extend_from_slice(own.unwrap_or_default());
            }
            Some(first) if first != own => {
                bail!("the letters come from files with different headings, which cannot be one file")
            }
            Some(_) => {}
        }
        out.extend_from_slice(row);
        if !row.ends_with(b"\n") {
            out.push(b'\n');
        }
    }
    Ok(out)
}

/// Header line and row of a CSV letter; an NDJSON letter has no header. A row of JSON begins with a brace, a header of
/// CSV never does.
fn split(raw: &[u8]) -> (Option<&[u8]>, &[u8]) {
    if raw.trim_ascii_start().starts_with(b"{") {
        return (None, raw);
    }
    match raw.iter().position(|b| *b == b'\n') {
        Some(end) if end + 1 < raw.len() => {
            let (header, row) = raw.split_at(end + 1);
            (Some(header), row)
        }
        _ => (None, raw),
    }
}

fn as_text(letter: &Stored, zone: &Zone) -> String {
    let replayed = if letter.replayed_ms.is_some() { " (replayed)" } else { "" };
    format!(
        "{} {} {} {}:{} {}{replayed}\n  {}",
        letter.id,
        zone.format(letter.at_ms),
        letter.feed,
        letter.partition,
        letter.line,
        letter.class.word(),
        letter.message,
    )
}

fn as_json(letter: &Stored, zone: &Zone) -> String {
    json!({
        "id": letter.id,
        "at": zone.format(letter.at_ms),
        "feed": letter.feed,
        "partition": letter.partition,
        "line": letter.line,
        "class": letter.class.word(),
        "message": letter.message,
        "sealed": letter.sealed,
        "replayed": letter.replayed_ms.map(|ms| zone.format(ms)),
    })
    .to_string()
}

fn tell_rest(all: usize, shown: usize, listing: &Listing) -> io::Result<()> {
    let mut err = io::stderr().lock();
    if shown < all {
        writeln!(err, "{shown} of {all} dead letters, the latest; --limit shows more")?;
    } else {
        writeln!(err, "{all} dead letters")?;
    }
    if listing.unreadable > 0 {
        writeln!(err, "{} lines are damaged and were left out", listing.unreadable)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_become_one_file() {
        for (raws, expect) in [
            (vec!["{\"a\":1}", "{\"a\":\n"], Some("{\"a\":1}\n{\"a\":\n")),
            (vec!["编号,日期\r\nA,x\r\n", "编号,日期\r\nB,y"], Some("编号,日期\r\nA,x\r\nB,y\n")),
            (vec!["a,b\nA,x\n", "b,a\nB,y\n"], None),
            (vec!["a,b\nA,x\n", "{\"a\":1}\n"], None),
            (vec!["no json at all"], Some("no json at all\n")),
        ] {
            let raws: Vec<Vec<u8>> = raws.into_iter().map(|r| r.as_bytes().to_vec()).collect();
            let found = joined(&raws).ok().map(|b| String::from_utf8(b).unwrap());
            assert_eq!(found.as_deref(), expect);
        }
    }
}
