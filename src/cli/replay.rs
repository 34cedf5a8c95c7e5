//! `forewarn replay`: files through the engine, results into a directory.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, bail};
use forewarn::{
    engine::{
        disorder::Disorder,
        labels::{self, Finder},
        pipeline::{Options, Pipeline, Step},
        replay::{self, Input, ReplayOptions, Replayed, Sink},
        runs::RunSize,
        score::{Raised, Score},
    },
    feed::FeedSpec,
    model::{batch::DeadLetter, secret::Secret, signal::Key, time::Zone},
    sink::found::{FoundFiles, RuleName},
};
use serde_json::{Map, Value, json};

use super::verify::{Replayed as Again, verify};

/// Run files through the engine: back-test rules on history
#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// A file or directory of a feed; may be given many times. The ending tells the format: .ndjson .csv .parquet .arrow,
    /// with .gz or .zst behind it if compressed
    #[arg(long = "input", value_name = "FEED=PATH", required = true)]
    pub(super) inputs: Vec<String>,
    /// Configuration that says rules, zone and data where the options do not; forewarn.yaml where there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of rules, with feed files in its `feeds` [default: rules]
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Directory of the feed files, if not `feeds` in the rules' directory
    #[arg(long, value_name = "DIR")]
    pub(super) feeds: Option<PathBuf>,
    /// Directory for signals.ndjson, alerts.ndjson, dead_letters.ndjson and summary.json
    #[arg(long, value_name = "DIR", required_unless_present = "diff")]
    out: Option<PathBuf>,
    /// Run two rule files, or two directories of rules, over the same input and tell which alerts appear, vanish, or are told
    /// otherwise; exit code 1 where any is. A single file is run as if it were live
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with_all = ["out", "verify", "labels"])]
    diff: Option<Vec<PathBuf>>,
    /// How the difference is written
    #[arg(long, value_enum, default_value = "human", requires = "diff")]
    pub(super) format: super::diff::Format,
    /// Leave out events before this date or instant
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Leave out events from this date or instant on, and close windows up to it
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The present: events dated further ahead than their feed's max_skew are refused
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
    /// Close the windows that hold the last events too, as if nothing more would come; else they are "open"
    #[arg(long)]
    close_open: bool,
    /// Zone in which days begin [default: Asia/Shanghai]
    #[arg(long)]
    zone: Option<String>,
    /// Shards that work side by side; does not change the result
    #[arg(long, value_name = "N")]
    shards: Option<usize>,
    /// Rows per batch at most; does not change the result
    #[arg(long, default_value_t = 65_536, value_name = "N")]
    batch_rows: usize,
    /// Deliver rows in another order within their feed's lateness; does not change the signals
    #[arg(long, value_name = "SEED")]
    shuffle: Option<u64>,
    /// Send one row in eight twice; does not change the result
    #[arg(long, value_name = "SEED")]
    duplicates: Option<u64>,
    /// Prove it on this input: run it again with other shards and batches, rows sent twice, and another order within
    /// lateness; exit code 1 and the first line that differs if any does
    #[arg(long, conflicts_with_all = ["shuffle", "duplicates"])]
    verify: bool,
    /// Incidents that should be found: truth.ndjson of `forewarn simulate`, or a table of rule, its key columns, from, until,
    /// harm. Counts what was found and missed, false alarms and lead time
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Directory with the local key of pseudonyms and seals [default: data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// No progress bar and no summary
    #[arg(long, short)]
    pub(super) quiet: bool,
}

#[expect(clippy::disallowed_methods, reason = "the command line is where clocks are read")]
pub(crate) fn run(args: Replay) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let config = super::config(args.config.as_deref())?;
    let zone = args.zone.as_deref().map_or(Ok(config.zone), Zone::parse)?;
    let rules_dir = args.rules.clone().unwrap_or(config.rules);
    let data = args.data.clone().unwrap_or(config.data);
    if let Some([old, new]) = args.diff.as_deref() {
        let compared = super::diff::Compared { old, new, rules: &rules_dir, data: &data };
        return super::diff::run(&args, &compared, &zone);
    }
    let Some(dir) = args.out.as_deref() else {
        bail!("name a directory for the result with --out")
    };
    let feeds_dir = args.feeds.clone().unwrap_or_else(|| rules_dir.join("feeds"));
    let Some((specs, rules)) = super::load(&rules_dir, &feeds_dir, &zone)? else {
        return Ok(ExitCode::from(2));
    };
    let inputs = inputs(&args.inputs, &specs)?;
    let options = args.options(&zone);
    let shards = options.shards;
    let mut pipeline = match Pipeline::try_new(specs.clone(), &rules, options) {
        Ok(pipeline) => pipeline,
        Err(findings) => {
            super::print_findings(&findings);
            return Ok(ExitCode::from(2));
        }
    };
    let incidents =
        args.labels.as_deref().map(|path| labels::read(path, &finders(&pipeline), &zone));
    let incidents = incidents.transpose()?;
    let how = args.how(&zone, secret(&pipeline, &data)?)?;
    let bar = super::bar(bytes(&inputs), args.quiet);
    let mut out = Out::create(&pipeline, dir, bar)?;
    let done = replay::replay(&mut pipeline, &inputs, &how, &mut out)?;
    out.finish(dir)?;
    let seconds = began.elapsed().as_secs_f64();
    let mut summary = summary(&pipeline, &done, &out, &zone, seconds, shards);
    let score = incidents.map(|incidents| {
        let alerts = out.found.alerts();
        let rules = &pipeline.plan().rules;
        let keys: Vec<Key> = alerts.iter().map(|a| labels::text_key(&a.key)).collect();
        let raised: Vec<Raised<'_>> = alerts
            .iter()
            .zip(&keys)
            .map(|(a, key)| Raised { key, ..Raised::new(&rules[a.rule].id, a) })
            .collect();
        Score::of(&incidents, &raised, done.until_ms.unwrap_or(i64::MAX))
    });
    if let Some(score) = &score {
        summary["labels"] = json!({
            "found": score.found.len(), "missed": score.missed.len(), "open": score.open.len(), "related": score.related.len(),
            "false_alarms": score.false_alarms.len(), "taken_back": score.taken_back, "recall": score.recall(),
            "precision": score.precision(), "lead_days": score.lead_days(),
        });
    }
    let path = dir.join("summary.json");
    std::fs::write(&path, serde_json::to_string_pretty(&summary)? + "\n")
        .with_context(|| format!("{} cannot be written", path.display()))?;
    if !args.quiet {
        let scored = score.map_or_else(String::new, |s| format!("\n{s}"));
        io::stdout().write_all((for_people(&summary, dir) + &scored).as_bytes())?;
    }
    if args.verify {
        let (out, specs, rules) = (dir, &specs[..], &rules[..]);
        let replayed = Again { specs, rules, zone: &zone, inputs: &inputs, how: &how, out };
        if !verify(&replayed)? {
            return Ok(ExitCode::from(1));
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Replay {
    /// How the engine works: the zone, and how many shards.
    pub(super) fn options(&self, zone: &Zone) -> Options {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Options { zone: zone.clone(), shards: self.shards.unwrap_or(cores).max(1), eager: false }
    }

    /// What part of the input is taken, and how.
    pub(super) fn how(&self, zone: &Zone, secret: Secret) -> anyhow::Result<ReplayOptions> {
        let instant = |text: &Option<String>, name: &str| match text {
            Some(text) => super::instant(text, &format!("--{name}"), zone).map(Some),
            None => Ok(None),
        };
        Ok(ReplayOptions {
            from_ms: instant(&self.from, "from")?,
            to_ms: instant(&self.to, "to")?,
            now_ms: instant(&self.now, "now")?.unwrap_or_else(super::now_ms),
            close_open: self.close_open,
            batch_rows: self.batch_rows.max(1),
            disorder: Disorder { shuffle: self.shuffle, duplicates: self.duplicates },
            secret,
        })
    }
}

/// Bytes of all files.
pub(super) fn bytes(inputs: &[Input]) -> u64 {
    inputs.iter().filter_map(|i| i.path.metadata().ok()).map(|m| m.len()).sum()
}

/// Writes what the replay finds.
pub(super) struct Out {
    found: FoundFiles,
    bar: indicatif::ProgressBar,
    sealed: Vec<bool>,
    feeds: Vec<String>,
}

impl Out {
    /// Makes the files in `dir`.
    pub(super) fn create(
        pipeline: &Pipeline,
        dir: &Path,
        bar: indicatif::ProgressBar,
    ) -> anyhow::Result<Self> {
        let names = pipeline.plan().rules.iter().map(|r| RuleName {
            id: r.id.clone(),
            version: r.version,
            values: r.value_names().map(str::to_owned).collect(),
        });
        let found = FoundFiles::create(dir, pipeline.zone().clone(), names.collect())
            .with_context(|| format!("result directory {} cannot be made", dir.display()))?;
        let sealed = pipeline.specs().iter().map(|s| s.schema.has_personal()).collect();
        let feeds = pipeline.specs().iter().map(|s| s.name().to_owned()).collect();
        Ok(Self { found, bar, sealed, feeds })
    }

    /// Writes signals and alerts.
    pub(super) fn finish(&mut self, dir: &Path) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        self.found
            .finish()
            .with_context(|| format!("results in {} cannot be written", dir.display()))
    }
}

impl Sink for Out {
    fn take(&mut self, step: Step) -> io::Result<()> {
        self.found.take(step.signals, step.alerts);
        for (feed, partition, letter) in step.dead {
            self.dead(feed, &partition, letter)?;
        }
        Ok(())
    }

    fn dead(&mut self, feed: usize, partition: &str, letter: DeadLetter) -> io::Result<()> {
        // Raw bytes of feeds with personal columns are not copied into a result directory: the input still has them.
        let raw = if self.sealed[feed] {
            Value::Null
        } else {
            String::from_utf8_lossy(&letter.raw).into()
        };
        self.found.dead(&self.feeds[feed], partition, &letter, &raw)
    }

    fn progress(&mut self, bytes: u64) {
        self.bar.set_position(bytes);
    }
}

/// The rules, with the names of their keys.
pub(super) fn finders(pipeline: &Pipeline) -> Vec<Finder> {
    let rules = pipeline.plan().rules.iter();
    rules.map(|r| Finder { rule: r.id.clone(), key: r.key_names.clone() }).collect()
}

/// `FEED=PATH` arguments; a directory stands for its files.
pub(super) fn inputs(args: &[String], specs: &[FeedSpec]) -> anyhow::Result<Vec<Input>> {
    let mut out = Vec::new();
    for arg in args {
        let Some((name, path)) = arg.split_once('=') else {
            bail!("--input {arg:?}: write FEED=PATH, like complaints=orders.csv");
        };
        let Some(feed) = specs.iter().position(|s| s.name() == name) else {
            let known: Vec<&str> = specs.iter().map(FeedSpec::name).collect();
            bail!("--input {arg:?}: there is no feed {name:?}; known feeds: {}", known.join(", "));
        };
        let path = Path::new(path);
        if path.is_dir() {
            let mut files: Vec<PathBuf> = std::fs::read_dir(path)
                .and_then(|d| d.map(|e| e.map(|e| e.path())).collect())
                .with_context(|| format!("directory {} cannot be read", path.display()))?;
            files.retain(|f| f.is_file());
            files.sort();
            out.extend(files.into_iter().map(|path| Input { feed, path }));
        } else {
            out.push(Input { feed, path: path.to_owned() });
        }
    }
    Ok(out)
}

/// The local key where a feed needs one; a fixed one where nothing personal is read.
pub(super) fn secret(pipeline: &Pipeline, data: &Path) -> anyhow::Result<Secret> {
    if pipeline.specs().iter().any(|s| s.schema.has_personal()) {
        super::local_key(data)
    } else {
        Ok(Secret::new([0; 32]))
    }
}

fn summary(
    pipeline: &Pipeline,
    done: &Replayed,
    out: &Out,
    zone: &Zone,
    seconds: f64,
    shards: usize,
) -> Value {
    let mut feeds = Map::new();
    let mut rows = 0;
    for (i, spec) in pipeline.specs().iter().enumerate() {
        let (good, dead) = done.decoded[i];
        if good + dead == 0 {
            continue;
        }
        rows += good + dead;
        let c = done.counts[i];
        feeds.insert(
            spec.name().to_owned(),
            json!({
                "rows": good + dead, "accepted": c.accepted, "duplicates": c.duplicates, "corrections": c.corrections,
                "conflicts": c.conflicts, "dead_letters": dead + c.late + c.future, "late": c.late, "future": c.future,
                "unattributed": c.unattributed, "invalid_codes": done.invalid_codes[i],
            }),
        );
    }
    let troubles = pipeline.troubles();
    let runs = pipeline.run_sizes();
    let mut rules = Map::new();
    for (i, (rule, signals, alerts)) in out.found.by_rule().into_iter().enumerate() {
        let (failures, not_ready) = troubles[i];
        let mut line = json!({"version": rule.version, "signals": signals, "alerts": alerts});
        if failures > 0 {
            line["evaluation_failures"] = failures.into();
        }
        if not_ready > 0 {
            line["not_ready"] = not_ready.into();
        }
        if runs[i].late > 0 {
            line["late_rows"] = runs[i].late.into();
        }
        rules.insert(rule.id.clone(), line);
    }
    let mut suppressed: BTreeMap<&str, u64> = BTreeMap::new();
    for id in out.found.alerts().into_iter().filter_map(|a| a.exception.as_deref()) {
        *suppressed.entry(id).or_default() += 1;
    }
    let sizes = pipeline.sizes();
    let (records, record_bytes) =
        pipeline.remembered().into_iter().fold((0, 0), |(n, b), (m, c)| (n + m, b + c));
    let sum =
        |f: fn(&forewarn::pane::store::StoreSize) -> usize| sizes.iter().map(f).sum::<usize>();
    let held = runs.into_iter().fold(RunSize::default(), RunSize::plus);
    json!({
        "events": rows,
        "seconds": (seconds * 1000.0).round() / 1000.0,
        "events_per_second": (rows as f64 / seconds).round() as u64,
        "shards": shards,
        "from": done.first_event_ms.map(|ms| zone.format(ms)),
        "until": done.until_ms.map(|ms| zone.format(ms)),
        "feeds": feeds,
        "rules": rules,
        "suppressed_by_exception": suppressed,
        "state": {
            "entries": sum(|s| s.entries), "series_bytes": sum(|s| s.series_bytes), "distinct_bytes": sum(|s| s.set_bytes),
            "keys": sum(|s| s.keys), "key_bytes": sum(|s| s.key_bytes), "rows": sum(|s| s.rows), "row_reference_bytes": sum(|s| s.row_index_bytes),
            "sequence_keys": held.keys, "sequence_runs": held.runs, "sequence_rows": held.rows, "sequence_bytes": held.bytes,
            "remembered_records": records, "remembered_record_bytes": record_bytes,
        },
        "peak_memory_bytes": super::peak_memory_bytes(),
    })
}

/// The summary as people read it.
fn for_people(summary: &Value, out: &Path) -> String {
    let mut text = String::new();
    let mut line = |s: String| {
        text.push_str(&s);
        text.push('\n');
    };
    line(format!(
        "{} events in {} s ({} events/s), {} MB peak memory",
        summary["events"],
        summary["seconds"],
        summary["events_per_second"],
        summary["peak_memory_bytes"].as_u64().unwrap_or(0) / 1_000_000
    ));
    line(String::new());
    line(format!(
        "{:<20} {:>10} {:>10} {:>10} {:>11} {:>12}",
        "feed", "rows", "accepted", "duplicates", "corrections", "dead letters"
    ));
    for (name, f) in summary["feeds"].as_object().into_iter().flatten() {
        line(format!(
            "{name:<20} {:>10} {:>10} {:>10} {:>11} {:>12}",
            f["rows"].to_string(),
            f["accepted"].to_string(),
            f["duplicates"].to_string(),
            f["corrections"].to_string(),
            f["dead_letters"].to_string()
        ));
    }
    line(String::new());
    line(format!("{:<32} {:>10} {:>10}", "rule", "signals", "alerts"));
    let rules: Vec<_> = summary["rules"].as_object().into_iter().flatten().collect();
    for (name, r) in rules.iter().take(60) {
        let mut notes = String::new();
        if let Some(n) = r["evaluation_failures"].as_u64() {
            notes.push_str(&format!("  {n} evaluations failed"));
        }
        if r["signals"] == 0 && r["not_ready"].as_u64().is_some() {
            notes.push_str("  not ready: its compare lacks history");
        }
        line(format!(
            "{name:<32} {:>10} {:>10}{notes}",
            r["signals"].to_string(),
            r["alerts"].to_string()
        ));
    }
    if rules.len() > 60 {
        line(format!("… and {} more rules in summary.json", rules.len() - 60));
    }
    line(String::new());
    line(format!("results: {}", out.display()));
    text
}
