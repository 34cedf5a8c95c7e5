//! Definition: what a rule says, part by part, for readers who do not read YAML.

use super::text_of;
use crate::{
    engine::view::{
        CompareRow, Comparison, Definition, DetectorRow, FirstSeenRow, GradeRow, KeyRow,
        MeasureRow, SequenceRow, StepSaid, WindowKind, WindowRow,
    },
    model::{
        time::SECOND_MS,
        window::{Step, WindowSpec},
        yaml::Sql,
    },
    rule::{
        file::{Compare, HistoryOf, MissingKey, RuleFile},
        first_seen::file::FirstSeenFile,
        sequence::file::{SequenceFile, StepFile},
    },
};

/// The parts of a rule as its author wrote them.
pub(super) fn definition(file: &RuleFile) -> Definition {
    let sql = |sql: &Sql| one_line(&sql.text);
    let key = |k: &crate::rule::file::KeyColumn| KeyRow { name: k.name.clone(), sql: sql(&k.sql) };
    let measure = |m: &crate::rule::file::MeasureFile| MeasureRow {
        name: m.name.value.clone(),
        feed: m.feed.as_ref().map(|f| f.value.clone()),
        filter: m.filter.as_ref().map(sql),
        sql: sql(&m.value),
    };
    let grade = |(severity, when): &(_, Option<Sql>)| GradeRow {
        severity: *severity,
        when: when.as_ref().map(sql),
    };
    Definition {
        filter: file.filter.as_ref().map(sql),
        key: file.key.iter().map(key).collect(),
        keeps_missing_keys: file.missing_key == MissingKey::GroupNull,
        time: file.time.as_ref().map(|t| t.value.clone()),
        window: file.window.as_ref().map(|w| window(w.value)),
        sequence: file.sequence.as_ref().map(sequence),
        first_seen: file.first_seen.as_ref().map(first_seen),
        measures: file.measures.iter().map(measure).collect(),
        compares: file
            .compares
            .iter()
            .map(|c| CompareRow { name: c.name.value.clone(), with: compare(&c.with) })
            .collect(),
        detector: file.detect.as_ref().map(|detect| DetectorRow {
            name: detect.detector.name.value.clone(),
            parameters: detect.detector.parameters.clone(),
            fallback: detect.fallback.as_ref().map(|f| f.name.value.clone()),
            false_discoveries: file.alert.control.as_ref().map(|c| c.fdr),
        }),
        params: file.params.iter().map(|(n, v)| (n.value.clone(), v.clone())).collect(),
        when: file.when.as_ref().map(sql),
        clear: file.clear.as_ref().map(sql),
        grades: file.severity.iter().map(grade).collect(),
        hold_seconds: file.alert.hold_ms / SECOND_MS,
        keep_seconds: file.alert.keep_ms / SECOND_MS,
        reraise: file.alert.reraise.as_ref().map(sql),
        action: text_of(&file.alert.action),
        basis: file.alert.basis.clone(),
        message: text_of(&file.alert.message),
    }
}

fn window(spec: WindowSpec) -> WindowRow {
    let (kind, width_ms, every_ms) = match spec {
        WindowSpec::Sliding { width_ms, every_ms, .. } if width_ms == every_ms => {
            (WindowKind::Tumbling, width_ms, every_ms)
        }
        WindowSpec::Sliding { width_ms, every_ms, .. } => (WindowKind::Sliding, width_ms, every_ms),
        WindowSpec::Month { step } => {
            let days = Step::Month.longest_ms();
            (WindowKind::Month, days, if step == Step::Month { days } else { step.longest_ms() })
        }
        WindowSpec::Holiday { around_ms } => (WindowKind::Holiday, spec.width_max(), around_ms),
        WindowSpec::Session { gap_ms, max_ms } => (WindowKind::Session, max_ms, gap_ms),
    };
    WindowRow { kind, width_seconds: width_ms / SECOND_MS, every_seconds: every_ms / SECOND_MS }
}

fn sequence(file: &SequenceFile) -> SequenceRow {
    let sql = |sql: &Sql| one_line(&sql.text);
    let step = |s: &StepFile| StepSaid {
        name: s.name.value.clone(),
        feed: s.feed.value.clone(),
        filter: s.filter.as_ref().map(sql),
        time: s.time.as_ref().map(|t| t.value.clone()),
        at_least: s.at_least.as_ref().map_or(1, |n| n.value),
        distinct: s.distinct.as_ref().map(sql),
        link: s.link.as_ref().map(sql),
        absent_for: s.absent_for.as_ref().map(|t| t.value.text()),
        wait: s.wait.as_ref().map(|t| t.value.text()),
    };
    SequenceRow {
        within_seconds: file.within.as_ref().map(|w| w.value / SECOND_MS),
        each: file.each,
        steps: file.steps.iter().map(step).collect(),
    }
}

fn first_seen(file: &FirstSeenFile) -> FirstSeenRow {
    FirstSeenRow {
        history_seconds: file.history.value / SECOND_MS,
        learn_seconds: file.learn_ms() / SECOND_MS,
        at_least: file.needed(),
        distinct: file.distinct.as_ref().map(|sql| one_line(&sql.text)),
        within_seconds: file.within.as_ref().map(|w| w.value / SECOND_MS),
    }
}

fn compare(with: &Compare) -> Comparison {
    match with {
        Compare::Shift { shift_ms } => Comparison::Shift { seconds: shift_ms / SECOND_MS },
        Compare::History { windows, step_ms, skip, of } => Comparison::History {
            windows: *windows,
            step_seconds: step_ms / SECOND_MS,
            skip: *skip,
            of: match of {
                HistoryOf::Mean => "mean",
                HistoryOf::Median => "median",
                HistoryOf::Max => "max",
                HistoryOf::Sum => "sum",
            }
            .to_owned(),
        },
        Compare::Peers { key } => {
            Comparison::Peers { key: key.iter().map(|k| k.value.clone()).collect() }
        }
    }
}

/// Folded YAML ends in a line end, and may have some inside.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
