//! Province: its counties and its businesses, made up from their numbers.
//!
//! A business is a function of its number, so that eight million of them take no memory. The low numbers are the large ones:
//! [`Province::complained_of`] draws by size, the top hundredth draws about half. Counties are those of Hunan, weighted by
//! population. No business exists: names hold the word 样例, and the organisation part of a code begins with `YY`, which no
//! register has been seen to issue; both its check characters are right.

use std::sync::LazyLock;

use super::dice::{Dice, mix};
use crate::model::reference::{region, ucc};

/// The province's code.
const PROVINCE: &str = "43";
/// Organisation codes that can be told apart behind the two fixed characters.
const CODES: u64 = 31_u64.pow(6);
/// Prime and not 31, so that numbers and codes pair up one to one while neighbours look unlike.
const STRIDE: u64 = 514_229_759;
/// Businesses so near the top are platforms.
const PLATFORMS: u64 = 12;

/// Prefectures by population, shares of a thousand.
pub(super) const PREFECTURES: [(&str, u16); 14] = [
    ("4301", 230),
    ("4302", 70),
    ("4303", 55),
    ("4304", 90),
    ("4305", 80),
    ("4306", 75),
    ("4307", 75),
    ("4308", 25),
    ("4309", 50),
    ("4310", 65),
    ("4311", 65),
    ("4312", 55),
    ("4313", 45),
    ("4331", 20),
];

const TRADES: [&str; 28] = [
    "烘焙",
    "健身",
    "水产",
    "茶叶",
    "火锅",
    "书店",
    "家电",
    "装修",
    "美容",
    "酿酒",
    "乳品",
    "培训",
    "粮油",
    "山货",
    "糖果",
    "豆制品",
    "糕点",
    "腊味",
    "蜂业",
    "冷饮",
    "超市",
    "药房",
    "数码",
    "童装",
    "洗浴",
    "汽修",
    "旅行",
    "物业",
];

/// A county or district.
#[derive(Debug)]
pub(super) struct County {
    /// Six digits.
    pub(super) code: &'static str,
    /// Its name.
    pub(super) name: &'static str,
    /// The prefecture's name without 市 and 自治州.
    pub(super) city: String,
}

/// By prefecture, in the order of [`PREFECTURES`].
static COUNTIES: LazyLock<Vec<Vec<County>>> = LazyLock::new(|| {
    let of = |(prefix, _): &(&'static str, u16)| {
        let name = region::name(prefix).unwrap_or("样例市");
        let city = match name.strip_suffix('市') {
            Some(short) => short.to_owned(),
            None => name.chars().take(2).collect(),
        };
        // A fifth digit of 7 marks zones that only statistics use, 01 the pseudo-county of all districts.
        let real = |(code, name): &(&str, &str)| code.as_bytes()[4] != b'7' && *name != "市辖区";
        let counties = region::counties(prefix).into_iter().filter(real);
        counties.map(|(code, name)| County { code, name, city: city.clone() }).collect()
    };
    debug_assert!(PREFECTURES.iter().all(|(p, _)| p.starts_with(PROVINCE)));
    PREFECTURES.iter().map(of).collect()
});

/// Counties of the prefecture at this position of [`PREFECTURES`].
pub(super) fn counties_of(prefecture: usize) -> &'static [County] {
    &COUNTIES[prefecture]
}

/// A county, as likely as its prefecture's population.
pub(super) fn any_county(dice: &mut Dice) -> &'static County {
    const POSITIONS: [(usize, u16); 14] = {
        let mut out = [(0, 0); 14];
        let mut i = 0;
        while i < 14 {
            out[i] = (i, PREFECTURES[i].1);
            i += 1;
        }
        out
    };
    let counties: &'static [County] = counties_of(dice.weighted(&POSITIONS));
    &counties[dice.below(counties.len() as u64) as usize]
}

/// One business.
#[derive(Debug, Clone, Copy)]
pub(super) struct Business {
    /// Its number; the lower, the larger.
    pub(super) number: u64,
    /// Where it is.
    pub(super) county: &'static County,
}

impl Business {
    /// The business of this number, which its county follows from.
    #[inline]
    pub(super) fn new(number: u64) -> Self {
        let mut dice = Dice::at(0, 0, 0, number);
        Self { number, county: any_county(&mut dice) }
    }

    /// The business of this number, placed in `county`.
    pub(super) fn placed(number: u64, county: &'static County) -> Self {
        Self { number, county }
    }

    /// Its unified social credit code.
    #[inline]
    pub(super) fn ucc(&self) -> [u8; 18] {
        let mut head = [9, if self.is_company() { 1 } else { 2 }, 0, 0, 0, 0, 0, 0];
        for (to, digit) in head[2..].iter_mut().zip(self.county.code.bytes()) {
            *to = digit - b'0';
        }
        let mut organisation = [30, 30, 0, 0, 0, 0, 0, 0];
        let mut rest = (self.number % CODES) * STRIDE % CODES;
        for to in organisation[2..].iter_mut().rev() {
            *to = (rest % 31) as u8;
            rest /= 31;
        }
        ucc::compose(head, organisation)
    }

    /// Its code as text.
    pub(super) fn code(&self) -> String {
        self.ucc().iter().map(|b| char::from(*b)).collect()
    }

    fn is_company(&self) -> bool {
        self.number < 1000 || mix(self.number) % 10 < 4
    }

    /// Writes its name.
    #[inline]
    pub(super) fn write_name(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.county.city.as_bytes());
        out.extend_from_slice("样例".as_bytes());
        super::line::digits(out, self.number, 1);
        out.extend_from_slice("号".as_bytes());
        if self.number < PLATFORMS {
            out.extend_from_slice("网络交易平台有限公司".as_bytes());
            return;
        }
        let trade = TRADES[(mix(self.number ^ 7) % TRADES.len() as u64) as usize];
        out.extend_from_slice(trade.as_bytes());
        let end = if self.is_company() { "有限公司" } else { "店" };
        out.extend_from_slice(end.as_bytes());
    }

    /// Its name.
    pub(super) fn name(&self) -> String {
        let mut out = Vec::new();
        self.write_name(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// How many businesses there are, and how records find theirs.
#[derive(Debug, Clone)]
pub(super) struct Province {
    /// Businesses of the background have lower numbers; incidents happen to others, so that what is planted is all there is.
    pub(super) businesses: u64,
    /// `OFFSET^ALPHA` and `(businesses + OFFSET)^ALPHA`.
    head: f64,
    tail: f64,
}

/// Businesses of a province at scale 1: 8 million in Hunan at the end of 2025.
const BUSINESSES: f64 = 8_000_000.0;
/// Exponent of the distribution function of ranks, `rank^ALPHA`: 1/10, for which the tenth power is its inverse.
const ALPHA: f64 = 0.1;
/// Flattens the head, or the first business would have a tenth of all.
const OFFSET: f64 = 5.0;

impl Province {
    /// The province at `scale`, 1 being Hunan.
    pub(super) fn new(scale: f64) -> Self {
        let businesses = (BUSINESSES * scale).clamp(20_000.0, 100_000_000.0);
        Self {
            businesses: businesses as u64,
            head: OFFSET.powf(ALPHA),
            tail: (businesses + OFFSET).powf(ALPHA),
        }
    }

    /// A business as often as its size makes people complain of it.
    #[inline]
    pub(super) fn complained_of(&self, dice: &mut Dice) -> Business {
        let x = self.head + dice.unit() * (self.tail - self.head);
        let x2 = x * x;
        let x5 = x2 * x2 * x;
        let rank = (x5 * x5 - OFFSET).max(0.0) as u64;
        Business::new(rank.min(self.businesses - 1))
    }

    /// A business, all equally likely: breaches, failures and registrations do not follow size.
    #[inline]
    pub(super) fn any(&self, dice: &mut Dice) -> Business {
        Business::new(dice.below(self.businesses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_hundredth_draws_about_half() {
        let province = Province::new(1.0);
        let mut dice = Dice::at(7, 0, 0, 0);
        let ranks: Vec<u64> =
            (0..20_000).map(|_| province.complained_of(&mut dice).number).collect();
        let top = ranks.iter().filter(|r| **r < province.businesses / 100).count();
        assert!((9_000..11_500).contains(&top), "{top}");
        let first = ranks.iter().filter(|r| **r == 0).count();
        assert!((50..220).contains(&first), "{first}");
    }

    #[test]
    fn codes_are_valid_and_differ() {
        let mut seen = std::collections::HashSet::new();
        for number in (0..20_000).chain(8_000_000..8_001_000) {
            let business = Business::new(number);
            let code = business.code();
            assert_eq!(ucc::check(&code), Ok(()), "{code}");
            assert_eq!(ucc::check_organisation(&code[8..17]), Ok(()), "{code}");
            assert_eq!(&code[2..8], business.county.code);
            assert!(seen.insert(code), "{number}");
        }
    }

    #[test]
    fn the_province_has_its_122_counties() {
        let counties: Vec<&County> = (0..14).flat_map(counties_of).collect();
        assert_eq!(counties.len(), 122);
        assert_eq!(PREFECTURES.iter().map(|(_, w)| w).sum::<u16>(), 1000);
        assert_eq!((counties[0].city.as_str(), counties[0].name), ("长沙", "芙蓉区"));
    }
}
