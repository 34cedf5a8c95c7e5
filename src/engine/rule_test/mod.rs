//! The tests of a rule, in its file or beside it: rows in, alerts out, held exactly against what the author expects.
//!
//! In: a rule with its tests and the feeds. Out: one [`Verdict`] a test. A test runs the same pipeline as `run` and
//! `replay`, with the feed's own `out_of_order` and `allowed_lateness`; only what a feed does to an office's files
//! (field names, value maps, pseudonyms, required columns) is switched off, because a test writes canonical values.
//! The rule runs as if it were live, and history begins long before the first row.
//! Not here: finding the files, printing, JUnit — see `cli::test`.

mod expect;
mod given;

use std::sync::Arc;

use crate::{
    decode::{Decoder, Format},
    feed::FeedSpec,
    model::{
        alert::{Alert, State},
        batch::Batch,
        diagnostic::Diagnostic,
        schema::FeedSchema,
        secret::Secret,
        time::{DAY_MS, Zone},
        yaml::Spanned,
    },
    rule::file::{RuleFile, Status, TestCase},
};

use super::pipeline::{Arrival, Options, Pipeline, Step};

pub use given::made_up_code;

/// How long before a test's first row history begins: longer than any compare reaches back.
const HISTORY_BEFORE_MS: i64 = 3 * 366 * DAY_MS;

/// What came of one test.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The test's name.
    pub name: String,
    /// What is wrong with the test itself: an unknown column, a row the feed refuses.
    pub findings: Vec<Diagnostic>,
    /// Where alerts and expectations differ, alert by alert, for people.
    pub differences: Vec<String>,
}

impl Verdict {
    /// Whether alerts and expectations agree.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.findings.is_empty() && self.differences.is_empty()
    }
}

/// Runs all tests of a rule, in the file's order.
#[must_use]
pub fn run(rule: &RuleFile, feeds: &[FeedSpec], zone: &Zone) -> Vec<Verdict> {
    rule.tests
        .iter()
        .map(|case| {
            let name = case.name.value.clone();
            match run_case(rule, case, feeds, zone) {
                Ok(differences) => Verdict { name, findings: Vec::new(), differences },
                Err(mut findings) => {
                    for finding in &mut findings {
                        finding.file.clone_from(&case.path);
                    }
                    Verdict { name, findings, differences: Vec::new() }
                }
            }
        })
        .collect()
}

fn run_case(
    rule: &RuleFile,
    case: &TestCase,
    feeds: &[FeedSpec],
    zone: &Zone,
) -> Result<Vec<String>, Vec<Diagnostic>> {
    let feeds: Vec<FeedSpec> = feeds.iter().map(canonical).collect();
    let rows = given::expand(case, &feeds, zone)?;
    let until = given::instant(&case.until.value, zone).ok_or_else(|| {
        vec![Diagnostic::error(
            "test::bad_time",
            case.until.span.clone(),
            format!(
                "test {:?}: until {:?} is neither a date nor an instant",
                case.name.value, case.until.value
            ),
        )]
    })?;
    expect::check_names(rule, case, &feeds)?;
    let begin = rows.iter().map(|r| r.at_ms).min().unwrap_or(until) - HISTORY_BEFORE_MS;
    let arrival = arrive(&rows, &feeds, zone)?;

    // An exception is about what goes on now, a test about what the rule means.
    let live = RuleFile {
        status: Spanned { value: Status::Live, ..rule.status.clone() },
        exceptions: Arc::default(),
        ..rule.clone()
    };
    let feeds = feeds.into_iter().map(|f| FeedSpec { history_from_ms: Some(begin), ..f }).collect();
    let mut pipeline =
        Pipeline::try_new(feeds, &[live], Options { zone: zone.clone(), ..Options::default() })?;
    let mut seen = Seen::default();
    seen.add(pipeline.arrive(arrival));
    seen.add(pipeline.advance(until));
    seen.add(pipeline.finish());
    Ok(expect::differences(case, &seen.told(), zone))
}

/// All revisions of all alerts that a person would have seen.
#[derive(Debug, Default)]
struct Seen {
    /// In the order of their ids' first revision; revisions in order.
    alerts: Vec<Vec<Alert>>,
}

impl Seen {
    fn add(&mut self, step: Step) {
        for alert in step.alerts {
            match self.alerts.iter_mut().find(|revisions| revisions[0].id == alert.id) {
                Some(revisions) => revisions.push(alert),
                None => self.alerts.push(vec![alert]),
            }
        }
    }

    /// The alerts, without conditions that never held for `hold_for`.
    fn told(self) -> Vec<Vec<Alert>> {
        let fired =
            |r: &Vec<Alert>| r.iter().any(|a| matches!(a.state, State::Firing | State::Suppressed));
        self.alerts
            .into_iter()
            .filter(|r| fired(r) || r[r.len() - 1].state == State::Pending)
            .collect()
    }
}

/// The feed as tests write to it: canonical names and values, every column optional, nothing hashed.
fn canonical(feed: &FeedSpec) -> FeedSpec {
    let mut schema = FeedSchema::clone(&feed.schema);
    for column in &mut schema.columns {
        column.from.clear();
        column.map.clear();
        column.empty.clear();
        column.formats.clear();
        column.times.clear();
        column.required = false;
        column.personal = false;
    }
    FeedSpec { schema: Arc::new(schema), ..feed.clone() }
}

/// One arrival of all rows in their order.
fn arrive(
    rows: &[given::Row],
    feeds: &[FeedSpec],
    zone: &Zone,
) -> Result<Arrival, Vec<Diagnostic>> {
    let mut batches = Vec::new();
    // A record of a feed that explodes a column becomes several rows.
    let mut places: Vec<Vec<(u32, u32)>> = vec![Vec::new(); rows.len()];
    for (feed, spec) in feeds.iter().enumerate() {
        let of_feed: Vec<usize> = (0..rows.len()).filter(|i| rows[*i].feed == feed).collect();
        if of_feed.is_empty() {
            continue;
        }
        let mut text = Vec::new();
        for i in &of_feed {
            text.extend_from_slice(rows[*i].json.to_string().as_bytes());
            text.push(b'\n');
        }
        let record = |line: u64| of_feed[(line as usize).clamp(1, of_feed.len()) - 1];
        let mut decoder = Decoder::new(
            Arc::clone(&spec.schema),
            zone.clone(),
            Format::Ndjson,
            &Secret::new([0; 32]),
        );
        let decoded = decoder.decode(text);
        let refused: Vec<Diagnostic> = decoded
            .dead
            .iter()
            .map(|dead| {
                let message = format!(
                    "feed {:?} refuses this row ({}): {}",
                    spec.name(),
                    dead.class.word(),
                    dead.message
                );
                Diagnostic::error("test::bad_row", rows[record(dead.line)].span.clone(), message)
            })
            .collect();
        if !refused.is_empty() {
            return Err(refused);
        }
        for (row, line) in decoded.lines.iter().enumerate() {
            places[record(*line)].push((batches.len() as u32, row as u32));
        }
        batches.push(Batch {
            feed,
            partition: "test".into(),
            rows: decoded.rows,
            lines: decoded.lines.into(),
            raw: decoded.raw.map(Arc::new),
        });
    }
    let arrived_ms =
        rows.iter().zip(&places).flat_map(|(r, at)| at.iter().map(|_| r.arrives_ms)).collect();
    Ok(Arrival { batches, order: Some(places.concat()), first: 1, arrived_ms })
}
