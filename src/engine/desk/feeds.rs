//! Feeds, refused records and health for readers.

use super::{Desk, Error};
use crate::{
    engine::{
        delays::Delays,
        handle::Health,
        index::FeedNow,
        view::{
            DeadLetterPage, DeadLetterRow, DelayRow, Events, FeedDetail, FeedRow, HealthView,
            PartitionRow, SinkRow, Text, WalkRow,
        },
    },
    feed::FeedSpec,
    model::alert::State,
    store::{
        alerts,
        dead_letters::{DeadLetters, Filter, Place, Stored},
    },
};

/// Records that a feed's page shows.
const LATEST: u64 = 20;

/// Which refused records.
#[derive(Debug, Clone, Default)]
pub struct DeadLetterQuery {
    /// What they must be.
    pub filter: Filter,
    /// Where the page starts.
    pub cursor: Option<String>,
    /// How many at most.
    pub limit: usize,
}

impl Desk {
    /// All feeds, in the order of their files; `now_ms` is what the lag is held against.
    #[must_use]
    pub fn feeds(&self, now_ms: i64) -> Vec<FeedRow> {
        let index = self.index();
        let both = self.specs.iter().zip(index.feeds());
        both.map(|(spec, now)| self.feed_row(spec, now, now_ms)).collect()
    }

    /// One feed; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub fn feed(&self, name: &str, now_ms: i64) -> Result<Option<FeedDetail>, Error> {
        let Some(feed) = self.specs.iter().position(|s| s.name() == name) else { return Ok(None) };
        let spec = &self.specs[feed];
        let (row, delays, arrivals) = {
            let index = self.index();
            let now = &index.feeds()[feed];
            let of_feed = index.entries().iter().rev().filter(|e| e.feed == feed);
            let latest = of_feed.flat_map(|e| (e.first..e.first + e.rows).rev());
            let arrivals: Vec<u64> = latest.take(LATEST as usize).collect();
            (self.feed_row(spec, now, now_ms), now.delays.clone(), arrivals)
        };
        let mut latest = self.records_of_rows(&self.rows(&arrivals)?)?;
        latest.sort_by_key(|r| std::cmp::Reverse(r.arrival));
        let column = |c: &usize| spec.schema.columns[*c].name.clone();
        Ok(Some(FeedDetail {
            feed: row,
            about: spec.about.clone(),
            record_id: spec.schema.record_id.iter().map(column).collect(),
            event_time: column(&spec.schema.event_time),
            out_of_order_seconds: spec.out_of_order_ms / 1_000,
            allowed_lateness_seconds: spec.allowed_lateness_ms / 1_000,
            idle_after_seconds: spec.idle_after_ms / 1_000,
            delays: delays.iter().map(DelayRow::from).collect(),
            latest,
        }))
    }

    /// The delays that a feed's times allow to measure; `None` when there is no such feed.
    #[must_use]
    pub fn lateness(&self, name: &str) -> Option<Vec<DelayRow>> {
        let feed = self.specs.iter().position(|s| s.name() == name)?;
        Some(self.index().feeds()[feed].delays.iter().map(DelayRow::from).collect())
    }

    /// A page of refused records, those that arrived last first.
    ///
    /// # Errors
    /// [`Error::DeadLetters`]; [`Error::Store`] for a cursor that is none of this list.
    pub fn dead_letters(&self, query: &DeadLetterQuery) -> Result<DeadLetterPage, Error> {
        let behind = query.cursor.as_deref().map(place).transpose()?;
        let letters = DeadLetters::new(&self.data, &self.secret);
        let (page, more) = letters.latest(&query.filter, behind.as_ref(), query.limit)?;
        let next = page.last().filter(|_| more).map(|(_, place)| cursor(place));
        let dead_letters = page.iter().map(|(letter, _)| self.letter(letter, None)).collect();
        Ok(DeadLetterPage { dead_letters, next })
    }

    /// One refused record, with its bytes where they are not sealed; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::DeadLetters`].
    pub fn dead_letter(&self, id: &str) -> Result<Option<DeadLetterRow>, Error> {
        let filter = Filter { ids: vec![id.to_owned()], replayed: true, ..Filter::default() };
        let letters = DeadLetters::new(&self.data, &self.secret);
        let (page, _) = letters.latest(&filter, None, 1)?;
        let Some((letter, _)) = page.first() else { return Ok(None) };
        let raw = if letter.sealed {
            None
        } else {
            Some(String::from_utf8_lossy(&letters.raw(letter)?).into_owned())
        };
        Ok(Some(self.letter(letter, raw)))
    }

    /// How the whole is doing; `sinks` are those on the network, see [`Metrics::sinks`](crate::engine::metrics::Metrics::sinks).
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn health(&self, health: &Health, sinks: Vec<SinkRow>) -> Result<HealthView, Error> {
        let tally = self.read(|store| store.tally(&alerts::Filter::default()))?;
        let open = tally.iter().filter(|t| matches!(t.state, State::Pending | State::Firing));
        let index = self.index();
        let (status, reason) = match health {
            Health::Ready => ("ok", None),
            Health::Recovering(_) => ("recovering", None),
            Health::Stopped(why) => ("stopped", Some(why.clone())),
        };
        let silent = index.feeds().iter().filter(|f| f.rhythm.last_ms().is_none());
        let (records, businesses) = index.sizes();
        Ok(HealthView {
            status: status.to_owned(),
            reason,
            recovering: match health {
                Health::Recovering(walk) => {
                    let percent = walk.percent();
                    Some(WalkRow { records: walk.rows, of: walk.of, percent })
                }
                Health::Ready | Health::Stopped(_) => None,
            },
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rules: self.plan.rules.len() as u64,
            feeds: self.specs.len() as u64,
            feeds_silent: silent.count() as u64,
            alerts_open: open.map(|t| t.alerts).sum(),
            records: records as u64,
            businesses: businesses as u64,
            sinks,
        })
    }

    fn feed_row(&self, spec: &FeedSpec, now: &FeedNow, now_ms: i64) -> FeedRow {
        let at = |ms: i64| self.zone.format(ms);
        let (zh, en) = spec.title.clone();
        let partitions = now.partitions.iter().map(|(name, p)| PartitionRow {
            partition: name.clone(),
            records: p.rows,
            last_event_at: p.last_event_ms.map(at),
            last_arrival_at: at(p.last_arrival_ms),
            idle: p.idle,
        });
        let c = &now.counts;
        let dead = now.dead.iter().map(|(class, n)| (class.word().to_owned(), *n));
        FeedRow {
            feed: spec.name().to_owned(),
            title: Text { zh, en },
            events: Events {
                accepted: c.accepted,
                duplicates: c.duplicates,
                corrections: c.corrections,
                conflicts: c.conflicts,
                late: c.late,
                future: c.future,
                undecoded: now.undecoded,
                unattributed: c.unattributed,
                dead_letters: dead.collect(),
            },
            watermark: now.watermark_ms.map(at),
            last_event_at: now.events_ms.map(|(_, last)| at(last)),
            last_arrival_at: now.rhythm.last_ms().map(at),
            lag_seconds: now.watermark_ms.map(|w| (now_ms - w) as f64 / 1_000.0),
            silence_max_seconds: now.rhythm.silence_max_ms() / 1_000,
            stalled: now.rhythm.has_stalled(now_ms),
            idle: !now.partitions.is_empty() && now.partitions.values().all(|p| p.idle),
            partitions: partitions.collect(),
            delay: now
                .delays
                .first()
                .map_or_else(|| DelayRow::from(&Delays::default()), DelayRow::from),
        }
    }

    fn letter(&self, letter: &Stored, raw: Option<String>) -> DeadLetterRow {
        DeadLetterRow {
            id: letter.id.clone(),
            feed: letter.feed.clone(),
            partition: letter.partition.clone(),
            line: letter.line,
            class: letter.class.word().to_owned(),
            message: letter.message.clone(),
            at: self.zone.format(letter.at_ms),
            replayed_at: letter.replayed_ms.map(|ms| self.zone.format(ms)),
            sealed: letter.sealed,
            raw,
        }
    }
}

/// Where the next page of letters starts, as text: `1772676000000~complaints~48213`.
fn cursor(place: &Place) -> String {
    format!("{}~{}~{}", place.at_ms, place.feed, place.offset)
}

fn place(cursor: &str) -> Result<Place, alerts::Error> {
    let mut parts = cursor.splitn(3, '~');
    let mut next = || parts.next();
    let (at_ms, feed, offset) = (next(), next(), next());
    let read = || {
        let (at_ms, offset) = (at_ms?.parse().ok()?, offset?.parse().ok()?);
        Some(Place { at_ms, feed: feed?.to_owned(), offset })
    };
    read().ok_or_else(|| alerts::Error::Cursor(cursor.to_owned()))
}

impl From<&Delays> for DelayRow {
    fn from(delays: &Delays) -> Self {
        let at = |p| delays.quantile(p).map(|ms| ms / 1_000);
        Self {
            from: delays.names.0.clone(),
            to: delays.names.1.clone(),
            records: delays.records,
            negative: delays.negative,
            p50_seconds: at(0.5),
            p75_seconds: at(0.75),
            p90_seconds: at(0.9),
            p99_seconds: at(0.99),
            max_seconds: delays.longest().map(|ms| ms / 1_000),
        }
    }
}
