//! `forewarn replay --verify`: the same input again, run otherwise, must give the same files.
//!
//! In: a replay that was just written. It is run again with other shards and batches, with rows sent twice, and in another
//! order within lateness; signals must be the same bytes every time, alerts wherever the order is the same. The other run
//! is kept in `verify/` only where it differs.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

use anyhow::Context;
use forewarn::{
    engine::{
        disorder::Disorder,
        pipeline::{Options, Pipeline},
        replay::{self, Input, ReplayOptions},
    },
    feed::FeedSpec,
    model::time::Zone,
    rule::file::RuleFile,
};

use super::replay::Out;

/// What is replayed.
pub(super) struct Replayed<'a> {
    pub(super) specs: &'a [FeedSpec],
    pub(super) rules: &'a [RuleFile],
    pub(super) zone: &'a Zone,
    pub(super) inputs: &'a [Input],
    pub(super) how: &'a ReplayOptions,
    /// The directory that holds what was found.
    pub(super) out: &'a Path,
}

/// The other ways: shards, rows per batch, another order or copies.
const WAYS: [(usize, usize, Disorder); 4] = [
    (1, 1_000, Disorder { shuffle: None, duplicates: None }),
    (3, 7_919, Disorder { shuffle: None, duplicates: Some(1) }),
    (2, 4_096, Disorder { shuffle: Some(1), duplicates: None }),
    (5, 65_536, Disorder { shuffle: Some(2), duplicates: Some(2) }),
];

/// Runs the replay in other ways and says what it saw; returns whether all files were equal.
pub(super) fn verify(replayed: &Replayed<'_>) -> anyhow::Result<bool> {
    let again = replayed.out.join("verify");
    for (shards, batch_rows, disorder) in WAYS {
        let options = Options { zone: replayed.zone.clone(), shards, eager: false };
        let compiled = Pipeline::try_new(replayed.specs.to_vec(), replayed.rules, options);
        let mut pipeline = compiled.ok().context("rules that compiled once compile again")?;
        let how = ReplayOptions { batch_rows, disorder, ..replayed.how.clone() };
        let mut out = Out::create(&pipeline, &again, indicatif::ProgressBar::hidden())?;
        replay::replay(&mut pipeline, replayed.inputs, &how, &mut out)?;
        out.finish(&again)?;
        let mut words = vec![format!("{shards} shard(s)"), format!("{batch_rows} rows a batch")];
        words.extend(disorder.duplicates.map(|_| "some rows twice".to_owned()));
        words.extend(disorder.shuffle.map(|_| "another order".to_owned()));
        let files: &[&str] = match disorder.shuffle {
            None => &["signals.ndjson", "alerts.ndjson"],
            Some(_) => &["signals.ndjson"],
        };
        for file in files {
            let (a, b) = (replayed.out.join(file), again.join(file));
            if let Some((line, first, second)) = first_difference(&a, &b)? {
                say(&format!(
                    "verify: {file} differs with {}, line {line}:\n  {first}\n  {second}",
                    words.join(", ")
                ))?;
                return Ok(false);
            }
        }
        say(&format!("verify: equal with {} ({})", words.join(", "), files.join(", ")))?;
    }
    fs::remove_dir_all(&again).with_context(|| format!("{} cannot be removed", again.display()))?;
    Ok(true)
}

/// The first line in which two files differ: its number and what each has there.
fn first_difference(a: &Path, b: &Path) -> anyhow::Result<Option<(usize, String, String)>> {
    let open = |path: &Path| -> anyhow::Result<_> {
        let file =
            File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(BufReader::new(file).lines())
    };
    let (mut a, mut b) = (open(a)?, open(b)?);
    for line in 1.. {
        let (first, second) = (a.next().transpose()?, b.next().transpose()?);
        if first != second {
            let text = |line: Option<String>| line.unwrap_or_else(|| "(the file ends)".into());
            return Ok(Some((line, text(first), text(second))));
        }
        if first.is_none() {
            break;
        }
    }
    Ok(None)
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}
