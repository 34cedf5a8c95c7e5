//! Region codes after GB/T 2260: their form, parents, names and what became of retired ones.
//!
//! In: a code of 2, 4, 6, 9 or 12 digits. Out: whether it is current, retired (with its successors) or unknown, and the
//! code of the province, prefecture or county above it. A retired code stays what it was: a licence of 2016 was issued
//! in 430124, whatever the county is called today.
//! Not here: who is responsible for a region.

use std::{collections::HashMap, sync::LazyLock};

const CURRENT: &str = include_str!("../../../rules/lists/regions.csv");
const RETIRED: &str = include_str!("../../../rules/lists/regions_retired.csv");

/// Levels of the tree, outermost first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// 省: 2 digits.
    Province,
    /// 市, 州: 4 digits.
    Prefecture,
    /// 县, 区: 6 digits.
    County,
    /// 乡, 街道: 9 digits.
    Township,
    /// 村, 社区: 12 digits.
    Village,
}

impl Level {
    /// The level of a word in rules: `province`, `city`, `county`, `township`, `village`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "province" => Self::Province,
            "city" | "prefecture" => Self::Prefecture,
            "county" => Self::County,
            "township" => Self::Township,
            "village" => Self::Village,
            _ => return None,
        })
    }

    fn digits(self) -> usize {
        match self {
            Self::Province => 2,
            Self::Prefecture => 4,
            Self::County => 6,
            Self::Township => 9,
            Self::Village => 12,
        }
    }
}

/// What the tables say of a well-formed code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In the current list.
    Current,
    /// No longer listed; its successors, none where it was divided up.
    Retired(&'static [&'static str]),
    /// In neither list, though its province is: newer than the lists, or gone before 1990.
    Unknown,
}

/// Why a text is not a region code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Something other than digits.
    #[error("holds something other than digits")]
    Digits,
    /// A length that no level has.
    #[error("has {0} digits, codes have 2, 4, 6, 9 or 12")]
    Length(usize),
    /// The first two digits name no province.
    #[error("begins with {0:02}, which is no province")]
    Province(u8),
}

struct Retired {
    name: &'static str,
    successors: Vec<&'static str>,
}

struct Tables {
    current: HashMap<&'static str, &'static str>,
    retired: HashMap<&'static str, Retired>,
    provinces: [bool; 100],
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut provinces = [false; 100];
    let mut current = HashMap::new();
    for mut row in rows(CURRENT) {
        let (code, name) = (row.next().unwrap_or_default(), row.next().unwrap_or_default());
        provinces[province_number(code)] = true;
        current.insert(code, name);
    }
    // Hong Kong, Macao and Taiwan have codes without divisions in the list.
    for special in [71, 81, 82] {
        provinces[special] = true;
    }
    let mut retired = HashMap::new();
    for mut row in rows(RETIRED) {
        let (code, name) = (row.next().unwrap_or_default(), row.next().unwrap_or_default());
        let successors = row.nth(2).unwrap_or_default();
        let successors = successors.split('|').filter(|s| !s.is_empty()).collect();
        retired.insert(code, Retired { name, successors });
    }
    Tables { current, retired, provinces }
});

fn rows(csv: &'static str) -> impl Iterator<Item = std::str::Split<'static, char>> {
    csv.lines().skip(1).map(|line| line.split(','))
}

fn province_number(code: &str) -> usize {
    code.get(..2).and_then(|p| p.parse().ok()).unwrap_or(0)
}

/// Is `code` a region code, and which?
///
/// # Errors
/// A [`Fault`] when it cannot be one. A code below a known province that no table lists is not a fault: it may be newer
/// than the tables, or older.
pub fn check(code: &str) -> Result<Standing, Fault> {
    if !code.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::Digits);
    }
    if !matches!(code.len(), 2 | 4 | 6 | 9 | 12) {
        return Err(Fault::Length(code.len()));
    }
    let province = province_number(code);
    if !TABLES.provinces[province] && !code.starts_with("1000") {
        return Err(Fault::Province(province as u8));
    }
    Ok(standing(code))
}

fn standing(code: &str) -> Standing {
    let county = padded(code);
    if TABLES.current.contains_key(county.as_str()) {
        return Standing::Current;
    }
    match TABLES.retired.get(county.as_str()) {
        Some(retired) => Standing::Retired(&retired.successors),
        None => Standing::Unknown,
    }
}

/// The six-digit code that the tables list for `code`.
fn padded(code: &str) -> String {
    format!("{:0<6}", code.get(..6).unwrap_or(code))
}

/// The level of a well-formed code; trailing zeros of a six-digit code raise it.
#[must_use]
pub fn level(code: &str) -> Option<Level> {
    Some(match code.len() {
        2 => Level::Province,
        4 if code.ends_with("00") => Level::Province,
        4 => Level::Prefecture,
        6 if code.ends_with("0000") => Level::Province,
        6 if code.ends_with("00") => Level::Prefecture,
        6 => Level::County,
        9 => Level::Township,
        12 => Level::Village,
        _ => return None,
    })
}

/// The code of the region at `wanted` that holds `code`: `at("430102001", Prefecture)` is `430100`.
///
/// Provinces, prefectures and counties have six digits. `None` when `code` is coarser than `wanted` or malformed.
#[must_use]
pub fn at(code: &str, wanted: Level) -> Option<String> {
    if level(code)? < wanted {
        return None;
    }
    let head = code.get(..wanted.digits())?;
    Some(format!("{head:0<6}"))
}

/// The region one level above; `None` for a province.
#[must_use]
pub fn parent(code: &str) -> Option<String> {
    match level(code)? {
        Level::Province => None,
        Level::Prefecture => at(code, Level::Province),
        Level::County => at(code, Level::Prefecture),
        Level::Township => at(code, Level::County),
        Level::Village => at(code, Level::Township),
    }
}

/// The region's name, also of a retired one.
#[must_use]
pub fn name(code: &str) -> Option<&'static str> {
    let county = padded(code);
    let current = TABLES.current.get(county.as_str()).copied();
    current.or_else(|| TABLES.retired.get(county.as_str()).map(|r| r.name))
}

/// Codes and names of the listed counties whose code begins with `prefix`, in the order of their codes.
#[must_use]
pub fn counties(prefix: &str) -> Vec<(&'static str, &'static str)> {
    let listed = TABLES.current.iter().map(|(code, name)| (*code, *name));
    let wanted = |code: &str| code.starts_with(prefix) && level(code) == Some(Level::County);
    let mut out: Vec<_> = listed.filter(|(code, _)| wanted(code)).collect();
    out.sort_unstable();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standing_of_codes() {
        for (code, expect) in [
            ("430000", Ok(Standing::Current)),
            ("43", Ok(Standing::Current)),
            ("4301", Ok(Standing::Current)),
            ("430102", Ok(Standing::Current)),
            ("430102001", Ok(Standing::Current)),
            ("430102001003", Ok(Standing::Current)),
            ("430124", Ok(Standing::Retired(&["430182"]))),
            ("432301", Ok(Standing::Retired(&["430902", "430903"]))),
            ("430105", Ok(Standing::Current)),
            ("430202", Ok(Standing::Current)),
            ("430204", Ok(Standing::Current)),
            ("430203", Ok(Standing::Current)),
            ("430303", Ok(Standing::Retired(&[]))),
            ("330283", Ok(Standing::Retired(&["330213"]))),
            ("342225", Ok(Standing::Retired(&["341324"]))),
            ("510200", Ok(Standing::Retired(&["500000"]))),
            ("110103", Ok(Standing::Retired(&[]))),
            ("430199", Ok(Standing::Unknown)),
            ("810000", Ok(Standing::Unknown)),
            ("100000", Ok(Standing::Unknown)),
            ("990000", Err(Fault::Province(99))),
            ("4301023", Err(Fault::Length(7))),
            ("", Err(Fault::Length(0))),
            ("43010x", Err(Fault::Digits)),
            ("长沙市", Err(Fault::Digits)),
        ] {
            assert_eq!(check(code), expect, "{code}");
        }
    }

    #[test]
    fn parents_end_at_the_province() {
        for (code, expect) in [
            ("430102001003", Some("430102001")),
            ("430102001", Some("430102")),
            ("430102", Some("430100")),
            ("430100", Some("430000")),
            ("4301", Some("430000")),
            ("430000", None),
            ("43", None),
            ("4", None),
        ] {
            assert_eq!(parent(code).as_deref(), expect, "{code}");
        }
    }

    #[test]
    fn regions_above() {
        for (code, wanted, expect) in [
            ("430102", "city", Some("430100")),
            ("430102", "province", Some("430000")),
            ("430102001", "county", Some("430102")),
            ("4301", "city", Some("430100")),
            ("430100", "county", None),
            ("43", "city", None),
        ] {
            let level = Level::parse(wanted).unwrap();
            assert_eq!(at(code, level).as_deref(), expect, "{code} {wanted}");
        }
    }

    #[test]
    fn every_listed_region_has_a_listed_parent() {
        let codes = rows(CURRENT).filter_map(|mut row| row.next());
        for code in codes {
            let listed = parent(code).is_none_or(|p| TABLES.current.contains_key(p.as_str()));
            assert!(listed, "{code}");
        }
        assert_eq!(TABLES.current.len(), 3_348);
        assert_eq!(TABLES.retired.len(), 2523);
        let successors = TABLES.retired.values().flat_map(|r| &r.successors);
        for code in successors {
            assert!(TABLES.current.contains_key(code), "{code}");
        }
    }

    #[test]
    fn names_of_old_and_new() {
        assert_eq!(name("430182"), Some("宁乡市"));
        assert_eq!(name("430124"), Some("宁乡县"));
        assert_eq!(name("430182003"), Some("宁乡市"));
        assert_eq!(name("310119"), Some("南汇区"));
        assert_eq!(name("439999"), None);
    }
}
