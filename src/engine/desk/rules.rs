//! Rules for readers, and what is wrong with the text of one.

use std::{collections::BTreeMap, path::Path};

use super::{Desk, Error, definition::definition, text_of};
use crate::{
    engine::view::{Finding, RuleDetail, RuleRow, RuleTestRow, RuleWeek, RuleWork},
    model::{
        alert::State,
        diagnostic::{Diagnostic, Level},
        time::DAY_MS,
        window::MONDAY_ORIGIN_MS,
    },
    rule::{
        check::{self, FeedFacts},
        file::RuleFile,
    },
    store::alerts::{Filter, Sort, Tally},
};

/// Alerts that a rule's page shows.
const LATEST: usize = 20;
const WEEK_MS: i64 = 7 * DAY_MS;
/// Weeks that a rule's page shows.
const WEEKS: i64 = 53;

/// By rule, what the engine did for it.
type Work = BTreeMap<String, RuleWork>;

impl Desk {
    /// All rules, by id; `work` is what the engine did for each, see [`Metrics::work`](crate::engine::metrics::Metrics::work).
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn rules(&self, work: &Work) -> Result<Vec<RuleRow>, Error> {
        let tally = self.read(|store| store.tally(&Filter::default()))?;
        let mut by_rule: BTreeMap<&str, Vec<&Tally>> = BTreeMap::new();
        for one in &tally {
            by_rule.entry(&one.rule).or_default().push(one);
        }
        let none = Vec::new();
        let row = |(id, i): (&String, &usize)| {
            self.rule_row(&self.rules[*i], by_rule.get(id.as_str()).unwrap_or(&none), work)
        };
        Ok(self.by_id.iter().map(row).collect())
    }

    /// One rule with its text and latest alerts; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn rule_detail(&self, id: &str, work: &Work) -> Result<Option<RuleDetail>, Error> {
        let Some(file) = self.rule(id) else { return Ok(None) };
        let filter = Filter { rules: Some(vec![id.to_owned()]), ..Filter::default() };
        let page = self.read(|store| store.page(&filter, Sort::Fired, None, LATEST))?;
        let tally = self.read(|store| store.tally(&Filter::default()))?;
        let of_rule: Vec<&Tally> = tally.iter().filter(|t| t.rule == id).collect();
        let tests = file
            .tests
            .iter()
            .map(|t| RuleTestRow { name: t.name.value.clone(), expects: t.expect.len() });
        Ok(Some(RuleDetail {
            rule: self.rule_row(file, &of_rule, work),
            about: file.about.clone(),
            owner: file.owner.clone(),
            tags: file.tags.clone(),
            definition: definition(file),
            text: file.source.to_string(),
            tests: tests.collect(),
            latest: page.alerts.iter().map(|kept| self.row(kept)).collect::<Result<_, _>>()?,
            weeks: self.weeks(file)?,
        }))
    }

    /// Everything that `forewarn check` finds about the text of a rule, held against the feeds in use.
    #[must_use]
    pub fn check_rule(&self, text: &str) -> Vec<Finding> {
        // The file is named after its rule, as it should be.
        let (read, _) = RuleFile::parse(Path::new("rule.yaml"), text);
        let id = read.map_or_else(|| "rule".to_owned(), |r| r.id.value);
        let path = Path::new("rules").join(format!("{id}.yaml"));
        let (rule, mut findings) = RuleFile::parse(&path, text);
        let facts = |f: &crate::feed::FeedSpec| f.allowed_lateness_ms;
        let feeds: Vec<FeedFacts<'_>> = self
            .specs
            .iter()
            .map(|f| FeedFacts { allowed_lateness_ms: facts(f), ..FeedFacts::new(&f.schema) })
            .collect();
        if let Some(mut rule) = rule {
            if let Some(other) = self.rules.first() {
                rule.lists = other.lists.clone();
                rule.exceptions = other.exceptions.clone();
            }
            let mut rules: Vec<RuleFile> =
                self.rules.iter().filter(|r| r.id.value != id).cloned().collect();
            rules.push(rule);
            let found = check::check(&rules, &feeds);
            findings.extend(found.into_iter().filter(|d| d.file == path));
        }
        check::sort(&mut findings);
        findings.dedup();
        findings.iter().map(|d| finding(d, text)).collect()
    }

    /// The weeks of a year that ends with the latest record of the rule's feed; none where there is no record.
    fn weeks(&self, file: &RuleFile) -> Result<Vec<RuleWeek>, Error> {
        let feed = self.specs.iter().position(|s| s.name() == file.feed.value);
        let latest = feed.and_then(|f| self.index().feeds()[f].events_ms);
        let Some((_, latest_ms)) = latest else { return Ok(Vec::new()) };
        let last = (self.zone.to_local(latest_ms) - MONDAY_ORIGIN_MS).div_euclid(WEEK_MS);
        let starts = |week: i64| self.zone.to_utc(MONDAY_ORIGIN_MS + week * WEEK_MS);
        self.read(|store| {
            let week = |week: i64| {
                let filter = Filter {
                    rules: Some(vec![file.id.value.clone()]),
                    since_ms: Some(starts(week)),
                    until_ms: Some(starts(week + 1)),
                    ..Filter::default()
                };
                let tally = store.tally(&filter)?;
                let retracted = tally.iter().filter(|t| t.state == State::Retracted);
                Ok(RuleWeek {
                    start: self.zone.format(starts(week)),
                    alerts: tally.iter().map(|t| t.alerts).sum(),
                    retracted: retracted.map(|t| t.alerts).sum(),
                })
            };
            (last - WEEKS + 1..=last).map(week).collect()
        })
    }

    fn rule_row(&self, file: &RuleFile, tally: &[&Tally], work: &Work) -> RuleRow {
        let sum = |of: &dyn Fn(&Tally) -> bool| {
            tally.iter().filter(|t| of(t)).map(|t| t.alerts).sum::<u64>()
        };
        let planned = self.planned(&file.id.value);
        let signals = planned.and_then(|(r, _)| self.index().signals().get(r).copied());
        let last = tally.iter().map(|t| t.last_fired_ms).max();
        RuleRow {
            id: file.id.value.clone(),
            version: file.version,
            title: text_of(&file.title),
            domain: self.domain(file),
            status: file.status.value.word().to_owned(),
            kind: file.kind.value.word().to_owned(),
            severities: file.severity.iter().map(|(s, _)| s.word().to_owned()).collect(),
            feed: file.feed.value.clone(),
            feeds: feeds(file),
            open: sum(&|t| matches!(t.state, State::Pending | State::Firing)),
            alerts: sum(&|_| true),
            retracted: sum(&|t| t.state == State::Retracted),
            signals: signals.unwrap_or(0),
            last_fired_at: last.map(|ms| self.zone.format(ms)),
            work: work.get(&file.id.value).copied().unwrap_or_default(),
            file: self.path_of(file).display().to_string(),
        }
    }
}

/// The rule's own feed, then those of its measures or steps.
fn feeds(file: &RuleFile) -> Vec<String> {
    let mut feeds = vec![file.feed.value.clone()];
    let steps = file.sequence.iter().flat_map(|s| &s.steps).map(|s| &s.feed);
    for feed in file.measures.iter().filter_map(|m| m.feed.as_ref()).chain(steps) {
        if !feeds.contains(&feed.value) {
            feeds.push(feed.value.clone());
        }
    }
    feeds
}

pub(in crate::engine) fn finding(d: &Diagnostic, text: &str) -> Finding {
    let (line, column) = place(text, d.span.start);
    let (end_line, end_column) = place(text, d.span.end);
    let level = match d.level {
        Level::Error => "error",
        Level::Warning => "warning",
    };
    Finding {
        code: d.code.to_owned(),
        level: level.to_owned(),
        message: d.message.clone(),
        label: d.label.clone(),
        help: d.help.clone(),
        line,
        column,
        end_line,
        end_column,
    }
}

/// Line and column, both from 1, of a byte.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..byte.min(text.len())];
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    (before.iter().filter(|b| **b == b'\n').count() + 1, column)
}
