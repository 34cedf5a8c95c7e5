//! Dice: numbers that depend on a seed and a place, not on what was drawn before.
//!
//! The generator is SplitMix64 (Steele, Lea, Flood 2014), written out here so that a seed gives the same province with every
//! version of every library. A place (what, day, index) has dice of its own: any record can be made without the others.

use std::convert::Infallible;

use rand::TryRng;

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64: every bit of `x` moves about half of the result's bits.
#[inline]
pub(super) fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The number of a place; places of different parts have unrelated numbers.
#[inline]
pub(super) fn place(seed: u64, what: u64, day: i32, index: u64) -> u64 {
    let day = u64::from(day.cast_unsigned());
    let state = mix(seed.wrapping_add(GOLDEN) ^ mix(what.wrapping_mul(GOLDEN) ^ day));
    mix(state.wrapping_add(index.wrapping_mul(GOLDEN)))
}

/// Draws one number after the other.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// The dice of a place.
    #[inline]
    pub(super) fn at(seed: u64, what: u64, day: i32, index: u64) -> Self {
        Self(place(seed, what, day, index))
    }

    #[inline]
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// `[0, n)`; 0 for `n` 0.
    #[inline]
    pub(super) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// `[from, to]`, whole days, minutes or whatever it counts.
    #[inline]
    pub(super) fn within(&mut self, from: i32, to: i32) -> i32 {
        from + self.below((to - from + 1).max(1) as u64) as i32
    }

    /// `[0, 1)`.
    #[inline]
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in `n` of a thousand cases.
    #[inline]
    pub(super) fn per_mille(&mut self, n: u64) -> bool {
        self.below(1000) < n
    }

    /// One of them, all equally likely.
    #[inline]
    pub(super) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// One of them, as likely as its share of a thousand.
    #[inline]
    pub(super) fn weighted<T: Copy>(&mut self, of: &[(T, u16)]) -> T {
        let mut left = self.below(1000) as i32;
        for (value, share) in of {
            left -= i32::from(*share);
            if left < 0 {
                return *value;
            }
        }
        of[of.len() - 1].0
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.bits() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.bits())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for part in out.chunks_mut(8) {
            let bytes = self.bits().to_le_bytes();
            part.copy_from_slice(&bytes[..part.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // First outputs for the state 1234567, as published with the reference code.
        let mut dice = Dice(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| dice.bits()).collect();
        assert_eq!(
            drawn,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn ranges_are_kept_and_filled() {
        let mut dice = Dice::at(1, 2, 3, 4);
        let mut seen = [0; 6];
        for _ in 0..6000 {
            seen[dice.within(0, 5) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (800..1200).contains(n)), "{seen:?}");
        assert_ne!(place(1, 2, 3, 4), place(1, 2, 4, 3));
    }
}
