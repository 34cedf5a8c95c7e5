//! Score: what alarms are worth, over many runs.

use std::ops::{AddAssign, Range};

use crate::world::{JUDGED, Run};

/// Outbreaks from this size on are large, in standard deviations of a week.
const LARGE: f64 = 5.0;

/// Counts of one detector over runs.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Score {
    /// Runs without an outbreak, their alarms, and the squares of each run's alarms.
    quiet_runs: f64,
    quiet_alarms: f64,
    quiet_squares: f64,
    /// Runs with an outbreak; those with an alarm in it, in its first week; weeks from its start to the first alarm.
    runs: f64,
    found: f64,
    first_week: f64,
    delay: f64,
    large: f64,
    large_found: f64,
    /// Weeks of runs with an outbreak: in it and outside, with an alarm and without.
    hits: f64,
    misses: f64,
    false_alarms: f64,
    quiet_weeks: f64,
}

impl Score {
    /// Counts the alarms of one run; `alarms` has one entry for each week judged.
    pub(crate) fn add(&mut self, run: &Run, alarms: &[bool]) {
        match &run.outbreak {
            None if run.size == 0.0 => {
                let n = alarms.iter().filter(|a| **a).count() as f64;
                self.quiet_runs += 1.0;
                self.quiet_alarms += n;
                self.quiet_squares += n * n;
            }
            // An outbreak without a case is none.
            None => {}
            Some(weeks) => self.add_outbreak(weeks, run.size, alarms),
        }
    }

    fn add_outbreak(&mut self, weeks: &Range<usize>, size: f64, alarms: &[bool]) {
        let mut first = None;
        for (week, alarm) in JUDGED.zip(alarms) {
            let part = match (weeks.contains(&week), alarm) {
                (true, true) => &mut self.hits,
                (true, false) => &mut self.misses,
                (false, true) => &mut self.false_alarms,
                (false, false) => &mut self.quiet_weeks,
            };
            *part += 1.0;
            if *alarm && weeks.contains(&week) {
                first = first.or(Some(week - weeks.start));
            }
        }
        let found = f64::from(u8::from(first.is_some()));
        self.runs += 1.0;
        self.found += found;
        self.first_week += f64::from(u8::from(first == Some(0)));
        self.delay += first.unwrap_or(0) as f64;
        if size >= LARGE {
            self.large += 1.0;
            self.large_found += found;
        }
    }

    /// Share of weeks with an alarm in runs without an outbreak.
    pub(crate) fn false_positives(&self) -> f64 {
        self.quiet_alarms / (self.quiet_runs * JUDGED.len() as f64)
    }

    /// Its standard error; weeks of one run depend on each other, runs do not.
    pub(crate) fn false_positives_se(&self) -> f64 {
        let n = self.quiet_runs;
        let mean = self.quiet_alarms / n;
        ((self.quiet_squares / n - mean * mean).max(0.0) / n).sqrt() / JUDGED.len() as f64
    }

    /// Share of outbreaks with an alarm.
    pub(crate) fn detection(&self) -> f64 {
        self.found / self.runs
    }

    /// The columns of the table: FPR, POD, POD of large outbreaks, POD in the first week, sensitivity, specificity, PPV, F1,
    /// delay in weeks.
    pub(crate) fn columns(&self) -> [f64; 9] {
        let sensitivity = self.hits / (self.hits + self.misses);
        let value = self.hits / (self.hits + self.false_alarms);
        [
            self.false_positives(),
            self.detection(),
            self.large_found / self.large,
            self.first_week / self.runs,
            sensitivity,
            self.quiet_weeks / (self.quiet_weeks + self.false_alarms),
            value,
            2.0 * sensitivity * value / (sensitivity + value),
            self.delay / self.found,
        ]
    }

    /// Standard error of the detection.
    pub(crate) fn detection_se(&self) -> f64 {
        let p = self.detection();
        (p * (1.0 - p) / self.runs).sqrt()
    }
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.quiet_runs += other.quiet_runs;
        self.quiet_alarms += other.quiet_alarms;
        self.quiet_squares += other.quiet_squares;
        self.runs += other.runs;
        self.found += other.found;
        self.first_week += other.first_week;
        self.delay += other.delay;
        self.large += other.large;
        self.large_found += other.large_found;
        self.hits += other.hits;
        self.misses += other.misses;
        self.false_alarms += other.false_alarms;
        self.quiet_weeks += other.quiet_weeks;
    }
}
