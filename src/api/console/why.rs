//! Why: each condition of an alert with its value and its limit, and the values behind them.

use maud::{Markup, html};
use serde_json::{Map, Value};

use super::{condition::plain, language::Language, records::folded, show, words};
use crate::engine::view::{AlertDetail, FeedRow, StepRow, TermRow};

pub(super) fn section(detail: &AlertDetail, feeds: &[FeedRow], l: Language) -> Markup {
    let in_order = !detail.steps.is_empty();
    let single = detail.alert.record.is_some() && !in_order;
    html! {
        section aria-labelledby="why" {
            h2 #why { (words::WHY.of(l)) }
            @if !detail.terms.is_empty() { (terms(&detail.terms, l)) }
            @if single {
                p.lead { (words::SINGLE_RECORD.of(l)) }
                (says(detail, l))
            } @else if in_order {
                p.lead { (if detail.steps.len() > 1 { words::STEPS_LEAD } else { words::FIRST_TIME }.of(l)) }
                (steps(&detail.steps, feeds, l))
            } @else if detail.terms.is_empty() {
                p.lead { (words::NO_TERMS.of(l)) }
            }
            @if !single && !detail.measures.is_empty() { (measures(detail, l)) }
        }
    }
}

/// Which records met which step, in order of time.
fn steps(steps: &[StepRow], feeds: &[FeedRow], l: Language) -> Markup {
    html! {
        table.rows.steps {
            thead { tr {
                th scope="col" { (words::STEP.of(l)) } th scope="col" { (words::FEED.of(l)) }
                th scope="col" { (words::STEP_MET.of(l)) } th scope="col" { (words::RECORDS.of(l)) }
            } }
            tbody {
                @for step in steps {
                    tr {
                        th scope="row" { code { (step.step) } }
                        td { a href=(super::feeds::href(&step.feed)) { bdi { (super::feeds::title(feeds, &step.feed, l)) } } }
                        td.at {
                            @match (&step.absent_until, &step.at) {
                                (Some(until), _) => { (words::STEP_ABSENT.of(l)) " " (show::instant(until)) },
                                (None, Some(at)) => (show::instant(at)),
                                (None, None) => (show::NOTHING),
                            }
                        }
                        td {
                            @if step.records.is_empty() { span.muted { (show::NOTHING) } }
                            @for record in &step.records { span.field { bdi { (record) } } " " }
                        }
                    }
                }
            }
        }
    }
}

fn terms(terms: &[TermRow], l: Language) -> Markup {
    html! {
        table.terms {
            thead { tr {
                th scope="col" { (words::CONDITION.of(l)) } th.number scope="col" { (words::VALUE.of(l)) }
                th.number scope="col" { (words::LIMIT.of(l)) } th scope="col" { (words::HOLDS.of(l)) }
            } }
            tbody {
                @for term in terms {
                    tr {
                        th scope="row" { code { (plain(&term.sql)) } }
                        @if let Some(operator) = &term.operator {
                            td.number { (cell(term.value.as_ref())) }
                            td.number { span.operator { (operator) } " " (cell(term.limit.as_ref())) }
                        } @else {
                            td.number {}
                            td.number {}
                        }
                        td { (holds(term.holds, l)) }
                    }
                }
            }
        }
    }
}

fn cell(value: Option<&Value>) -> Markup {
    let text = value.map_or_else(|| show::NOTHING.to_owned(), show::value);
    html! { bdi title=(text) { (text) } }
}

fn holds(holds: Option<bool>, l: Language) -> Markup {
    let (class, sign, word) = match holds {
        Some(true) => ("yes", "✓", words::YES),
        Some(false) => ("no", "✗", words::NO),
        None => ("unknown", "?", words::UNKNOWN),
    };
    html! { span class={ "holds " (class) } { span aria-hidden="true" { (sign) } " " (word.of(l)) } }
}

/// Every value now and at the first firing, with the rule's parameters.
fn measures(detail: &AlertDetail, l: Language) -> Markup {
    let defined = |name: &str| detail.measures.iter().find(|m| m.name == name)?.sql.clone();
    html! {
        table.measures {
            thead { tr {
                th scope="col" { (words::MEASURE.of(l)) } th scope="col" { (words::DEFINITION.of(l)) }
                th.number scope="col" { (words::AT_FIRING.of(l)) } th.number scope="col" { (words::NOW.of(l)) }
            } }
            tbody {
                @for measured in &detail.measures {
                    tr {
                        th scope="row" { code { (measured.name) } }
                        td { @if let Some(sql) = defined(&measured.name) { code { (sql) } } }
                        td.number { (cell(detail.fired_values.get(&measured.name))) }
                        td.number { (cell(Some(&measured.value))) }
                    }
                }
                @for (name, value) in &detail.params {
                    tr.param {
                        th scope="row" { code { "$" (name) } }
                        td { (words::PARAMETERS.of(l)) }
                        td.number {}
                        td.number { (cell(Some(value))) }
                    }
                }
            }
        }
    }
}

/// What the record says that fired by itself.
fn says(detail: &AlertDetail, l: Language) -> Markup {
    let all = |map: &Map<String, Value>| map.clone().into_iter();
    let mut fields: Vec<(String, Value)> = all(&detail.alert.key).collect();
    fields.extend(all(&detail.context));
    html! {
        table.says {
            caption.hidden { (words::RECORD_SAYS.of(l)) }
            tbody {
                @for (name, value) in fields.iter().filter(|(_, v)| !v.is_null()) {
                    tr { th scope="row" { (name) } td { (folded(&show::value(value))) } }
                }
            }
        }
    }
}
