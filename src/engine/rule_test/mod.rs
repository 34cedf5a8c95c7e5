//! The tests inside a rule file: rows in, alerts out, held exactly against what the author expects.
//!
//! In: a rule with its `tests:` and the feeds. Out: one [`Verdict`] a test. A test runs the same pipeline as `run` and
//! `replay`, with the feed's own `out_of_order` and `allowed_lateness`; only what a feed does to an office's files
//! (field names, value maps, pseudonyms, required columns) is switched off, because a test writes canonical values.
//! The rule runs as if it were live, and history begins long before the first row.
//! Not here: finding the files, printing, JUnit — see `cli::test`.

mod expect;
mod given;

use std::sync::Arc;

use crate::{
    decode::{Decoder, Format},
    feed::spec::FeedSpec,
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
                        finding.file.clone_from(&rule.path);
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
            format!("test {:?}: until {:?} is neither a date nor an instant", case.name.value, case.until.value),
        )]
    })?;
    expect::check_names(rule, case, &feeds)?;
    let begin = rows.iter().map(|r| r.at_ms).min().unwrap_or(until) - HISTORY_BEFORE_MS;
    let (arrival, arrived_ms) = arrive(rows, &feeds, zone)?;

    let live = RuleFile { status: Spanned { value: Status::Live, ..rule.status.clone() }, ..rule.clone() };
    let feeds = feeds.into_iter().map(|f| FeedSpec { history_from: Some(begin), ..f }).collect();
    let mut pipeline = Pipeline::try_new(feeds, vec![live], Options { zone: zone.clone(), ..Options::default() })?;
    let mut seen = Seen::default();
    seen.add(pipeline.arrive(arrival));
    seen.add(pipeline.advance(until));
    Ok(expect::differences(case, &seen.alerts, zone, |arrival| arrived_ms.get(arrival as usize).copied()))
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
        // A condition that never held for `hold_for` is no alert.
        self.alerts.retain(|r| r.len() < 2 || r[r.len() - 1].state == State::Pending || r.iter().any(|a| a.state != State::Pending));
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
        column.times = None;
        column.required = false;
        column.personal = false;
    }
    FeedSpec { schema: Arc::new(schema), ..feed.clone() }
}

/// One arrival of all rows in their order; also the arrival time of each.
fn arrive(rows: Vec<given::Row>, feeds: &[FeedSpec], zone: &Zone) -> Result<(Arrival, Vec<i64>), Vec<Diagnostic>> {
    let mut batches = Vec::new();
    let mut place = vec![(0, 0); rows.len()];
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
        let mut decoder = Decoder::new(Arc::clone(&spec.schema), zone.clone(), Format::Ndjson, &Secret::new([0; 32]));
        let decoded = decoder.decode(text);
        let refused: Vec<Diagnostic> = decoded
            .dead
            .iter()
            .map(|dead| {
                let row = &rows[of_feed[(dead.line as usize).saturating_sub(1).min(of_feed.len() - 1)]];
                Diagnostic::error(
                    "test::bad_row",
                    row.span.clone(),
                    format!("feed {:?} refuses this row ({}): {}", spec.schema.feed, dead.class.word(), dead.message),
                )
            })
            .collect();
        if !refused.is_empty() {
            return Err(refused);
        }
        for (row, i) in of_feed.iter().enumerate() {
            place[*i] = (batches.len() as u32, row as u32);
        }
        batches.push(Batch {
            feed,
            partition: "test".into(),
            rows: decoded.rows,
            lines: decoded.lines.into(),
            raw: decoded.raw.map(Arc::new),
        });
    }
    let arrived_ms: Vec<i64> = rows.iter().map(|r| r.arrives_ms).collect();
    Ok((Arrival { batches, order: Some(place), first: 0, arrived_ms: arrived_ms.clone() }, arrived_ms))
}
