//! Random numbers from a seed, the same on every machine and with every version of every library.
//!
//! SplitMix64 (Steele, Lea and Flood 2014). A replicate has dice of its own, so replicates can be drawn in any order.

use std::convert::Infallible;

use rand::TryRng;
use rand_distr::{Distribution, Poisson};

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream of one replicate of one seed.
    pub fn new(seed: u64, replicate: u64) -> Self {
        Self(mix(mix(seed.wrapping_add(GOLDEN)).wrapping_add(replicate.wrapping_mul(GOLDEN))))
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// `[0, n)`; 0 for `n` 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A Poisson count; 0 for a mean of 0.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        Poisson::new(mean).map_or(0.0, |p| p.sample(self)) as u64
    }

    /// Puts values in random order.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for i in (1..values.len()).rev() {
            values.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.bits() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.bits())
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Infallible> {
        for chunk in into.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// Cells that are drawn in proportion to their weights, by the alias method (Vose 1991): constant time a draw.
#[derive(Debug, Clone)]
pub struct Cells {
    keep: Vec<f64>,
    other: Vec<usize>,
}

impl Cells {
    /// `None` unless all weights are finite and not negative, and one is positive.
    pub fn try_new(weights: &[f64]) -> Option<Self> {
        let total: f64 = weights.iter().sum();
        let fits = weights.iter().all(|w| *w >= 0.0) && total > 0.0 && total.is_finite();
        if !fits {
            return None;
        }
        let n = weights.len();
        let mut keep: Vec<f64> = weights.iter().map(|w| w / total * n as f64).collect();
        let mut other: Vec<usize> = (0..n).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..n).partition(|&i| keep[i] < 1.0);
        while let (Some(&low), Some(&high)) = (small.last(), large.last()) {
            small.pop();
            other[low] = high;
            keep[high] -= 1.0 - keep[low];
            if keep[high] < 1.0 {
                large.pop();
                small.push(high);
            }
        }
        for i in small.into_iter().chain(large) {
            // What is left differs from 1 by rounding only, unless it has no weight at all.
            keep[i] = if weights[i] > 0.0 { 1.0 } else { keep[i] };
        }
        Some(Self { keep, other })
    }

    /// One cell.
    pub fn draw(&self, random: &mut Random) -> usize {
        let at = random.below(self.keep.len() as u64) as usize;
        if random.unit() < self.keep[at] { at } else { self.other[at] }
    }
}

fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_drawn_by_weight() {
        let cells = Cells::try_new(&[1.0, 0.0, 3.0, 6.0]).unwrap();
        let (mut random, mut counts) = (Random::new(1, 0), [0_u32; 4]);
        for _ in 0..100_000 {
            counts[cells.draw(&mut random)] += 1;
        }
        assert_eq!(counts[1], 0);
        for (count, share) in counts.iter().zip([0.1, 0.0, 0.3, 0.6]) {
            assert!((f64::from(*count) / 1e5 - share).abs() < 0.006, "{counts:?}");
        }
        for bad in [&[][..], &[0.0], &[-1.0, 2.0], &[f64::NAN], &[f64::INFINITY, 1.0]] {
            assert!(Cells::try_new(bad).is_none());
        }
    }

    #[test]
    fn poisson_has_its_mean_and_replicates_differ() {
        for mean in [0.0, 0.3, 7.0, 900.0] {
            let mut random = Random::new(5, 2);
            let sum: u64 = (0..20_000).map(|_| random.poisson(mean)).sum();
            let got = sum as f64 / 2e4;
            assert!((got - mean).abs() <= 4.0 * (mean / 2e4).sqrt(), "{mean}: {got}");
        }
        assert_ne!(Random::new(5, 2).bits(), Random::new(5, 3).bits());
    }
}
