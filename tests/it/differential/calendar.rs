//! Where the list of holidays ends: rules that need it say nothing, and are counted as not ready.

use forewarn::model::{
    reference::calendar::known,
    time::{DAY_MS, format_day},
};
use serde_json::json;

use super::{How, World, Written};

/// Thirty rows on each of these days, fewer on the others of the same 120, and what is told and counted of a rule over them.
fn found(series: &str, days: std::ops::Range<i32>, first: i32) -> (Written, u64) {
    let feed = "feed: reports\ntitle: {zh: 报告, en: Reports}\nrecord_id: id\nevent_time: at\nmax_skew: 36500d\n\
                columns:\n  id: text\n  at: {type: timestamp, required: true}\n  firm: text\n";
    let rule = format!(
        "rule: r\ntitle: {{zh: 规则, en: Rule}}\nkind: detect\nfeed: reports\nkey: [firm]\nseries: {{value: count(*), {series}}}\n\
         detector: {{bayes_predictive: {{history: 1, alpha: 0.001}}}}\nwhen: alarm\nseverity: low\n"
    );
    let mut lines = String::new();
    for day in first..first + 120 {
        for n in 0..if days.contains(&day) { 30 } else { 2 } {
            let at = format!("{}T12:{n:02}:00Z", format_day(day));
            lines += &format!("{}\n", json!({"id": format!("{day}-{n}"), "at": at, "firm": "f"}));
        }
    }
    let world = World::of("UTC", &[("reports", feed.to_owned())], &[rule], &[lines]);
    let (written, not_ready) = world.replay_counting(How { shards: 2, ..How::default() });
    (written, not_ready[0])
}

#[test]
fn days_behind_the_last_notice_are_not_judged() {
    let end = known().end;
    // Two rows a day, and thirty on the last three days that are known and on the first three that are not.
    let (written, not_ready) = found("period: day, calendar: cn", end - 3..end + 3, end - 60);
    let judged = written.lines("r");
    let end_ms = i64::from(end) * DAY_MS;
    assert!(!judged.is_empty(), "the first such day stands out");
    assert!(judged.iter().all(|l| l.window.1 <= end_ms), "{}", written.signals);
    // The first day of each kind, and all 60 behind the list but the last, which is open.
    assert!((60..65).contains(&not_ready), "{not_ready}");
    // The same days are judged where no calendar is asked.
    let (plain, not_ready) = found("period: day", end + 1..end + 3, end - 60);
    let judged = plain.lines("r");
    assert!(!judged.is_empty() && judged.iter().all(|l| l.window.1 > end_ms) && not_ready <= 1);
}

#[test]
fn holidays_behind_the_last_notice_are_counted() {
    let end = known().end;
    // New Year's Day and Labour Day of a year without a notice, with two days around. From December to the end of March:
    let (written, not_ready) = found("period: holiday, around: 2d", end..end + 1, end - 30);
    assert_eq!((written.lines("r").len(), not_ready), (0, 1), "{}", written.signals);
    // From 11 January to 10 May.
    let (_, not_ready) = found("period: holiday, around: 2d", end..end + 1, end + 10);
    assert_eq!(not_ready, 1);
}
