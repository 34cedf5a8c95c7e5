//! Watermark: the event time before which a feed expects no more events.
//!
//! In: the event times of admitted rows, per partition. Out: one watermark per feed, the minimum over its partitions that are
//! not idle; it never moves back. A partition that was declared idle stops holding the minimum back and rejoins with its
//! next event.
//! Not here: who declares a partition idle (the engine, as a log entry), and what becomes of rows behind it.

use std::sync::Arc;

/// The partitions of one feed.
#[derive(Debug)]
pub struct Partitions {
    out_of_order_ms: i64,
    partitions: Vec<Partition>,
    watermark: i64,
    /// The watermark without what only the end of the input moved.
    promised: i64,
}

#[derive(Debug)]
struct Partition {
    name: Arc<str>,
    /// Latest event time; `i64::MIN` before the first row.
    latest_ms: i64,
    idle: bool,
}

impl Partitions {
    /// No partitions yet; the watermark is at the beginning of time.
    #[must_use]
    pub fn new(out_of_order_ms: i64) -> Self {
        Self { out_of_order_ms, partitions: Vec::new(), watermark: i64::MIN, promised: i64::MIN }
    }

    /// Position of the partition named `name`, which is made if need be.
    pub fn position(&mut self, name: &Arc<str>) -> usize {
        match self.partitions.iter().position(|p| p.name == *name) {
            Some(i) => i,
            None => {
                self.partitions.push(Partition {
                    name: name.clone(),
                    latest_ms: i64::MIN,
                    idle: false,
                });
                self.partitions.len() - 1
            }
        }
    }

    /// The partition's own watermark, against which its rows are judged late.
    #[inline]
    #[must_use]
    pub fn own(&self, partition: usize) -> i64 {
        self.partitions[partition].latest_ms.saturating_sub(self.out_of_order_ms)
    }

    /// Takes in one event time; returns whether the feed's watermark moved.
    #[inline]
    pub fn observe(&mut self, partition: usize, event_ms: i64) -> bool {
        let p = &mut self.partitions[partition];
        p.idle = false;
        if event_ms <= p.latest_ms {
            return false;
        }
        p.latest_ms = event_ms;
        self.settle()
    }

    /// Declares a partition idle; returns whether the feed's watermark moved.
    pub fn idle(&mut self, partition: usize) -> bool {
        self.partitions[partition].idle = true;
        self.settle()
    }

    /// Moves every partition to `to_ms`, as if it had promised that; returns whether the feed's watermark moved.
    pub fn advance(&mut self, to_ms: i64) -> bool {
        self.promised = self.promised.max(to_ms);
        self.end(to_ms)
    }

    /// The input ends at `to_ms`: windows close, but nobody promised that nothing more happened until then. Returns whether
    /// the feed's watermark moved.
    pub fn end(&mut self, to_ms: i64) -> bool {
        let moved = to_ms > self.watermark;
        self.watermark = self.watermark.max(to_ms);
        moved
    }

    /// The feed's watermark; `i64::MIN` before the first row.
    #[inline]
    #[must_use]
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    /// What of the watermark the feed itself has said: absence is known up to here.
    #[inline]
    #[must_use]
    pub fn promised(&self) -> i64 {
        self.promised
    }

    /// Whether the feed can still hold back rules that read other feeds too: some partition is not idle.
    #[must_use]
    pub fn holds_back(&self) -> bool {
        self.partitions.iter().any(|p| !p.idle)
    }

    /// How many partitions are idle.
    #[must_use]
    pub fn idle_count(&self) -> usize {
        self.partitions.iter().filter(|p| p.idle).count()
    }

    fn settle(&mut self) -> bool {
        let latest = self
            .partitions
            .iter()
            .filter(|p| !p.idle && p.latest_ms != i64::MIN)
            .map(|p| p.latest_ms)
            .min();
        let Some(latest) = latest else { return false };
        let watermark = latest - self.out_of_order_ms;
        let moved = watermark > self.watermark;
        self.watermark = self.watermark.max(watermark);
        self.promised = self.promised.max(watermark);
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_partition_that_is_not_idle_rules() {
        let mut p = Partitions::new(10);
        let (a, b) = (p.position(&"a".into()), p.position(&"b".into()));
        assert!(p.observe(a, 100));
        assert_eq!(p.watermark(), 90);
        assert!(!p.observe(b, 50), "a slow newcomer does not move it back");
        assert_eq!((p.watermark(), p.own(b)), (90, 40));
        p.observe(a, 200);
        assert_eq!(p.watermark(), 90);
        assert!(p.idle(b));
        assert_eq!(p.watermark(), 190);
        p.observe(b, 150);
        p.observe(a, 300);
        assert_eq!(p.watermark(), 190, "it rejoined");
        assert!(!p.observe(a, 250), "never back");
    }
}
