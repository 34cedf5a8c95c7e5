//! Calendar: rules whose holidays will soon be unknown. The only finding that depends on the day it is asked.

use std::ops::Range;

use crate::{
    model::{
        diagnostic::Diagnostic,
        reference::calendar::known,
        time::{civil_from_days, format_day},
    },
    rule::file::{RuleFile, Status},
};

/// Days before the end of the last known year from which it is said; notices come in November.
const AHEAD: i32 = 30;

/// Warnings about rules that need holidays of a year whose notice is not in the list, from a month before it on; `today` in
/// days since 1970-01-01.
#[must_use]
pub fn calendar_ends(rules: &[RuleFile], today: i32) -> Vec<Diagnostic> {
    let end = known().end;
    if today < end - AHEAD {
        return Vec::new();
    }
    let in_use = rules.iter().filter(|rule| rule.status.value != Status::Retired);
    in_use.filter_map(|rule| Some(ends(rule, asks(rule)?, end))).collect()
}

/// Where a rule asks for holidays, and what becomes of it without.
fn asks(rule: &RuleFile) -> Option<(Range<usize>, &'static str)> {
    let detect = rule.detect.as_ref()?;
    if detect.period.value.is_holiday() {
        return Some((detect.period.span.clone(), "no holiday is judged"));
    }
    detect.calendar.clone().map(|at| (at, "nothing is judged"))
}

fn ends(rule: &RuleFile, (at, becomes): (Range<usize>, &str), end: i32) -> Diagnostic {
    let year = civil_from_days(end).0;
    let message = format!(
        "holidays are known to the end of {}: from {} on {becomes}, the rule counts as not ready",
        year - 1,
        format_day(end)
    );
    let finding = Diagnostic::warning("rule::calendar_ends", at, message)
        .label(format!("needs the days off of {year}"))
        .help(format!(
            "add the days of the State Council's notice for {year} to rules/lists/holidays_cn.csv and build anew, or \
             install a release that has them"
        ));
    Diagnostic { file: rule.path.clone(), ..finding }
}
