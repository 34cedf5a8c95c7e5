//! Records for readers: those behind an alert, and those of one business.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use serde_json::Value;

use super::{Desk, Error};
use crate::{
    engine::{
        lookup::{self, LoggedRow},
        view::{Business, EvidencePage, EvidenceRecord, FeedCount, SubjectRow, SubjectView},
    },
    model::{alert::State, reference::region, schema::ColumnType, value::value_at},
    store::alerts::{Filter, PAGE_MAX, Sort},
};

/// Records of a business that are read at once.
const RECORDS_MAX: usize = 500;
/// Businesses found by name that no alert is about: each costs a look into the log.
const NAMED_MAX: usize = 20;

impl Desk {
    /// The records behind an alert; `None` when there is no such alert.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Log`].
    pub fn evidence(&self, id: &str) -> Result<Option<EvidencePage>, Error> {
        let Some((rule, ids, total)) = self.evidence_ids(id)? else { return Ok(None) };
        let all: Vec<usize> = (0..self.specs.len()).collect();
        let feeds = self.planned(&rule).map_or(&all, |(_, plan)| &plan.feeds);
        // An id belongs to one of the rule's feeds; the log tells which.
        let asked: Vec<(usize, &str)> =
            ids.iter().flat_map(|id| feeds.iter().map(move |f| (*f, id.as_str()))).collect();
        let found = self.records(&asked)?;
        let mut records = Vec::with_capacity(ids.len());
        let mut missing = Vec::new();
        for (i, id) in ids.iter().enumerate() {
            let of_feeds = &found[i * feeds.len()..(i + 1) * feeds.len()];
            match of_feeds.iter().flatten().next() {
                Some(record) => records.push(record.clone()),
                None => missing.push(id.clone()),
            }
        }
        records.sort_by_key(|r| (r.at_ms, r.arrival));
        Ok(Some(EvidencePage { records, total, missing }))
    }

    /// All about one business; `None` when no record and no alert names it.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Log`].
    pub fn subject_of(&self, code: &str) -> Result<Option<SubjectView>, Error> {
        let (arrivals, called, by_feed) = {
            let index = self.index();
            let arrivals: Vec<u64> = index.of_business(code);
            let mut by_feed: BTreeMap<usize, u64> = BTreeMap::new();
            for entry in arrivals.iter().filter_map(|a| index.entry(*a)) {
                *by_feed.entry(entry.feed).or_default() += 1;
            }
            (arrivals, index.called(code).cloned().unwrap_or_default(), by_feed)
        };
        let filter = Filter { ucc: Some(code.to_owned()), ..Filter::default() };
        let page = self.read(|store| store.page(&filter, Sort::Fired, None, PAGE_MAX))?;
        let alerts =
            page.alerts.iter().map(|kept| self.row(kept)).collect::<Result<Vec<_>, _>>()?;
        let latest = &arrivals[arrivals.len().saturating_sub(RECORDS_MAX)..];
        let rows = self.rows(latest)?;
        let (open, past) =
            alerts.into_iter().partition(|a| matches!(a.state, State::Pending | State::Firing));
        let records = self.records_of_rows(&rows)?;
        // Two codes may share a hash; and a later version may have moved a record to another business.
        let of_code = |r: &EvidenceRecord| r.fields.values().any(|v| v.as_str() == Some(code));
        let mut records: Vec<EvidenceRecord> = records.into_iter().filter(of_code).collect();
        records.sort_by_key(|r| std::cmp::Reverse((r.at_ms, r.arrival)));
        let feeds = by_feed
            .into_iter()
            .map(|(feed, records)| FeedCount { feed: self.specs[feed].name().to_owned(), records });
        // Alerts remember what the log may not hold any more.
        let told = page.alerts.iter().map(|kept| &kept.subject);
        let name = told.clone().find_map(|s| s.name.clone());
        let region = called.region.map(Into::into).or(told.clone().find_map(|s| s.region.clone()));
        let view = SubjectView {
            subject: Business { ucc: code.to_owned(), name: called.name.map(Into::into).or(name) },
            names: self.names(code, &records),
            region_name: region.as_deref().and_then(region::name).map(str::to_owned),
            region,
            records,
            feeds: feeds.collect(),
            open,
            past,
        };
        let known = !view.records.is_empty() || !view.open.is_empty() || !view.past.is_empty();
        Ok(known.then_some(view))
    }

    /// The names that records give a business, in their order.
    fn names(&self, code: &str, records: &[EvidenceRecord]) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for record in records {
            let Some(spec) = self.specs.iter().find(|s| s.name() == record.feed) else { continue };
            let text = |column: usize| {
                let name = &spec.schema.columns[column].name;
                record
                    .fields
                    .get(name)
                    .and_then(Value::as_str)
                    .filter(|_| !record.masked.contains(name))
            };
            for (of, name) in &spec.schema.names {
                let name = text(*name).filter(|_| text(*of) == Some(code));
                names.extend(name.filter(|n| !names.iter().any(|k| k == n)).map(str::to_owned));
            }
        }
        names
    }

    /// Businesses that alerts are about, those with most open ones first; with a text, all with it in their name or code,
    /// those without an alert last.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Log`].
    pub fn subjects(&self, text: Option<&str>, limit: usize) -> Result<Vec<SubjectRow>, Error> {
        let tally = self.read(|store| store.subjects(text, limit))?;
        let mut out: Vec<SubjectRow> = tally
            .into_iter()
            .filter_map(|t| {
                let last = Some(self.zone.format(t.last_fired_ms));
                let row = self.subject_row(t.subject.ucc?, t.subject.name, t.subject.region);
                Some(SubjectRow {
                    open: t.open,
                    alerts: t.alerts,
                    severity: t.severity,
                    last_fired_at: last,
                    ..row
                })
            })
            .collect();
        let Some(text) = text.filter(|_| out.len() < limit) else { return Ok(out) };
        let mut arrivals = self.index().businesses_called(&text.to_lowercase(), NAMED_MAX);
        arrivals.sort_unstable();
        for row in self.rows(&arrivals)? {
            let schema = &self.specs[row.feed].schema;
            let column = schema.columns.iter().position(|c| c.kind == ColumnType::Ucc);
            let code = column.map(|c| value_at(row.batch.column(c), row.row));
            if let Some(code) = code.as_ref().and_then(Value::as_str)
                && !out.iter().any(|known| known.subject.ucc == code)
            {
                out.push(self.subject_row(code.to_owned(), None, None));
            }
        }
        out.truncate(limit);
        Ok(out)
    }

    /// A business without alerts; what the index calls it goes before `name` and `region`.
    fn subject_row(&self, ucc: String, name: Option<String>, region: Option<String>) -> SubjectRow {
        let called = self.index().called(&ucc).cloned().unwrap_or_default();
        let region = called.region.map(Into::into).or(region);
        SubjectRow {
            subject: Business { ucc, name: called.name.map(Into::into).or(name) },
            region_name: region.as_deref().and_then(region::name).map(str::to_owned),
            region,
            open: 0,
            alerts: 0,
            severity: None,
            last_fired_at: None,
        }
    }

    /// Records by feed and id, in the order asked for; `None` where the log holds no such record.
    pub(super) fn records(
        &self,
        asked: &[(usize, &str)],
    ) -> Result<Vec<Option<EvidenceRecord>>, Error> {
        let arrivals: Vec<Vec<u64>> = {
            let index = self.index();
            let of = |(feed, id): &(usize, &str)| index.versions(self.specs[*feed].name(), id);
            asked.iter().map(of).collect()
        };
        let rows = self.rows(&arrivals.concat())?;
        let row = |arrival: &u64| {
            let at = rows.binary_search_by_key(arrival, |r| r.arrival).ok()?;
            Some(&rows[at])
        };
        let one = |(asked, arrivals): (&(usize, &str), &Vec<u64>)| {
            let versions = self.versions(*asked, arrivals.iter().filter_map(row));
            lookup::record(&versions, &self.specs[asked.0], &self.zone)
        };
        Ok(asked.iter().zip(&arrivals).map(one).collect())
    }

    /// The version of a record that counts, as one row; `None` where the log holds no such record.
    pub(super) fn record_row(&self, feed: usize, id: &str) -> Result<Option<RecordBatch>, Error> {
        let spec = &self.specs[feed];
        let arrivals = self.index().versions(spec.name(), id);
        let rows = self.rows(&arrivals)?;
        let winner = lookup::winner(&self.versions((feed, id), rows.iter()), &spec.schema);
        Ok(winner.map(|row| row.batch.slice(row.row, 1)))
    }

    /// Those of `rows` that are versions of a record and were not refused.
    fn versions<'a>(
        &self,
        (feed, id): (usize, &str),
        rows: impl Iterator<Item = &'a LoggedRow>,
    ) -> Vec<&'a LoggedRow> {
        let (schema, index) = (&self.specs[feed].schema, self.index());
        let is_it =
            |r: &&LoggedRow| r.feed == feed && r.id(schema) == id && !index.is_refused(r.arrival);
        rows.filter(is_it).collect()
    }

    /// The records that these rows are versions of, each once.
    pub(super) fn records_of_rows(&self, rows: &[LoggedRow]) -> Result<Vec<EvidenceRecord>, Error> {
        let mut ids: Vec<(usize, String)> =
            rows.iter().map(|r| (r.feed, r.id(&self.specs[r.feed].schema))).collect();
        ids.sort();
        ids.dedup();
        let asked: Vec<(usize, &str)> = ids.iter().map(|(f, id)| (*f, id.as_str())).collect();
        Ok(self.records(&asked)?.into_iter().flatten().collect())
    }

    /// Rows of the log by arrival number, ascending.
    pub(super) fn rows(&self, arrivals: &[u64]) -> Result<Vec<LoggedRow>, Error> {
        let entries = lookup::plan(&self.index(), arrivals);
        Ok(lookup::rows(&self.log_dir(), &self.specs, &entries)?)
    }
}
