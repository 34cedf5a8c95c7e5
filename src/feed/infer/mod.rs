//! Infer: a sample of a source → a feed file to start from.
//!
//! In: headings and the first records as texts. Out: YAML that reads the sample as it is, with the reasons as comments.
//! Office headings get the names that the shipped feeds give them; others keep their own name where it is one, else
//! `column_1`, `column_2` …. What looks personal is proposed as personal, and no value of such a column is shown.
//! A proposal is a guess from a few thousand rows: its author reads it, `forewarn check` and a replay judge it.

mod names;
mod values;
mod write;

use names::{as_shipped, free_name, name_of, nearest};
use values::{Guess, IDS, TIMES_FIT, guess, has_any};
use write::write;

use crate::model::{
    moment,
    schema::ColumnType,
    time::{DAY_MS, Zone},
};

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
/// Times so far ahead of the bulk of the others are typing errors when the order of the file is judged.
const OUTLIER_MS: i64 = 30 * DAY_MS;
/// Share of records, in per cent, that must have a value of their own in a column that names them.
const UNIQUE_PERCENT: usize = 98;
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::feed::spec;

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
}
