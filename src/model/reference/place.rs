//! Where counties lie: the seat of each, for distances between neighbours.
//!
//! In: a region code. Out: longitude and latitude in degrees. A retired code lies where its one successor does, a
//! prefecture in the middle of its counties' seats; a province is no place.

use std::{collections::HashMap, sync::LazyLock};

use super::region::{self, Level, Standing};

const SEATS: &str = include_str!("../../../rules/lists/places.csv");

/// Longitude and latitude of a place, degrees.
type Seat = (f64, f64);

static PLACES: LazyLock<HashMap<&'static str, Seat>> = LazyLock::new(|| {
    let counties = SEATS.lines().skip(1).filter_map(|line| {
        let mut cells = line.split(',');
        let (code, x, y) = (cells.next()?, cells.next()?, cells.next()?);
        Some((code, (x.parse().ok()?, y.parse().ok()?)))
    });
    let mut places: HashMap<&'static str, Seat> = counties.collect();
    let mut codes: Vec<&'static str> = places.keys().copied().collect();
    // Sums of floats: always in this order.
    codes.sort_unstable();
    for of_prefecture in codes.chunk_by(|a, b| a[..4] == b[..4]) {
        let sum = of_prefecture.iter().fold((0.0, 0.0), |(x, y), code| {
            let seat = places[code];
            (x + seat.0, y + seat.1)
        });
        let n = of_prefecture.len() as f64;
        places.insert(&of_prefecture[0][..4], (sum.0 / n, sum.1 / n));
    }
    places
});

/// Where the county or prefecture that holds `code` lies; `None` where it is not listed, or coarser.
#[must_use]
pub fn seat(code: &str) -> Option<Seat> {
    match region::level(code)? {
        Level::Province => None,
        Level::Prefecture => PLACES.get(code.get(..4)?).copied(),
        Level::County | Level::Township | Level::Village => {
            let county = code.get(..6)?;
            PLACES.get(county).copied().or_else(|| match region::check(county) {
                Ok(Standing::Retired([successor])) => PLACES.get(successor).copied(),
                _ => None,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counties_prefectures_and_retired_codes_have_a_place() {
        assert_eq!(seat("430102"), Some((113.03, 28.19)));
        assert_eq!(seat("430102001003"), seat("430102"));
        assert_eq!(seat("430124"), seat("430182"));
        let (x, y) = seat("4331").unwrap();
        assert!((109.4..110.3).contains(&x) && (27.9..29.5).contains(&y), "{x} {y}");
        for none in ["43", "430000", "990000", "", "长沙", "110103"] {
            assert_eq!(seat(none), None, "{none}");
        }
    }

    #[test]
    fn every_county_of_hunan_is_listed_and_lies_in_it() {
        let counties = region::counties("43").into_iter();
        let real = counties.filter(|(code, name)| code.as_bytes()[4] != b'7' && *name != "市辖区");
        let seats: Vec<_> = real.map(|(code, _)| seat(code)).collect();
        assert_eq!(seats.len(), 122);
        for seat in seats {
            let (x, y) = seat.unwrap();
            assert!((108.7..114.3).contains(&x) && (24.6..30.2).contains(&y), "{x} {y}");
        }
    }
}
