//! What a replay found, as files: `signals.ndjson`, `alerts.ndjson`, `dead_letters.ndjson`.
//!
//! In: signals, revisions and dead letters in any order. Out: signals sorted by rule, key and window; each alert once, as it
//! ended, sorted by when it was first known. Both are the same bytes whatever the batches, shards and duplicates were, so
//! they hold no arrival numbers.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::mpsc::sync_channel,
    thread,
};

use rayon::prelude::*;
use serde_json::{Value, json};

use super::rule_signals::RuleSignals;
use crate::model::{alert::Alert, batch::DeadLetter, signal::Signals, time::Zone};

/// What the files say of a rule.
#[derive(Debug, Clone)]
pub struct RuleName {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// Names of its values.
    pub values: Vec<String>,
}

/// Rules whose lines are made side by side, while those of the rules before them are written.
const RULES_AT_ONCE: usize = 4;

/// Collects and writes.
#[derive(Debug)]
pub struct FoundFiles {
    dir: PathBuf,
    zone: Zone,
    rules: Vec<RuleName>,
    /// By rule.
    signals: Vec<RuleSignals>,
    /// By id: the latest revision.
    alerts: BTreeMap<String, Alert>,
    dead: BufWriter<File>,
    /// Dead letters written.
    pub dead_letters: u64,
}

impl FoundFiles {
    /// Makes `dir` and the files in it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn create(dir: &Path, zone: Zone, rules: Vec<RuleName>) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let dead = BufWriter::new(File::create(dir.join("dead_letters.ndjson"))?);
        Ok(Self {
            dir: dir.to_owned(),
            zone,
            signals: rules.iter().map(|_| RuleSignals::default()).collect(),
            rules,
            alerts: BTreeMap::new(),
            dead,
            dead_letters: 0,
        })
    }

    /// Takes what a step found.
    pub fn take(&mut self, signals: Vec<Signals>, alerts: Vec<Alert>) {
        for s in signals {
            self.signals[s.rule].push(s);
        }
        for alert in alerts {
            self.alerts.insert(alert.id.clone(), alert);
        }
    }

    /// Takes a dead letter; `raw` is its bytes as they may be shown (text, or sealed).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn dead(
        &mut self,
        feed: &str,
        partition: &str,
        letter: &DeadLetter,
        raw: &Value,
    ) -> io::Result<()> {
        self.dead_letters += 1;
        let line = json!({
            "feed": feed,
            "partition": partition,
            "line": letter.line,
            "class": letter.class.word(),
            "message": letter.message,
            "raw": raw,
        });
        writeln!(self.dead, "{line}")
    }

    /// Signals and alerts so far, by rule.
    #[must_use]
    pub fn by_rule(&self) -> Vec<(&RuleName, u64, u64)> {
        let mut counts: Vec<(u64, u64)> = self.signals.iter().map(|s| (s.len(), 0)).collect();
        self.alerts.values().for_each(|a| counts[a.rule].1 += 1);
        self.rules.iter().zip(counts).map(|(r, (s, a))| (r, s, a)).collect()
    }

    /// Alerts as they ended, in the order of the file.
    #[must_use]
    pub fn alerts(&self) -> Vec<&Alert> {
        let mut alerts: Vec<&Alert> = self.alerts.values().collect();
        alerts.sort_by(|a, b| {
            let of = |x: &Alert| (x.known.1, x.fired_ms, x.rule);
            of(a).cmp(&of(b)).then_with(|| a.key.cmp(&b.key)).then_with(|| a.id.cmp(&b.id))
        });
        alerts
    }

    /// Writes signals and alerts; to be called once, at the end.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn finish(&mut self) -> io::Result<()> {
        self.dead.flush()?;
        let mut out =
            BufWriter::with_capacity(1 << 20, File::create(self.dir.join("alerts.ndjson"))?);
        for alert in self.alerts() {
            let mut line = alert.to_json(&self.rules[alert.rule].id, &self.zone);
            line.remove("known_by");
            line.remove("changed_by");
            serde_json::to_writer(&mut out, &line)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        self.write_signals()
    }

    fn write_signals(&self) -> io::Result<()> {
        let mut out = File::create(self.dir.join("signals.ndjson"))?;
        // Rules are in the order of their ids. Texts go round, so that their memory is asked for once.
        let (lines, to_write) = sync_channel::<Vec<Vec<u8>>>(0);
        let (written, again) = sync_channel::<Vec<Vec<u8>>>(2);
        for _ in 0..2 {
            let _ = written.send(vec![Vec::new(); RULES_AT_ONCE]);
        }
        thread::scope(|scope| {
            let writer = scope.spawn(move || {
                for mut texts in to_write {
                    texts.iter().try_for_each(|text| out.write_all(text))?;
                    texts.iter_mut().for_each(Vec::clear);
                    let _ = written.send(texts);
                }
                out.flush()
            });
            let signals = self.signals.chunks(RULES_AT_ONCE);
            for (rules, signals) in self.rules.chunks(RULES_AT_ONCE).zip(signals) {
                // Where nothing comes back, writing has failed.
                let Ok(mut texts) = again.recv() else { break };
                let all = texts.par_iter_mut().zip(rules).zip(signals);
                all.for_each(|((text, rule), signals)| {
                    signals.lines(&rule.id, rule.version, &self.zone, text);
                });
                if lines.send(texts).is_err() {
                    break;
                }
            }
            drop(lines);
            writer.join().unwrap_or_else(|_| Err(io::Error::other("writing signals ended early")))
        })
    }
}
