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
    sync::Arc,
};

use serde_json::{Value, json};

use crate::model::{
    alert::Alert,
    batch::DeadLetter,
    signal::{Key, Severity, Signal, Span},
    time::Zone,
};

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

/// A signal without its rule and key.
#[derive(Debug)]
struct Kept {
    window: Span,
    record: Option<Arc<str>>,
    severity: Severity,
    open: bool,
    values: Box<str>,
}

/// Collects and writes.
#[derive(Debug)]
pub struct FoundFiles {
    dir: PathBuf,
    zone: Zone,
    rules: Vec<RuleName>,
    /// By rule and key; windows in the order in which they became final.
    signals: Vec<BTreeMap<Arc<Key>, Vec<Kept>>>,
    counts: Vec<u64>,
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
            signals: rules.iter().map(|_| BTreeMap::new()).collect(),
            counts: vec![0; rules.len()],
            rules,
            alerts: BTreeMap::new(),
            dead,
            dead_letters: 0,
        })
    }

    /// Takes what a step found.
    pub fn take(&mut self, signals: Vec<Signal>, alerts: Vec<Alert>) {
        for s in signals {
            self.counts[s.rule] += 1;
            let kept = Kept {
                window: s.window,
                record: s.record,
                severity: s.severity,
                open: s.open,
                values: s.values,
            };
            self.signals[s.rule].entry(s.key).or_default().push(kept);
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
        let mut counts: Vec<(u64, u64)> = self.counts.iter().map(|n| (*n, 0)).collect();
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

    fn write_signals(&mut self) -> io::Result<()> {
        let mut out =
            BufWriter::with_capacity(1 << 20, File::create(self.dir.join("signals.ndjson"))?);
        let heads: Vec<String> = self
            .rules
            .iter()
            .map(|r| format!("{{\"rule\":{},\"version\":{},\"key\":", json!(r.id), r.version))
            .collect();
        let mut window = (Span { start_ms: 0, end_ms: 0 }, String::new());
        // Rules are in the order of their ids.
        for (head, by_key) in heads.iter().zip(&mut self.signals) {
            for (key, signals) in by_key {
                // Stable: of several words on one window the last one counts.
                signals
                    .sort_by(|a, b| a.window.cmp(&b.window).then_with(|| a.record.cmp(&b.record)));
                signals.reverse();
                signals.dedup_by(|a, b| a.window == b.window && a.record == b.record);
                signals.reverse();
                for s in signals {
                    if s.window != window.0 || window.1.is_empty() {
                        let at = |ms| self.zone.format(ms);
                        let (start, end) = (at(s.window.start_ms), at(s.window.end_ms));
                        window = (
                            s.window,
                            format!(",\"window\":{{\"start\":\"{start}\",\"end\":\"{end}\"}}"),
                        );
                    }
                    out.write_all(head.as_bytes())?;
                    out.write_all(key.canonical.as_bytes())?;
                    out.write_all(window.1.as_bytes())?;
                    if let Some(record) = &s.record {
                        write!(out, ",\"record\":{}", json!(**record))?;
                    }
                    out.write_all(b",\"severity\":\"")?;
                    out.write_all(s.severity.word().as_bytes())?;
                    out.write_all(b"\",\"values\":")?;
                    out.write_all(s.values.as_bytes())?;
                    out.write_all(if s.open { b",\"open\":true}\n" } else { b"}\n" })?;
                }
            }
        }
        out.flush()
    }
}
