//! Feeder: delivers the province to the engine, day after day.
//!
//! Days of history are made and decoded on all cores ahead of the one thread that delivers them, a parcel for each feed and
//! day. Live, records of the same minute go together, when the simulated clock has come to them. The log knows the last
//! parcel; the next one after it comes first.

use std::{
    io,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::sync_channel,
    },
    thread,
    time::{Duration, Instant},
};

use rayon::prelude::*;

use super::{
    super::{
        handle::{Delivery, Handle, Refused},
        intake::Intake,
        run::Positions,
    },
    PARTITION,
    parcel::{Parcel, parcels},
};
use crate::{
    decode::{Format, Input, open},
    model::time::{DAY_MS, MINUTE_MS},
    source::demo::{Feed, Simulation, day_of, day_start},
};

/// Days of history that are made and delivered together.
const TOGETHER: usize = 16;
/// A span that no day is longer than: records of a feed and day go together.
const WHOLE_DAY_MS: i64 = 2 * DAY_MS;
/// How often a wait looks whether it shall stop, and shows the clock.
const STOP: Duration = Duration::from_millis(50);

/// The province as a source.
pub struct Feeder {
    handle: Handle,
    province: Simulation,
    /// Position of each feed in the engine, in the order of [`Feed::ALL`].
    feeds: Vec<usize>,
    /// The last parcel that the engine has.
    taken: Option<(i64, Feed)>,
    stop: Arc<AtomicBool>,
    records: u64,
}

impl Feeder {
    /// A feeder that goes on behind `positions`, until `stop` is set.
    ///
    /// # Errors
    /// [`Refused::UnknownFeed`] where the engine lacks one of the province's feeds.
    pub fn try_new(
        handle: Handle,
        province: Simulation,
        positions: &Positions,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, Refused> {
        let feed = |feed: Feed| handle.intake().feed(feed.name());
        let feeds = Feed::ALL.into_iter().map(feed).collect::<Result<_, _>>()?;
        let position = |feed: Feed| {
            let text = positions.get(&(feed.name().to_owned(), PARTITION.to_owned()))?;
            Some((text.parse().ok()?, feed))
        };
        let taken = Feed::ALL.into_iter().filter_map(position).max();
        Ok(Self { handle, province, feeds, taken, stop, records: 0 })
    }

    /// The day on which it goes on; `None` where nothing was delivered yet.
    #[must_use]
    pub fn day(&self) -> Option<i32> {
        self.taken.map(|(at_ms, _)| day_of(at_ms))
    }

    /// Records delivered so far, those that cannot be read included.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Delivers the days of `span` that the engine lacks, as fast as it takes them. `progress` hears of so many days more.
    /// Returns whether all of them are there; not, where it was stopped.
    ///
    /// # Errors
    /// [`Refused`], when the engine takes no more; what it took in between may then lack something.
    pub fn history(
        &mut self,
        span: Range<i32>,
        mut progress: impl FnMut(u64),
    ) -> Result<bool, Refused> {
        let first = self.day().map_or(span.start, |day| day.clamp(span.start, span.end));
        progress(u64::from(first.abs_diff(span.start)));
        let days: Vec<i32> = (first..span.end).collect();
        let (send, receive) = sync_channel::<Vec<Vec<Delivery>>>(2);
        let maker = Maker::new(self);
        let stop = Arc::clone(&self.stop);
        thread::scope(|scope| {
            scope.spawn(move || {
                for together in days.chunks(TOGETHER) {
                    let make = |day: &i32| maker.day(*day, WHOLE_DAY_MS);
                    let made = together.par_iter().map(make).collect();
                    // Who delivers has stopped.
                    if send.send(made).is_err() {
                        return;
                    }
                }
            });
            for together in receive {
                if stop.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                let days = together.len() as u64;
                self.deliver(together.into_iter().flatten())?;
                progress(days);
            }
            Ok(true)
        })
    }

    /// Delivers the days of `span`, a second of the machine being `speed` seconds of the province; 0: its clock stands
    /// still. Goes on where the clock is. Returns when the span is over, or when it was stopped.
    ///
    /// # Errors
    /// As [`Self::history`].
    pub fn live(&mut self, span: Range<i32>, speed: f64) -> Result<(), Refused> {
        let clock = self.handle.clock().clone();
        clock.reach(day_start(span.start));
        let pace = Pace::new(clock.now_ms(), speed);
        for day in day_of(clock.now_ms())..span.end {
            let made = Maker::new(self).day(day, MINUTE_MS);
            let mut waiting =
                made.into_iter().filter(|d| !self.has(d)).collect::<Vec<_>>().into_iter();
            while let Some(next) = waiting.as_slice().first() {
                if !self.wait(&pace, arrives(next)) {
                    return Ok(());
                }
                let now_ms = pace.now_ms();
                let due = waiting.as_slice().iter().take_while(|d| arrives(d) <= now_ms).count();
                self.deliver(waiting.by_ref().take(due).collect::<Vec<_>>())?;
            }
        }
        self.wait(&pace, day_start(span.end));
        Ok(())
    }

    /// Moves the clock until the pace has come to `at_ms`; returns whether it has, not where it was stopped.
    fn wait(&self, pace: &Pace, at_ms: i64) -> bool {
        loop {
            let now_ms = pace.now_ms();
            self.handle.clock().reach(now_ms.min(at_ms));
            if self.stop.load(Ordering::Relaxed) {
                return false;
            }
            if now_ms >= at_ms {
                return true;
            }
            thread::sleep(pace.until(at_ms - now_ms).min(STOP));
        }
    }

    fn deliver(&mut self, deliveries: impl IntoIterator<Item = Delivery>) -> Result<(), Refused> {
        let new: Vec<Delivery> = deliveries.into_iter().filter(|d| !self.has(d)).collect();
        let decoded = new.iter().flat_map(|d| &d.decoded);
        self.records += decoded.map(|d| (d.lines.len() + d.dead.len()) as u64).sum::<u64>();
        self.handle.deliver_all(new).into_iter().try_for_each(|answer| answer.map(drop))
    }

    /// Whether the engine had it before this run.
    fn has(&self, delivery: &Delivery) -> bool {
        let at = self.feeds.iter().position(|f| *f == delivery.feed).map(|i| Feed::ALL[i]);
        at.is_some_and(|feed| self.taken.is_some_and(|taken| (arrives(delivery), feed) <= taken))
    }
}

/// Makes deliveries of days, on any thread.
#[derive(Clone)]
struct Maker {
    province: Simulation,
    intake: Intake,
    feeds: Vec<usize>,
}

impl Maker {
    fn new(feeder: &Feeder) -> Self {
        Self {
            province: feeder.province.clone(),
            intake: feeder.handle.intake().clone(),
            feeds: feeder.feeds.clone(),
        }
    }

    fn day(&self, day: i32, every_ms: i64) -> Vec<Delivery> {
        let parcels = parcels(&self.province.day(day), every_ms);
        parcels.into_iter().map(|parcel| self.delivery(parcel)).collect()
    }

    fn delivery(&self, parcel: Parcel) -> Delivery {
        let feed = self.feeds[parcel.feed as usize];
        let options = self.intake.options(feed, Format::Ndjson);
        let decoded: io::Result<Vec<_>> =
            open(Input::Bytes(parcel.body), &options).and_then(Iterator::collect);
        Delivery {
            feed,
            partition: PARTITION.into(),
            decoded: decoded.expect("plain bytes in memory can be read"),
            idempotency: None,
            arrived_ms: Some(parcel.at_ms),
            position: Some(parcel.at_ms.to_string()),
            ended: false,
        }
    }
}

fn arrives(delivery: &Delivery) -> i64 {
    delivery.arrived_ms.unwrap_or(i64::MIN)
}

/// How the province's time goes beside the machine's.
struct Pace {
    began: Instant,
    start_ms: i64,
    speed: f64,
}

impl Pace {
    #[expect(clippy::disallowed_methods, reason = "a pace is kept by the machine's clock")]
    fn new(start_ms: i64, speed: f64) -> Self {
        Self { began: Instant::now(), start_ms, speed }
    }

    /// The province's present, ms.
    fn now_ms(&self) -> i64 {
        self.start_ms.saturating_add((self.began.elapsed().as_secs_f64() * 1e3 * self.speed) as i64)
    }

    /// How long the machine takes for `ms` of the province, a year at most.
    fn until(&self, ms: i64) -> Duration {
        let seconds = ms as f64 / 1e3 / self.speed;
        Duration::try_from_secs_f64(seconds.clamp(0.0, 3e7)).unwrap_or(STOP)
    }
}
