//! Order statistics: median, quantile, median absolute deviation.

/// The middle of sorted values, the mean of the two middle ones; `None` without values.
pub fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let n = sorted.len();
    let upper = *sorted.get(n / 2)?;
    Some(if n % 2 == 1 { upper } else { midpoint(sorted[n / 2 - 1], upper) })
}

/// The middle of values in any order, none of them NaN.
pub fn median(values: &[f64]) -> Option<f64> {
    median_of_sorted(&sorted(values))
}

/// A sorted copy; no NaN among them.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut out = values.to_vec();
    out.sort_unstable_by(f64::total_cmp);
    out
}

/// The quantile at `q` of sorted values, linear between order statistics (Hyndman and Fan's type 7).
pub fn quantile_of_sorted(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = q.clamp(0.0, 1.0) * last as f64;
    // A hair of slack, so that an index that is whole but for rounding is taken as whole.
    let low = ((at + 4.0 * f64::EPSILON).floor() as usize).min(last);
    let part = at - low as f64;
    let part = if part.abs() < 4.0 * f64::EPSILON { 0.0 } else { part };
    let high = (low + 1).min(last);
    Some(sorted[low] + part * (sorted[high] - sorted[low]))
}

/// Median absolute deviation times 1.4826, which makes it the standard deviation of normal values.
pub fn mad(values: &[f64]) -> Option<f64> {
    let middle = median(values)?;
    let deviations: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    median(&deviations).map(|m| 1.4826 * m)
}

/// As [`mad`], of sorted values, without sorting the deviations: they grow away from the middle on both sides.
pub fn mad_of_sorted(sorted: &[f64]) -> Option<f64> {
    let middle = median_of_sorted(sorted)?;
    let n = sorted.len();
    let mut right = sorted.partition_point(|v| *v < middle);
    let mut left = right;
    let mut next = || {
        let below = left.checked_sub(1).map(|i| middle - sorted[i]);
        let above = sorted.get(right).map(|v| v - middle);
        match (below, above) {
            (Some(b), Some(a)) if b <= a => {
                left -= 1;
                b
            }
            (Some(b), None) => {
                left -= 1;
                b
            }
            (_, Some(a)) => {
                right += 1;
                a
            }
            (None, None) => 0.0,
        }
    };
    let mut previous = 0.0;
    let mut current = 0.0;
    for _ in 0..=n / 2 {
        previous = current;
        current = next();
    }
    Some(1.4826 * if n % 2 == 1 { current } else { midpoint(previous, current) })
}

/// The median as the program of STL's authors computes it.
///
/// Its partial sort wants the places to fill in rising order and is given the upper middle one first; where a partition
/// ends just between the two, one of them is left as it stands. For an odd number of values it is the median.
pub fn median_of_netlib(values: &[f64]) -> f64 {
    let n = values.len();
    if n == 0 {
        return 0.0;
    }
    let upper = n / 2 + 1;
    let wanted = [upper, n - upper + 1];
    let mut sorter = PartialSort { a: values.to_vec(), wanted };
    sorter.run();
    0.5 * (sorter.at(wanted[0]) + sorter.at(wanted[1]))
}

/// Quicksort of the parts that hold a wanted place. Places count from 1.
struct PartialSort {
    a: Vec<f64>,
    wanted: [usize; 2],
}

/// A part still to be sorted, and the first and last index of the wanted places in it.
#[derive(Clone, Copy)]
struct Part {
    from: usize,
    to: usize,
    first: usize,
    last: usize,
}

impl PartialSort {
    fn at(&self, place: usize) -> f64 {
        self.a[place - 1]
    }

    fn swap(&mut self, i: usize, j: usize) {
        self.a.swap(i - 1, j - 1);
    }

    fn run(&mut self) {
        let mut open = vec![Part { from: 1, to: self.a.len(), first: 0, last: 1 }];
        while let Some(part) = open.pop() {
            if part.first > part.last || part.from >= part.to {
                continue;
            }
            // Short parts are sorted by insertion, except at the very beginning.
            if part.to - part.from <= 10 && part.from != 1 {
                self.a[part.from - 1..part.to].sort_unstable_by(f64::total_cmp);
                continue;
            }
            let (left_end, right_start) = self.split(part.from, part.to);
            let left = Part { to: left_end, ..part };
            let right = Part { from: right_start, ..part };
            if left_end - part.from <= part.to - right_start {
                // Which wanted places lie left is asked from the last one down, and stops at the first that does.
                let in_left = (part.first..=part.last).rev().find(|&w| self.wanted[w] <= left_end);
                match in_left {
                    None => open.push(right),
                    Some(last) => {
                        open.push(Part { first: last + 1, ..right });
                        open.push(Part { last, ..left });
                    }
                }
            } else {
                let in_right = (part.first..=part.last).find(|&w| self.wanted[w] >= right_start);
                match in_right {
                    None => open.push(left),
                    Some(first) => {
                        if first > part.first {
                            open.push(Part { last: first - 1, ..left });
                        }
                        open.push(Part { first, ..right });
                    }
                }
            }
        }
    }

    /// Splits a part at the median of its first, middle and last value: ends and starts of the two new parts.
    fn split(&mut self, from: usize, to: usize) -> (usize, usize) {
        let middle = (from + to) / 2;
        if self.at(from) > self.at(middle) {
            self.swap(from, middle);
        }
        if self.at(to) < self.at(middle) {
            self.swap(to, middle);
            if self.at(from) > self.at(middle) {
                self.swap(from, middle);
            }
        }
        let pivot = self.at(middle);
        let (mut k, mut l) = (from, to);
        loop {
            l -= 1;
            if self.at(l) > pivot {
                continue;
            }
            k += 1;
            while self.at(k) < pivot {
                k += 1;
            }
            if k > l {
                return (l, k);
            }
            self.swap(k, l);
        }
    }
}

fn midpoint(a: f64, b: f64) -> f64 {
    // (a + b) / 2 first, as everyone computes it; halves only where that overflows.
    let sum = a + b;
    if sum.is_finite() { sum / 2.0 } else { a / 2.0 + b / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netlib_errs_for_even_numbers_only() {
        let mixed = |n: u64| (0..n).map(|i| (i * 7919 % 1009) as f64).collect::<Vec<_>>();
        for n in (1..400).step_by(2) {
            assert_eq!(Some(median_of_netlib(&mixed(n))), median(&mixed(n)), "{n}");
        }
        let differ = |n: &u64| Some(median_of_netlib(&mixed(*n))) != median(&mixed(*n));
        let wrong = (2..400).step_by(2).filter(differ).count();
        assert!((1..100).contains(&wrong), "{wrong} of 199");
    }

    #[test]
    fn middle_and_quantiles() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[f64::MAX, f64::MAX]), Some(f64::MAX));
        assert_eq!(quantile_of_sorted(&[1.0, 2.0, 3.0, 4.0], 0.1), Some(1.3));
        assert_eq!(mad(&[1.0, 2.0, 3.0, 4.0, 100.0]), Some(1.4826));
        for sorted in
            [&[][..], &[4.0], &[1.0, 9.0], &[1.0, 2.0, 2.0, 7.0], &[0.0, 0.0, 5.0, 6.0, 6.5]]
        {
            assert_eq!(mad_of_sorted(sorted), mad(sorted), "{sorted:?}");
        }
    }
}
