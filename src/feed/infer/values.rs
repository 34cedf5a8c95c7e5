//! Values: what a column holds → its type, and whether it is about a person.
//!
//! In: the values of one heading as texts. Out: a [`Guess`] with the reasons that its author should see.

use std::collections::BTreeSet;

use crate::model::{
    moment, number,
    reference::{region, ucc},
    schema::ColumnType,
    time::{DAY_MS, Zone},
};

/// Words of headings whose values are about a person.
const PERSONAL: [&str; 14] = [
    "电话",
    "手机",
    "身份证",
    "证件号",
    "姓名",
    "联系人",
    "投诉人",
    "举报人",
    "法定代表人",
    "负责人",
    "phone",
    "mobile_phone",
    "person",
    "complainant",
];
/// Words of headings that name a record.
pub(super) const IDS: [&str; 8] =
    ["编号", "文号", "案号", "单号", "id", "number", "reference", "no"];
/// Words of headings about money.
const MONEY: [&str; 9] = ["金额", "元", "款", "价", "amount", "usd", "yuan", "refund", "price"];
/// What offices write for "nothing".
const PLACEHOLDERS: [&str; 9] = ["/", "-", "—", "——", "、", "无", "\\", "N/A", "null"];
/// Formats that are tried where the built-in forms do not read a date.
const FORMATS: [&str; 8] = [
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%d %b %Y",
];
/// Share of values, in per cent, that must fit a type of codes; the rest are typing errors.
const CODES_FIT: usize = 90;
/// Share of dates, in per cent, that must be readable; the rest are typing errors and become dead letters.
pub(super) const TIMES_FIT: usize = 98;
/// A column with at most so many values is listed.
const LISTED_MAX: usize = 12;

/// One column of the proposal.
#[derive(Debug, Clone)]
pub(super) struct Guess {
    pub(super) heading: String,
    pub(super) name: String,
    pub(super) kind: ColumnType,
    pub(super) format: Option<&'static str>,
    pub(super) empty: Vec<String>,
    pub(super) personal: bool,
    /// How many of a hundred records have a value of their own.
    pub(super) unique: usize,
    /// What numbers are multiplied by: 10000 makes 元 of 万元.
    pub(super) times: Option<i64>,
    /// Values, where they are few and not personal.
    pub(super) listed: Vec<String>,
    /// Share of records without a value, per cent.
    pub(super) missing: usize,
}

/// Looks at the values under `heading`, whose column will be called `name`.
pub(super) fn guess(heading: &str, name: String, values: &[Option<&str>], zone: &Zone) -> Guess {
    let is_placeholder = |v: &&str| PLACEHOLDERS.contains(v);
    let given: Vec<&str> = values.iter().flatten().copied().collect();
    let real: Vec<&str> = given.iter().copied().filter(|v| !is_placeholder(v)).collect();
    let distinct: BTreeSet<&str> = real.iter().copied().collect();
    let placeholders: BTreeSet<&str> = given.iter().copied().filter(is_placeholder).collect();
    let (kind, format) = type_of(heading, &real, zone);
    let personal = is_personal(heading, &real);
    let kind = if personal { ColumnType::Text } else { kind };
    let is_number =
        matches!(kind, ColumnType::Int | ColumnType::Float | ColumnType::Decimal { .. });
    let times = (is_number && heading.contains("万元")).then_some(10_000);
    let kind = if times.is_some() { ColumnType::Decimal { scale: 2 } } else { kind };
    let repeats = distinct.len() <= LISTED_MAX && real.len() >= 4 * distinct.len();
    let short = distinct.iter().all(|v| v.chars().count() <= 20);
    let listed = kind == ColumnType::Text && repeats && short && !personal;
    Guess {
        heading: heading.to_owned(),
        name,
        kind,
        format: format.filter(|_| !personal),
        empty: placeholders.into_iter().map(str::to_owned).collect(),
        personal,
        unique: distinct.len() * 100 / values.len().max(1),
        times,
        listed: if listed { distinct.into_iter().map(str::to_owned).collect() } else { Vec::new() },
        missing: (values.len() - real.len()) * 100 / values.len().max(1),
    }
}

/// Whether the values are about a person: by the heading, or because they are mobile or identity card numbers.
fn is_personal(heading: &str, values: &[&str]) -> bool {
    let digits = |v: &str| v.bytes().all(|b| b.is_ascii_digit());
    let is_mobile = |v: &&&str| v.len() == 11 && v.starts_with('1') && digits(v);
    let is_card = |v: &&&str| {
        // Seventeen digits and a check character: ASCII, so that its parts can be cut out.
        let is_shaped = v.len() == 18 && v.is_ascii() && digits(&v[..17]);
        is_shaped && region::check(&v[..6]).is_ok() && ucc::read(v).is_err()
    };
    let numbers = values.iter().filter(|v| is_mobile(v) || is_card(v)).count();
    has_any(heading, &PERSONAL) || (numbers * 2 > values.len() && !values.is_empty())
}

/// Whether a heading has one of these words.
pub(super) fn has_any(heading: &str, words: &[&str]) -> bool {
    let heading = heading.to_lowercase();
    words.iter().any(|w| match w.len() {
        // Two letters are found everywhere; as a word of their own they mean something.
        2 if w.is_ascii() => {
            heading.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == *w)
        }
        _ => heading.contains(w),
    })
}

fn type_of(heading: &str, values: &[&str], zone: &Zone) -> (ColumnType, Option<&'static str>) {
    let share = |fits: &dyn Fn(&str) -> bool| {
        values.iter().filter(|v| fits(v)).count() * 100 >= CODES_FIT * values.len()
    };
    let all = |fits: &dyn Fn(&str) -> bool| values.iter().all(|v| fits(v));
    if values.is_empty() {
        return (ColumnType::Text, None);
    }
    if share(&|v| ucc::read(v).is_ok()) {
        return (ColumnType::Ucc, None);
    }
    let listed = |v: &str| {
        v.len() == 6 && matches!(region::check(v), Ok(s) if s != region::Standing::Unknown)
    };
    if share(&listed) {
        return (ColumnType::Region, None);
    }
    if all(&|v| matches!(v, "true" | "false" | "True" | "False" | "TRUE" | "FALSE" | "是" | "否"))
    {
        return (ColumnType::Bool, None);
    }
    if let Some(found) = time_of(values, zone) {
        return found;
    }
    let is_code = |v: &str| v.len() > 1 && v.starts_with('0') && !v.starts_with("0.");
    let numeric = all(&|v| number::float(v).is_some()) && !values.iter().any(|v| is_code(v));
    if numeric && !has_any(heading, &IDS) && !has_any(heading, &["code", "代码", "zip", "编码"])
    {
        let whole = all(&|v| number::int(v).is_some() && !v.contains('.'));
        let cents = all(&|v| v.split_once('.').is_none_or(|(_, f)| f.len() <= 2));
        return match (whole, cents && has_any(heading, &MONEY)) {
            (_, true) => (ColumnType::Decimal { scale: 2 }, None),
            (true, _) => (ColumnType::Int, None),
            _ => (ColumnType::Float, None),
        };
    }
    let is_list = |v: &str| {
        let parts: Vec<_> = v.split([';', '；', '、', '|']).collect();
        parts.len() > 1 && parts.iter().all(|p| p.chars().count() <= 30)
    };
    let lists = values.iter().filter(|v| is_list(v)).count();
    if lists * 2 > values.len() { (ColumnType::Texts, None) } else { (ColumnType::Text, None) }
}

/// Whether all values are dates or times, in a form that is read anyway or in one of [`FORMATS`].
fn time_of(values: &[&str], zone: &Zone) -> Option<(ColumnType, Option<&'static str>)> {
    let candidates = std::iter::once(None).chain(FORMATS.iter().copied().map(Some));
    for format in candidates {
        let formats: Vec<String> = format.into_iter().map(str::to_owned).collect();
        let days = |v: &str| match moment::day(v, &formats, zone) {
            // Eight digits may be a number; dates of a century are dates.
            Some(day) => (-25_567..=84_000).contains(&day),
            None => false,
        };
        let readable = values.iter().filter(|v| days(v)).count();
        if readable * 100 >= TIMES_FIT * values.len() {
            let has_clock = |v: &&str| {
                v.contains(':')
                    || v.contains('时')
                    || v.len() >= 12 && v.bytes().all(|b| b.is_ascii_digit())
            };
            let midnight = |v: &&str| {
                moment::instant(v, &formats, zone).is_some_and(|ms| zone.to_local(ms) % DAY_MS == 0)
            };
            let clock =
                values.iter().any(has_clock) && values.iter().any(|v| days(v) && !midnight(v));
            return Some((if clock { ColumnType::Timestamp } else { ColumnType::Date }, format));
        }
    }
    None
}
