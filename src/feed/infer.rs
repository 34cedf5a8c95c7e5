//! Infer: a sample of a source → a feed file to start from.
//!
//! In: headings and the first records as texts. Out: YAML that reads the sample as it is, with the reasons as comments.
//! Office headings get the names that the shipped feeds give them; others keep their own name where it is one, else
//! `column_1`, `column_2` …. What looks personal is proposed as personal, and no value of such a column is shown.
//! A proposal is a guess from a few thousand rows: its author reads it, `forewarn check` and a replay judge it.

use std::{collections::BTreeSet, fmt::Write as _, path::Path, sync::LazyLock};

use super::spec::{self, FeedSpec, SQL_WORDS};
use crate::model::{
    moment, number,
    reference::{region, ucc},
    schema::ColumnType,
    time::{DAY_MS, Zone},
};

/// The shipped feeds, whose headings are known.
const SHIPPED: [(&str, &str); 10] = [
    ("complaints", include_str!("../../rules/feeds/complaints.yaml")),
    ("sampling", include_str!("../../rules/feeds/sampling.yaml")),
    ("penalties", include_str!("../../rules/feeds/penalties.yaml")),
    ("inspections", include_str!("../../rules/feeds/inspections.yaml")),
    ("registry", include_str!("../../rules/feeds/registry.yaml")),
    ("abnormal", include_str!("../../rules/feeds/abnormal.yaml")),
    ("court", include_str!("../../rules/feeds/court.yaml")),
    ("accidents", include_str!("../../rules/feeds/accidents.yaml")),
    ("recalls", include_str!("../../rules/feeds/recalls.yaml")),
    ("commitments", include_str!("../../rules/feeds/commitments.yaml")),
];

/// Headings of many exports that belong to no shipped feed.
const COMMON: [(&str, &str); 40] = [
    ("报警编号", "alarm_no"),
    ("报警时间", "reported_at"),
    ("来电时间", "called_at"),
    ("区县代码", "region"),
    ("区县", "county"),
    ("街道", "township"),
    ("事件类型", "event_kind"),
    ("设备注册代码", "device_no"),
    ("救援用时", "rescue_minutes"),
    ("用时", "minutes"),
    ("责任人", "person_hash"),
    ("产品名称", "product_name"),
    ("规格型号", "model"),
    ("行业", "industry"),
    ("经度", "longitude"),
    ("纬度", "latitude"),
    ("序号", "row_no"),
    ("编号", "record_no"),
    ("名称", "name"),
    ("单位名称", "name"),
    ("地址", "address"),
    ("日期", "day"),
    ("时间", "at"),
    ("年份", "year"),
    ("月份", "month"),
    ("金额", "amount_yuan"),
    ("数量", "quantity"),
    ("单价", "unit_price_yuan"),
    ("单位", "unit"),
    ("类型", "kind"),
    ("类别", "category"),
    ("等级", "level"),
    ("结果", "result"),
    ("状态", "state"),
    ("原因", "reason"),
    ("备注", "note"),
    ("电话", "phone_hash"),
    ("联系人", "contact_hash"),
    ("姓名", "person_hash"),
    ("身份证号", "person_id_hash"),
];

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
const IDS: [&str; 8] = ["编号", "文号", "案号", "单号", "id", "number", "reference", "no"];
/// Words of headings that say when an office knew, the likelier first.
const KNOWN: [&str; 18] = [
    "登记",
    "受理",
    "报告",
    "决定",
    "列入",
    "立案",
    "检查",
    "registered",
    "received",
    "reported",
    "intake",
    "report",
    "创建",
    "发布",
    "公布",
    "publish",
    "event",
    "case",
];
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
const TIMES_FIT: usize = 98;
/// Times so far ahead of the bulk of the others are typing errors when the order of the file is judged.
const OUTLIER_MS: i64 = 30 * DAY_MS;
/// Share of records, in per cent, that must have a value of their own in a column that names them.
const UNIQUE_PERCENT: usize = 98;
/// A column with at most so many values is listed.
const LISTED_MAX: usize = 12;

/// A proposal, and what its author should know.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The feed file.
    pub yaml: String,
    /// Sentences for the terminal.
    pub notes: Vec<String>,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No records.
    #[error("the file holds no records to infer from")]
    Empty,
    /// No dates.
    #[error(
        "no column holds dates or times: a feed needs one that says when an event happened or became known"
    )]
    NoTime,
}

/// One column of the proposal.
#[derive(Debug, Clone)]
struct Guess {
    heading: String,
    name: String,
    kind: ColumnType,
    format: Option<&'static str>,
    empty: Vec<String>,
    personal: bool,
    /// How many of a hundred records have a value of their own.
    unique: usize,
    /// What numbers are multiplied by: 10000 makes 元 of 万元.
    times: Option<i64>,
    /// Values, where they are few and not personal.
    listed: Vec<String>,
    /// Share of records without a value, per cent.
    missing: usize,
}

/// Proposes a feed named `feed` for records `rows` under `headings`; `zone` is that of readings without an offset.
///
/// # Errors
/// [`Error`] when there is nothing to go by.
pub fn infer(
    feed: &str,
    headings: &[String],
    rows: &[Vec<Option<String>>],
    zone: &Zone,
) -> Result<Proposal, Error> {
    if rows.is_empty() || headings.is_empty() {
        return Err(Error::Empty);
    }
    let (near, hits) = nearest(headings);
    let mut guesses: Vec<Guess> = Vec::new();
    for (i, heading) in headings.iter().enumerate().filter(|(_, h)| !h.is_empty()) {
        let values: Vec<Option<&str>> = rows.iter().map(|r| r.get(i)?.as_deref()).collect();
        let name = free_name(name_of(heading, near, guesses.len() + 1), &guesses);
        let mut guess = guess(heading, name, &values, zone);
        guess.kind = as_shipped(guess.kind, heading, near);
        guesses.push(guess);
    }
    let time = event_time(&guesses).ok_or(Error::NoTime)?;
    let id = record_id(&guesses);
    let place = headings.iter().position(|h| *h == guesses[time].heading).unwrap_or(0);
    let lag = disorder(rows, place, guesses[time].format, zone);
    let mut notes = vec![format!("{} records looked at", rows.len())];
    if let (Some(near), true) = (near, hits * 10 >= headings.len() * 6) {
        notes.push(format!(
            "{hits} of {} headings are those of the shipped feed {:?}: consider using it as it is",
            headings.len(),
            near.name()
        ));
    }
    if id.is_none() {
        notes.push(
            "no column names its record: without record_id corrections and repeats cannot be told"
                .into(),
        );
    }
    let personal: Vec<_> =
        guesses.iter().filter(|g| g.personal).map(|g| g.heading.as_str()).collect();
    if !personal.is_empty() {
        notes.push(format!("taken for personal and hashed: {}", personal.join(", ")));
    }
    Ok(Proposal { yaml: write(feed, &guesses, time, id, lag), notes })
}

static FEEDS: LazyLock<Vec<FeedSpec>> = LazyLock::new(|| {
    let read = |(name, text): &(&str, &str)| {
        spec::check(Path::new(&format!("{name}.yaml")), text, &Zone::utc()).0
    };
    SHIPPED.iter().filter_map(read).collect()
});

/// The shipped feed that knows most of the headings, and how many.
fn nearest(headings: &[String]) -> (Option<&'static FeedSpec>, usize) {
    let hits = |f: &FeedSpec| headings.iter().filter(|h| column_of(f, h).is_some()).count();
    let best = FEEDS.iter().map(|f| (hits(f), f)).max_by_key(|(n, _)| *n);
    best.filter(|(n, _)| *n > 0).map_or((None, 0), |(n, f)| (Some(f), n))
}

/// The column of a shipped feed that reads `heading`, by its own name before any other's.
fn column_of<'f>(feed: &'f FeedSpec, heading: &str) -> Option<&'f str> {
    let columns = &feed.schema.columns;
    let own = columns.iter().find(|c| c.name == heading);
    let found = own.or_else(|| columns.iter().find(|c| c.from.iter().any(|f| f == heading)));
    found.map(|c| c.name.as_str())
}

/// The type, unless the shipped feeds read the heading as texts: codes made of digits, names that hold a separator.
fn as_shipped(kind: ColumnType, heading: &str, near: Option<&FeedSpec>) -> ColumnType {
    use ColumnType::{Float, Int, Text, Texts};
    let of = |f: &FeedSpec| {
        let name = column_of(f, heading)?;
        f.schema.columns.iter().find(|c| c.name == name).map(|c| c.kind)
    };
    match (kind, near.and_then(of).or_else(|| FEEDS.iter().find_map(of))) {
        (Int | Float | Texts, Some(Text)) => Text,
        (Text, Some(Texts)) => Texts,
        _ => kind,
    }
}

fn name_of(heading: &str, near: Option<&'static FeedSpec>, number: usize) -> String {
    let known = near.and_then(|f| column_of(f, heading));
    let known = known.or_else(|| FEEDS.iter().find_map(|f| column_of(f, heading)));
    // A unit in brackets is no part of the name.
    let bare = heading.split(['(', '（', '[']).next().unwrap_or_default().trim();
    let known = known.or_else(|| FEEDS.iter().find_map(|f| column_of(f, bare)));
    let known = known.or_else(|| COMMON.iter().find(|(h, _)| *h == bare).map(|(_, name)| *name));
    if let Some(name) = known {
        return name.to_owned();
    }
    let mut snake = String::new();
    for c in heading.chars() {
        match c {
            'A'..='Z' if snake.ends_with(|p: char| p.is_ascii_lowercase()) => {
                snake.push('_');
                snake.push(c.to_ascii_lowercase());
            }
            _ if c.is_ascii_alphanumeric() => snake.push(c.to_ascii_lowercase()),
            _ if c.is_ascii() && !snake.ends_with('_') && !snake.is_empty() => snake.push('_'),
            _ => {}
        }
    }
    let snake = snake.trim_end_matches('_');
    // A name of a few letters out of a Chinese heading ("GB标准") would say less than its number.
    let is_ascii = heading.is_ascii() && snake.starts_with(|c: char| c.is_ascii_lowercase());
    if is_ascii { snake.to_owned() } else { format!("column_{number}") }
}

fn free_name(name: String, taken: &[Guess]) -> String {
    let name = if SQL_WORDS.contains(&name.as_str()) { format!("{name}_value") } else { name };
    let is_taken = |name: &str| taken.iter().any(|g| g.name == name);
    if !is_taken(&name) {
        return name;
    }
    let numbered = (2..).map(|n| format!("{name}_{n}")).find(|n| !is_taken(n));
    numbered.unwrap_or(name)
}

fn guess(heading: &str, name: String, values: &[Option<&str>], zone: &Zone) -> Guess {
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

fn has_any(heading: &str, words: &[&str]) -> bool {
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

fn event_time(guesses: &[Guess]) -> Option<usize> {
    let times = || {
        guesses.iter().enumerate().filter(|(_, g)| {
            matches!(g.kind, ColumnType::Date | ColumnType::Timestamp) && g.missing < 50
        })
    };
    let rank = |g: &Guess| {
        let heading = g.heading.to_lowercase();
        let word = KNOWN.iter().position(|w| heading.contains(w)).unwrap_or(KNOWN.len());
        (g.missing > 0, word)
    };
    times().min_by_key(|(i, g)| (rank(g), *i)).map(|(i, _)| i)
}

/// The column that names records: one of that meaning may repeat a little, another must be free of it.
fn record_id(guesses: &[Guess]) -> Option<usize> {
    let unique =
        |share| guesses.iter().enumerate().filter(move |(_, g)| g.unique >= share && !g.personal);
    let word = |g: &Guess| matches!(g.kind, ColumnType::Text | ColumnType::Ucc);
    let named = unique(UNIQUE_PERCENT).find(|(_, g)| has_any(&g.heading, &IDS) && g.missing == 0);
    named.or_else(|| unique(100).find(|(_, g)| word(g))).map(|(i, _)| i)
}

/// How far a record's time is behind the latest one before it, at most; `None` where most records are: the file is
/// not in the order of arrival.
fn disorder(
    rows: &[Vec<Option<String>>],
    place: usize,
    format: Option<&'static str>,
    zone: &Zone,
) -> Option<i64> {
    let formats: Vec<String> = format.into_iter().map(str::to_owned).collect();
    let times =
        rows.iter().filter_map(|r| moment::instant(r.get(place)?.as_deref()?, &formats, zone));
    let times: Vec<i64> = times.collect();
    let mut sorted = times.clone();
    sorted.sort_unstable();
    let bulk = sorted.get(sorted.len() * TIMES_FIT / 100).map_or(i64::MAX, |ms| ms + OUTLIER_MS);
    let (mut latest, mut worst, mut behind) = (i64::MIN, 0, 0);
    for ms in times.into_iter().filter(|ms| *ms <= bulk) {
        if ms < latest {
            behind += 1;
            worst = worst.max(latest - ms);
        }
        latest = latest.max(ms);
    }
    (behind * 2 <= rows.len()).then_some(worst)
}

fn write(
    feed: &str,
    guesses: &[Guess],
    time: usize,
    id: Option<usize>,
    lag: Option<i64>,
) -> String {
    let mut out = String::from("# yaml-language-server: $schema=../schema/feed.schema.json\n");
    out.push_str("# Proposed from a sample: read it, then run `forewarn check`.\n");
    let _ = writeln!(out, "feed: {feed}");
    match id {
        Some(id) => {
            let share = guesses[id].unique;
            let repeats = if share < 100 {
                format!("  # {} % of the records repeat one", 100 - share)
            } else {
                String::new()
            };
            let _ = writeln!(out, "record_id: {}{repeats}", guesses[id].name);
        }
        None => {
            out.push_str("# record_id: [no column names its record; name those that do together]\n")
        }
    }
    let _ = writeln!(out, "event_time: {}", guesses[time].name);
    match lag {
        Some(0) => out.push_str("# The sample is in the order of its times.\nallowed_lateness: 7d\n"),
        Some(ms) => {
            let days = ms / DAY_MS + 1;
            let _ = writeln!(out, "# Records of the sample are up to {days} d behind earlier ones.");
            let _ = writeln!(out, "allowed_lateness: {}d", days.max(7));
        }
        None => out.push_str(
            "# The sample is not in the order of its times: sort it, or the replay takes most of it for late.\nallowed_lateness: 7d\n",
        ),
    }
    out.push_str("columns:\n");
    for guess in guesses {
        column(&mut out, guess);
    }
    out
}

fn column(out: &mut String, guess: &Guess) {
    let mut fields = vec![format!("type: {}", guess.kind.word())];
    if let ColumnType::Decimal { scale } = guess.kind {
        fields.push(format!("scale: {scale}"));
    }
    if guess.heading != guess.name {
        fields.push(format!("from: {}", quoted(&guess.heading)));
    }
    if let Some(format) = guess.format {
        fields.push(format!("formats: {}", quoted(format)));
    }
    if let Some(times) = guess.times {
        fields.push(format!("times: {{{}: {times}}}", quoted(&guess.heading)));
    }
    if !guess.empty.is_empty() {
        let words: Vec<_> = guess.empty.iter().map(|w| quoted(w)).collect();
        fields.push(format!("empty: [{}]", words.join(", ")));
    }
    if guess.personal {
        fields.push("personal: true".into());
    }
    let plain = fields.len() == 1;
    let body =
        if plain { guess.kind.word().to_owned() } else { format!("{{{}}}", fields.join(", ")) };
    let mut reasons = Vec::new();
    if guess.missing > 0 {
        reasons.push(format!("{} % without a value", guess.missing.max(1)));
    }
    if !guess.listed.is_empty() {
        reasons.push(format!("values: {}", guess.listed.join(" ")));
    }
    let reason =
        if reasons.is_empty() { String::new() } else { format!("  # {}", reasons.join("; ")) };
    let _ = writeln!(out, "  {}: {body}{}", guess.name, reason.replace(['\n', '\r'], " "));
}

/// A text as a double-quoted YAML scalar, of which JSON strings are a kind.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> Zone {
        Zone::parse("Asia/Shanghai").unwrap()
    }

    fn proposal(headings: &str, rows: &[&str]) -> Proposal {
        let split = |line: &str| -> Vec<String> { line.split(',').map(String::from).collect() };
        let rows: Vec<Vec<Option<String>>> = rows
            .iter()
            .map(|r| split(r).into_iter().map(|v| Some(v).filter(|v| !v.is_empty())).collect())
            .collect();
        let proposal = infer("test", &split(headings), &rows, &zone()).unwrap();
        // Whatever is proposed is a feed file.
        let (spec, findings) = spec::check(Path::new("test.yaml"), &proposal.yaml, &zone());
        assert!(spec.is_some() && findings.is_empty(), "{}\n{findings:?}", proposal.yaml);
        proposal
    }

    fn lines(yaml: &str) -> Vec<&str> {
        yaml.lines().filter(|l| !l.starts_with('#')).collect()
    }

    #[test]
    fn names_of_six_characters_are_no_identity_cards() {
        let found = proposal("日期,甲", &["2026-03-05,外省某食品厂", "2026-03-06,预付卡退费难"]);
        assert!(!found.yaml.contains("personal"), "{}", found.yaml);
    }

    #[test]
    fn ten_thousands_become_yuan() {
        let found = proposal(
            "日期,罚款金额(万元),救援用时（分钟）",
            &["2026-03-05,0.5,12", "2026-03-06,12.345678,9"],
        );
        for line in [
            "  fine_yuan: {type: decimal, scale: 2, from: \"罚款金额(万元)\", times: {\"罚款金额(万元)\": 10000}}",
            "  rescue_minutes: {type: int, from: \"救援用时（分钟）\"}",
        ] {
            assert!(found.yaml.contains(line), "{}", found.yaml);
        }
    }

    #[test]
    fn a_few_repeats_and_bad_dates_do_not_hide_the_roles() {
        let mut rows: Vec<String> =
            (0..180).map(|i| format!("T{i},2026-03-{:02} 08:00,20", i / 9 + 1)).collect();
        rows.push("T7,二〇二六年三月,20".into());
        rows.push("T119,2099-01-01,20".into());
        rows.push("T5,2026-03-16 09:00,20".into());
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let found = proposal("工单编号,登记时间,状态", &rows);
        for line in [
            "record_id: order_no  # 2 % of the records repeat one",
            "event_time: registered_at",
            "up to 4 d behind",
            "state: {type: text",
        ] {
            assert!(found.yaml.contains(line), "{line}\n{}", found.yaml);
        }
    }

    #[test]
    fn office_headings_get_their_names() {
        let found = proposal(
            "工单编号,登记时间,投诉人电话,被投诉单位,统一社会信用代码,行政区划代码,涉及金额(元),奇怪的列,状态",
            &[
                "T1,2026年3月5日 8:05,13800138000,甲公司,91350100M000100Y43,430102,\"1\",x,受理",
                "T2,2026年3月6日 9:00,13800138001,乙公司,/,430124,12.50,y,受理",
                "T3,2026年3月6日 8:00,13800138000,丙公司,91350100m000100y43,430103,3,z,已办结",
            ]
            .map(|r| r.replace('"', ""))
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        );
        assert_eq!(
            lines(&found.yaml),
            [
                "feed: test",
                "record_id: order_no",
                "event_time: registered_at",
                "allowed_lateness: 7d",
                "columns:",
                "  order_no: {type: text, from: \"工单编号\"}",
                "  registered_at: {type: timestamp, from: \"登记时间\"}",
                "  complainant_hash: {type: text, from: \"投诉人电话\", personal: true}",
                "  respondent_name: {type: text, from: \"被投诉单位\"}",
                "  ucc: {type: ucc, from: \"统一社会信用代码\", empty: [\"/\"]}  # 33 % without a value",
                "  region: {type: region, from: \"行政区划代码\"}",
                "  amount_yuan: {type: decimal, scale: 2, from: \"涉及金额(元)\"}",
                "  column_8: {type: text, from: \"奇怪的列\"}",
                "  state: {type: text, from: \"状态\"}",
            ]
        );
        assert!(!found.yaml.contains("138"), "{}", found.yaml);
        assert!(
            found.notes.iter().any(|n| n.contains("shipped feed \"complaints\"")),
            "{:?}",
            found.notes
        );
    }

    #[test]
    fn types_are_read_off_the_values() {
        for (heading, values, expect) in [
            ("n", ["1", "22", "-3"], "  n: int"),
            ("share", ["0.5", "1", "2.25"], "  share: float"),
            ("refund_usd", ["0.5", "1", "2.25"], "  refund_usd: {type: decimal, scale: 2}"),
            ("zip", ["11354", "10024", "11433"], "  zip: text"),
            ("code", ["0301", "0302", "0303"], "  code: text"),
            ("ok", ["true", "False", "true"], "  ok: bool"),
            (
                "when_seen",
                ["03/28/2026", "04/01/2026", "04/02/2026"],
                "  when_seen: {type: date, formats: \"%m/%d/%Y\"}",
            ),
            (
                "when_seen",
                ["28/03/2026", "01/04/2026", "02/04/2026"],
                "  when_seen: {type: date, formats: \"%d/%m/%Y\"}",
            ),
            ("seen", ["20260305", "20260306", "20260307"], "  seen: date"),
            (
                "seen",
                ["2026-03-05T00:00:00", "2026-03-06T00:00:00", "2026-03-06 00:00:00"],
                "  seen: date",
            ),
            ("tags", ["a;b", "c", "d;e"], "  tags: texts"),
            ("order", ["x", "y", "z"], "  order_value: {type: text, from: \"order\"}"),
            (
                "IncidentCity",
                ["x", "y", "z"],
                "  incident_city: {type: text, from: \"IncidentCity\"}",
            ),
            (
                "谁",
                ["13800138000", "13900139000", "13700137000"],
                "  column_2: {type: text, from: \"谁\", personal: true}",
            ),
        ] {
            let rows: Vec<String> =
                values.iter().enumerate().map(|(i, v)| format!("2026-03-0{},{v}", i + 1)).collect();
            let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
            let yaml = proposal(&format!("received,{heading}"), &rows).yaml;
            let line = yaml.lines().last().unwrap().split("  #").next().unwrap();
            assert_eq!(line, expect, "{heading} {values:?}");
        }
    }

    #[test]
    fn few_values_are_listed_and_disorder_is_told() {
        let rows: Vec<String> = (0..20)
            .map(|i| {
                format!("2026-03-{:02},{}", 25 - (i % 3) * 9 + i / 3, ["合格", "不合格"][i % 2])
            })
            .collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let yaml = proposal("报告日期,结论", &rows).yaml;
        assert!(yaml.contains("# values: 不合格 合格"), "{yaml}");
        assert!(yaml.contains("not in the order of its times"), "{yaml}");
        assert!(yaml.contains("# record_id"), "{yaml}");
    }

    #[test]
    fn nothing_to_go_by() {
        let infer = |headings: &[&str], rows: &[Vec<Option<String>>]| {
            infer("f", &headings.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>(), rows, &zone())
                .unwrap_err()
        };
        assert_eq!(infer(&["a"], &[]), Error::Empty);
        assert_eq!(infer(&["a"], &[vec![Some("x".into())]]), Error::NoTime);
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_values_a_proposal_is_a_feed_file(
            headings in proptest::collection::vec("[a-zA-Z编号电话:#\"'{}, ]{0,6}", 1..4),
            values in proptest::collection::vec(proptest::collection::vec(".{0,20}|[0-9]{11}|市场监管总局|#x: y", 4), 1..4),
        ) {
            let mut headings = headings;
            headings.push("报告日期".into());
            let row = |v: Vec<String>| {
                let mut row: Vec<Option<String>> = v.into_iter().take(headings.len() - 1).map(Some).collect();
                row.resize(headings.len() - 1, None);
                row.push(Some("2026-03-05".into()));
                row
            };
            let rows: Vec<_> = values.into_iter().map(row).collect();
            let yaml = infer("test", &headings, &rows, &zone()).unwrap().yaml;
            let (spec, findings) = spec::check(Path::new("test.yaml"), &yaml, &zone());
            proptest::prop_assert!(spec.is_some(), "{}\n{:?}", yaml, findings);
        }
    }

    #[test]
    fn every_shipped_feed_is_known() {
        assert_eq!(FEEDS.len(), SHIPPED.len());
    }
}
