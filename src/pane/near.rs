//! Near keys: hot keys that one slice still waits for.
//!
//! A busy business turns hot for all slices at once (see `cold`), but most of them see one row in twenty of it and will
//! never have what their rules ask for. So each slice goes on counting its own rows of a hot key, in one small number, until
//! the key could fire there; then the key's kept rows are added to the slice as if they had been from the start. The number
//! errs upwards, by the same two epochs as that of cold keys, only shorter ones: as long as the slice's own windows.

use super::{plan::Weight, prepare::ArgValues};

/// What a key must have to enter the slice. Below 1 by more than what rounding many small parts can lose.
const ENOUGH: f32 = 0.99;

/// The number of a row whose key is not hot.
pub const NO_PLACE: u32 = u32::MAX;

/// The hot keys of one slice, by their place among the hot keys of its group.
#[derive(Debug)]
pub struct NearKeys {
    weights: Vec<Weight>,
    horizon_ms: i64,
    epoch: i32,
    counts: Vec<Count>,
}

/// Weight of a key's rows in this epoch and the one before.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// Infinite: the key is in the slice.
    now: f32,
    /// Infinite: it turned within the piece at hand; its rows are added at the piece's end.
    before: f32,
}

impl Count {
    const IN_SLICE: Self = Self { now: f32::INFINITY, before: 0.0 };

    /// Counts; returns whether the key has now what it needs.
    #[inline]
    fn add(&mut self, weight: f32) -> bool {
        if self.before == f32::INFINITY {
            return false;
        }
        self.now += weight;
        let enough = self.now + self.before >= ENOUGH;
        if enough {
            self.before = f32::INFINITY;
        }
        enough
    }
}

impl NearKeys {
    /// No keys yet, of a slice that waits for `weights` and whose rows matter for `keep_ms`.
    #[must_use]
    pub fn new(weights: &[Weight], keep_ms: i64) -> Self {
        let horizon_ms = keep_ms.max(1);
        Self { weights: weights.to_vec(), horizon_ms, epoch: i32::MIN, counts: Vec::new() }
    }

    /// A key gets a place; nothing of it was counted, or all its rows are in the slice.
    pub fn begin(&mut self, place: u32, in_slice: bool) {
        let place = place as usize;
        if self.counts.len() <= place {
            self.counts.resize(place + 1, Count::default());
        }
        self.counts[place] = if in_slice { Count::IN_SLICE } else { Count::default() };
    }

    /// Counts the rows of `list`, rows of a batch with these arguments, whose keys' places are in `places` by row from `from`; `latest_ms` is the latest event
    /// time seen. Pushes the rows that go to the slice now to `into`, and those with which a key turns to `turning`.
    pub fn pass(
        &mut self,
        args: &[ArgValues],
        (list, places, from): (&[u32], &[u32], u32),
        latest_ms: i64,
        (into, turning): (&mut Vec<u32>, &mut Vec<u32>),
    ) {
        self.roll(latest_ms.div_euclid(self.horizon_ms) as i32);
        for row in list {
            let place = places[(*row - from) as usize];
            if place == NO_PLACE {
                continue;
            }
            let weight = match self.weights.as_slice() {
                [Weight { arg: None, per }] => *per,
                weights => Weight::of(weights, args, *row as usize),
            };
            let count = &mut self.counts[place as usize];
            if count.now == f32::INFINITY {
                into.push(*row);
            } else if count.add(weight as f32) {
                turning.push(*row);
            }
        }
    }

    fn roll(&mut self, epoch: i32) {
        if self.epoch == epoch {
            return;
        }
        let next = self.epoch.saturating_add(1) == epoch;
        for count in self.counts.iter_mut().filter(|c| c.now < f32::INFINITY) {
            *count = Count { now: 0.0, before: if next { count.now } else { 0.0 } };
        }
        self.epoch = epoch;
    }

    /// The rows of a key that turned are in the slice.
    pub fn turned(&mut self, place: u32) {
        self.counts[place as usize] = Count::IN_SLICE;
    }

    /// Whether the key is in the slice.
    #[must_use]
    pub fn is_in_slice(&self, place: u32) -> bool {
        self.counts.get(place as usize).is_some_and(|c| c.now == f32::INFINITY)
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<Count>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_enters_when_two_epochs_have_enough() {
        let mut keys = NearKeys::new(&[Weight { arg: None, per: 1.0 / 3.0 }], 100);
        keys.begin(2, false);
        let pass = |keys: &mut NearKeys, at_ms| {
            let (mut into, mut turning) = (Vec::new(), Vec::new());
            keys.pass(&[], (&[5, 6], &[2, NO_PLACE], 5), at_ms, (&mut into, &mut turning));
            (into, turning)
        };
        assert_eq!(pass(&mut keys, 10), (vec![], vec![]));
        assert_eq!(pass(&mut keys, 90), (vec![], vec![]));
        assert_eq!(pass(&mut keys, 310), (vec![], vec![]), "the epoch before had none");
        assert_eq!(pass(&mut keys, 320), (vec![], vec![]));
        assert_eq!(pass(&mut keys, 410), (vec![], vec![5]), "two of the epoch before count");
        assert_eq!(pass(&mut keys, 410), (vec![], vec![]), "its rows come at the piece's end");
        keys.turned(2);
        assert!(keys.is_in_slice(2));
        assert_eq!(pass(&mut keys, 900), (vec![5], vec![]));
    }
}
