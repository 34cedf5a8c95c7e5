//! Meaning: what a rule says, in plain words, part by part; conditions stay as their author wrote them, with the values of
//! the parameters put in.

use maud::{Markup, html};

use super::{language::Language, show, words, words::Word};
use crate::engine::view::{
    CompareRow, Comparison, Definition, DetectorRow, FeedRow, FirstSeenRow, MeasureRow,
    SequenceRow, WindowKind, WindowRow,
};
use crate::model::time::{SECOND_MS, parse_span};

/// The parts as a list of terms and descriptions; `feed` is the one that the rule reads.
pub(super) fn parts(rule: &Definition, feed: &str, feeds: &[FeedRow], l: Language) -> Markup {
    let sql = |text: &str| html! { code.sql { (with_values(text, rule)) } };
    let feed_link = |name: &str| {
        html! { a href=(super::feeds::href(name)) { bdi { (super::feeds::title(feeds, name, l)) } } }
    };
    html! {
        dl.meaning {
            @if rule.sequence.is_none() {
                dt { (words::MEANING_READS.of(l)) }
                dd {
                    (feed_link(feed))
                    @if let Some(filter) = &rule.filter { span.only { (words::MEANING_ONLY.of(l)) } (sql(filter)) }
                    @if let Some(time) = &rule.time { span.only { (words::MEANING_TIME.of(l)) } code { (time) } }
                }
            }
            @if !rule.key.is_empty() {
                dt { (words::MEANING_BY.of(l)) }
                dd {
                    @for (i, key) in rule.key.iter().enumerate() {
                        @if i > 0 { " × " }
                        code { (key.name) }
                        @if key.sql != key.name { " " span.muted { (key.sql) } }
                    }
                    @if rule.keeps_missing_keys { " " span.muted { (words::MEANING_KEEPS_MISSING.of(l)) } }
                }
            }
            dt { (words::WINDOW.of(l)) }
            dd {
                @match (&rule.sequence, &rule.first_seen) {
                    (Some(sequence), _) => (order(sequence, l)),
                    (None, Some(_)) => (words::MEANING_BY_TIME.of(l)),
                    (None, None) => (window(rule.window, l)),
                }
            }
            @if let Some(sequence) = &rule.sequence {
                dt { (words::MEANING_STEPS.of(l)) }
                dd { ol { @for step in &sequence.steps { li {
                    code.name { (step.name) } " "
                    @if let Some(term) = &step.absent_for { (words::MEANING_ABSENT.with(l, &[("term", &term_text(term, l))])) " " }
                    (feed_link(&step.feed))
                    @if let Some(filter) = &step.filter { span.only { (words::MEANING_ONLY.of(l)) } (sql(filter)) }
                    @if let Some(time) = step.time.as_ref().or(rule.time.as_ref()) { span.only { (words::MEANING_TIME.of(l)) } code { (time) } }
                    @if step.at_least > 1 { span.only { (words::MEANING_TIMES.with(l, &[("n", &step.at_least.to_string())])) } }
                    @if let Some(distinct) = &step.distinct { (words::MEANING_DIFFERENT.of(l)) (sql(distinct)) }
                    @if let Some(link) = &step.link { span.only { (words::MEANING_LINK.of(l)) } (sql(link)) }
                    @if let Some(wait) = &step.wait { (words::MEANING_WAIT.with(l, &[("term", &term_text(wait, l))])) }
                } } } }
            }
            @if !rule.measures.is_empty() {
                dt { (words::MEANING_MEASURES.of(l)) }
                dd { ul { @for measure in &rule.measures { li {
                    code.name { (measure.name) } " " (aggregate(measure, l))
                    @if let Some(name) = &measure.feed { span.only { (words::MEANING_FROM.of(l)) } (feed_link(name)) }
                    @if let Some(filter) = &measure.filter { span.only { (words::MEANING_ONLY.of(l)) } (sql(filter)) }
                } } } }
            }
            @if !rule.compares.is_empty() {
                dt { (words::MEANING_COMPARES.of(l)) }
                dd { ul { @for compare in &rule.compares { li { code.name { (compare.name) } " " (comparison(compare, l)) } } } }
            }
            @if let Some(detector) = &rule.detector {
                dt { (words::MEANING_DETECTOR.of(l)) }
                dd { (judge(detector, l)) }
            }
            dt { (words::MEANING_FIRES.of(l)) }
            dd {
                @match &rule.when {
                    None if rule.sequence.is_some() => (words::MEANING_STEPS_FIRE.of(l)),
                    None if rule.first_seen.is_some() => @if let Some(new) = &rule.first_seen { (novelty(new, l)) },
                    None => (words::MEANING_ALWAYS.of(l)),
                    Some(when) => ol.conditions { @for part in conjuncts(when) { li { (sql(part)) } } },
                }
                @if rule.hold_seconds > 0 { p.muted { (words::MEANING_HOLD.with(l, &[("span", &show::whole(rule.hold_seconds, l))])) } }
            }
            dt { (words::SEVERITY.of(l)) }
            dd { ul { @for grade in &rule.grades { li {
                (show::severity(grade.severity, l))
                @if let Some(when) = &grade.when { " " (sql(when)) }
                @else if rule.grades.len() > 1 { " " span.muted { (words::MEANING_ELSE.of(l)) } }
            } } } }
            @if rule.window.is_some() {
                dt { (words::MEANING_ENDS.of(l)) }
                dd {
                    @match &rule.clear { None => (words::MEANING_CLEAR.of(l)), Some(clear) => (sql(clear)) }
                    @if rule.keep_seconds > 0 { " " span.muted { (words::MEANING_KEEP.with(l, &[("span", &show::whole(rule.keep_seconds, l))])) } }
                }
            }
            @if let Some(again) = &rule.reraise { dt { (words::RAISED_AGAIN.of(l)) } dd { (sql(again)) } }
            @if !l.of(&rule.message).is_empty() { dt { (words::MESSAGE.of(l)) } dd dir="auto" { (l.of(&rule.message)) } }
        }
    }
}

fn order(sequence: &SequenceRow, l: Language) -> String {
    let within = sequence.within_seconds.map(|s| {
        let separator = if l == Language::Zh { "，" } else { ", " };
        format!("{separator}{}", words::MEANING_WITHIN.with(l, &[("span", &show::whole(s, l))]))
    });
    let each = if sequence.each { words::MEANING_EACH.of(l) } else { "" };
    format!("{}{}{each}", words::MEANING_ORDER.of(l), within.unwrap_or_default())
}

/// What makes a key new, and how many records of it are told.
fn novelty(new: &FirstSeenRow, l: Language) -> Markup {
    let span = |seconds| show::whole(seconds, l);
    html! {
        (words::MEANING_NEW.with(l, &[("span", &span(new.history_seconds))]))
        @if new.at_least > 1 {
            span.only { (words::MEANING_TIMES.with(l, &[("n", &new.at_least.to_string())])) }
            @if let Some(distinct) = &new.distinct { (words::MEANING_DIFFERENT.of(l)) code.sql { (distinct) } }
            @if let Some(seconds) = new.within_seconds { span.only { (words::MEANING_WITHIN.with(l, &[("span", &span(seconds))])) } }
        }
        p.muted { (words::MEANING_LEARNS.with(l, &[("span", &span(new.learn_seconds))])) }
    }
}

/// `30d` and `20wd` in words.
fn term_text(term: &str, l: Language) -> String {
    match (term.strip_suffix("wd"), parse_span(term)) {
        (Some(days), _) => words::WORKDAYS.with(l, &[("n", days)]),
        (None, Some(ms)) => show::whole(ms / SECOND_MS, l),
        (None, None) => term.to_owned(),
    }
}

fn window(window: Option<WindowRow>, l: Language) -> String {
    let Some(window) = window else { return words::MEANING_SINGLE.of(l).to_owned() };
    let (width, every) =
        (show::whole(window.width_seconds, l), show::whole(window.every_seconds, l));
    let word = match window.kind {
        WindowKind::Sliding => words::MEANING_SLIDING,
        WindowKind::Tumbling => words::MEANING_TUMBLING,
        WindowKind::Month if window.every_seconds == window.width_seconds => words::MEANING_MONTH,
        WindowKind::Month => words::MEANING_MONTH_EVERY,
        WindowKind::Holiday => words::MEANING_HOLIDAY,
        WindowKind::Session => words::MEANING_SESSION,
    };
    word.with(l, &[("width", &width), ("every", &every)])
}

/// A detector with what its author set.
fn judge(detector: &DetectorRow, l: Language) -> Markup {
    let set = detector.parameters.iter().map(|(name, value)| format!("{name}: {value}"));
    let set = set.collect::<Vec<_>>().join(", ");
    html! {
        code.name { (detector.name) }
        @if !set.is_empty() { " " span.muted { (set) } }
        @if let Some(fallback) = &detector.fallback { (words::MEANING_FALLBACK.of(l)) code { (fallback) } }
        @if let Some(share) = detector.false_discoveries {
            (words::MEANING_CONTROL.with(l, &[("share", &show::decimal(share * 100.0))]))
        }
    }
}

/// An aggregate in words where it is a plain one.
fn aggregate(measure: &MeasureRow, l: Language) -> Markup {
    let sql = measure.sql.as_str();
    let told = call(sql).and_then(|(name, argument)| {
        let word = match (name.as_str(), argument) {
            ("count", "*") => words::MEANING_COUNT,
            ("count", argument) if argument.starts_with("distinct ") => words::MEANING_DISTINCT,
            ("sum", _) => words::MEANING_SUM,
            ("avg", _) => words::MEANING_AVG,
            ("min", _) => words::MEANING_MIN,
            ("max", _) => words::MEANING_MAX,
            _ => return None,
        };
        Some((word, argument.strip_prefix("distinct ").unwrap_or(argument).trim()))
    });
    html! {
        @match told {
            Some((word, argument)) => (around(word, argument, l)),
            None => code.sql { (sql) },
        }
    }
}

/// A word whose `{of}` is code.
fn around(word: Word, code: &str, l: Language) -> Markup {
    let text = word.of(l);
    html! {
        @match text.split_once("{of}") {
            Some((before, after)) => { (before) code { (code) } (after) },
            None => (text),
        }
    }
}

/// Name and argument of a text that is one call of one plain argument.
fn call(sql: &str) -> Option<(String, &str)> {
    let (name, rest) = sql.split_once('(')?;
    let argument = rest.strip_suffix(')')?.trim();
    let plain = |c: char| c.is_alphanumeric() || " _*\"".contains(c);
    (name.chars().all(char::is_alphanumeric) && argument.chars().all(plain))
        .then(|| (name.to_lowercase(), argument))
}

fn comparison(compare: &CompareRow, l: Language) -> String {
    match &compare.with {
        Comparison::Shift { seconds } => {
            words::MEANING_SHIFT.with(l, &[("span", &show::whole(*seconds, l))])
        }
        Comparison::History { windows, step_seconds, skip, of } => {
            let of = match of.as_str() {
                "median" => words::MEANING_OF_MEDIAN,
                "max" => words::MEANING_OF_MAX,
                "sum" => words::MEANING_OF_SUM,
                _ => words::MEANING_OF_MEAN,
            };
            let word = if *skip > 0 { words::MEANING_HISTORY_SKIP } else { words::MEANING_HISTORY };
            let (windows, skip) = (windows.to_string(), skip.to_string());
            let step = show::whole(*step_seconds, l);
            word.with(l, &[("of", of.of(l)), ("n", &windows), ("step", &step), ("skip", &skip)])
        }
        Comparison::Peers { key } => words::MEANING_PEERS.with(l, &[("key", &key.join(" × "))]),
    }
}

/// The text with the values of its parameters.
fn with_values(sql: &str, rule: &Definition) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(at) = rest.find('$') {
        let name_of = &rest[at + 1..];
        let end = name_of.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name_of.len());
        out.push_str(&rest[..at]);
        match rule.params.get(&name_of[..end]) {
            Some(value) => out.push_str(&value.to_string().replace('"', "'")),
            None => out.push_str(&rest[at..=at + end]),
        }
        rest = &name_of[end..];
    }
    out + rest
}

/// The conditions that `and` joins, where nothing else stands above them.
fn conjuncts(sql: &str) -> Vec<&str> {
    let lower = sql.to_ascii_lowercase();
    let (mut depth, mut quoted, mut between, mut start) = (0i32, false, false, 0);
    let mut parts = Vec::new();
    for (i, c) in lower.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ' ' if !quoted && depth == 0 => {
                let word = lower[i + 1..].split(' ').next().unwrap_or_default();
                match word {
                    "or" | "case" => return vec![sql],
                    "between" => between = true,
                    "and" if between => between = false,
                    "and" => {
                        parts.push(sql[start..i].trim());
                        start = i + 4;
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    if lower.starts_with("case ") {
        return vec![sql];
    }
    parts.push(sql[start..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_are_split_where_that_means_the_same() {
        for (sql, expect) in [
            ("n >= 3", vec!["n >= 3"]),
            ("n >= 3 and people >= 2", vec!["n >= 3", "people >= 2"]),
            ("n >= 3 AND (a or b) and x in (1, 2)", vec!["n >= 3", "(a or b)", "x in (1, 2)"]),
            ("n between 1 and 3 and m > 2", vec!["n between 1 and 3", "m > 2"]),
            ("a and b or c", vec!["a and b or c"]),
            ("t = 'this and that' and b", vec!["t = 'this and that'", "b"]),
            ("case when a and b then c else d end", vec!["case when a and b then c else d end"]),
            ("名称 = '甲' and b", vec!["名称 = '甲'", "b"]),
            ("android > 1", vec!["android > 1"]),
        ] {
            assert_eq!(conjuncts(sql), expect, "{sql}");
        }
    }

    #[test]
    fn parameters_stand_by_their_values() {
        let params = json!({"least": 3, "leastest": 9, "word": "a\"b"});
        let rule = Definition { params: params.as_object().unwrap().clone(), ..definition() };
        for (sql, expect) in [
            ("n >= $least and m > $leastest", "n >= 3 and m > 9"),
            ("x = $word", "x = 'a\\'b'"),
            ("$unknown + $", "$unknown + $"),
            ("单价 > $least元", "单价 > $least元"),
        ] {
            assert_eq!(with_values(sql, &rule), expect, "{sql}");
        }
    }

    fn definition() -> Definition {
        let text = || crate::engine::view::Text { zh: String::new(), en: String::new() };
        Definition {
            filter: None,
            key: Vec::new(),
            keeps_missing_keys: false,
            time: None,
            window: None,
            sequence: None,
            first_seen: None,
            measures: Vec::new(),
            compares: Vec::new(),
            detector: None,
            params: serde_json::Map::new(),
            when: None,
            clear: None,
            grades: Vec::new(),
            hold_seconds: 0,
            keep_seconds: 0,
            reraise: None,
            action: text(),
            basis: Vec::new(),
            message: text(),
        }
    }

    #[test]
    fn plain_aggregates_are_told_in_words() {
        for (sql, expect) in [
            ("count(*)", "记录数"),
            ("count(distinct ucc)", "<code>ucc</code> 的不同值个数"),
            ("sum(amount)", "<code>amount</code> 之和"),
            ("count(*) filter (where a)", "<code class=\"sql\">count(*) filter (where a)</code>"),
            ("sum(a + b)", "<code class=\"sql\">sum(a + b)</code>"),
        ] {
            let measure =
                MeasureRow { name: "n".into(), feed: None, filter: None, sql: sql.into() };
            assert_eq!(aggregate(&measure, Language::Zh).into_string(), expect);
        }
    }
}
