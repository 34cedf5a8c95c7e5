//! Made-up rules, as a rule file and as the parts from which a batch query is written.

use proptest::{collection::vec, prelude::*, sample::select};

use super::generate::{DAY_MS, HOUR_MS, span};

/// One rule.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) live: bool,
    pub(super) filter: Option<&'static str>,
    pub(super) key: Vec<KeyColumn>,
    pub(super) group_null: bool,
    pub(super) window: Window,
    pub(super) measures: Vec<Measure>,
    pub(super) compare: Option<Compare>,
    /// Conditions, and what joins each with the next.
    pub(super) terms: Vec<(String, &'static str)>,
    /// Condition of `critical`; the rest is `low`.
    pub(super) ladder: Option<String>,
    pub(super) clear: Option<String>,
    pub(super) alert: &'static str,
}

/// A key column: its expression and its name.
pub(super) type KeyColumn = (&'static str, &'static str);

/// A window, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Window {
    /// Width and step.
    Sliding(i64, i64),
    /// Width; those of whole weeks begin on Mondays.
    Tumbling(i64),
    /// Gap and longest.
    Session(i64, i64),
    /// None: a rule over single records.
    Record,
}

/// A kind of measure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) value: &'static str,
    /// `feed: checks`
    pub(super) checks: bool,
    /// Its own `where`.
    pub(super) filter: Option<&'static str>,
    /// A key without rows has 0, else NULL.
    pub(super) zero: bool,
    pub(super) text: bool,
}

/// A kind and its name in the rule.
#[derive(Debug, Clone)]
pub(super) struct Measure {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What the windows are compared with; its name is `c`.
#[derive(Debug, Clone)]
pub(super) enum Compare {
    Shift(i64),
    /// Number of windows, step, skip, and which statistic.
    History(i64, i64, i64, &'static str),
    /// Position of the key column that stays.
    Peers(usize),
}

const PLAIN: Kind =
    Kind { value: "count(*)", checks: false, filter: None, zero: true, text: false };
const VALUE: Kind = Kind { zero: false, ..PLAIN };
/// Counts and sums that only grow.
const GROWING: [Kind; 7] = [
    PLAIN,
    Kind { value: "count(*) filter (where kind = 'a')", ..PLAIN },
    Kind { value: "count(distinct who)", ..PLAIN },
    Kind { value: "sum(cost)", ..PLAIN },
    Kind { value: "count(score)", ..PLAIN },
    Kind { filter: Some("score > 0"), ..PLAIN },
    Kind { value: "sum(cost) filter (where kind <> 'b')", ..PLAIN },
];
const ANY: [Kind; 19] = [
    PLAIN,
    Kind { value: "count(*) filter (where kind = 'a' and score >= 0)", ..PLAIN },
    Kind { value: "count(distinct score) filter (where who is not null)", ..PLAIN },
    Kind { value: "count(distinct who)", ..PLAIN },
    Kind { value: "sum(score)", ..PLAIN },
    Kind { value: "sum(amount)", ..PLAIN },
    Kind { value: "min(score)", ..VALUE },
    Kind { value: "max(amount)", ..VALUE },
    Kind { value: "max(score) filter (where kind = 'b')", ..VALUE },
    Kind { value: "avg(score)", ..VALUE },
    Kind { value: "avg(amount)", ..VALUE },
    Kind { value: "1.0 * count(*) filter (where kind = 'b') / nullif(count(*), 0)", ..VALUE },
    Kind { value: "max(score) - min(score)", ..VALUE },
    Kind { value: "first_value(score order by at)", ..VALUE },
    Kind { value: "last_value(amount order by at)", ..VALUE },
    Kind { value: "last_value(who order by at)", text: true, ..VALUE },
    Kind { value: "stddev(score)", ..VALUE },
    Kind { value: "median(amount)", ..VALUE },
    Kind { value: "sum(score)", filter: Some("kind in ('a', 'b')"), ..PLAIN },
];
/// Measures of the other feed.
const OTHER: [Kind; 2] = [
    Kind { checks: true, ..PLAIN },
    Kind { checks: true, filter: Some("result = 'fail'"), ..PLAIN },
];

const KEYS: [&[KeyColumn]; 8] = [
    &[("firm", "firm")],
    &[("firm", "firm")],
    &[("firm", "firm"), ("region", "region")],
    &[("left(region, 2)", "area")],
    &[("coalesce(firm, 'none')", "f"), ("left(region, 2)", "area")],
    // From here on of columns that only one feed has.
    &[("kind", "kind"), ("firm", "firm")],
    &[("score", "score")],
    &[("score > 1", "high"), ("kind", "kind")],
];

const FILTERS: [Option<&str>; 7] = [
    None,
    None,
    None,
    Some("kind in ('a', 'b')"),
    Some("score >= 0 and who is distinct from 'p1'"),
    Some("amount < 4.5 or cost > 1"),
    Some("kind <> 'c' and region like '43%'"),
];

const ALERTS: [&str; 4] = [
    "{}",
    "{keep_for: 2d, group: [region]}",
    "{hold_for: 1d, message: {zh: \"{firm} {m0}\", en: \"{firm} {m0}\"}}",
    "{keep_for: 1d, reraise: m0 > last.m0}",
];

fn windows() -> impl Strategy<Value = Window> {
    select(vec![
        Window::Sliding(7 * DAY_MS, DAY_MS),
        Window::Sliding(3 * DAY_MS, DAY_MS),
        Window::Sliding(2 * DAY_MS, 6 * HOUR_MS),
        Window::Sliding(10 * DAY_MS, 4 * DAY_MS),
        Window::Sliding(9 * HOUR_MS, 2 * HOUR_MS),
        Window::Tumbling(DAY_MS),
        Window::Tumbling(7 * DAY_MS),
        Window::Tumbling(14 * DAY_MS),
        Window::Tumbling(HOUR_MS),
        Window::Tumbling(6 * HOUR_MS),
    ])
}

/// Rules over sliding and tumbling windows.
pub(super) fn rules() -> impl Strategy<Value = Rule> {
    of_windows(windows().boxed())
}

/// Rules of all kinds.
pub(super) fn all_rules() -> impl Strategy<Value = Rule> {
    let sessions = select(vec![
        Window::Session(6 * HOUR_MS, 2 * DAY_MS),
        Window::Session(25 * 60_000, 5 * HOUR_MS),
        Window::Session(2 * DAY_MS, 5 * DAY_MS),
    ]);
    let all = prop_oneof![6 => windows(), 2 => sessions, 1 => Just(Window::Record)];
    of_windows(all.boxed())
}

fn of_windows(windows: BoxedStrategy<Window>) -> impl Strategy<Value = Rule> {
    let growing = vec(select(&GROWING[..]), 1..4);
    let mixed = vec(prop_oneof![8 => select(&ANY[..]), 1 => select(&OTHER[..])], 1..4);
    let measures = prop_oneof![growing.prop_map(|m| (true, m)), mixed.prop_map(|m| (false, m))];
    let compare = prop_oneof![
        3 => Just(None),
        1 => (1..8i64).prop_map(|n| Some(Compare::Shift(n))),
        2 => (1..4i64, 1..4i64, 0..2i64, select(vec!["mean", "max", "sum", "median"]))
            .prop_map(|(n, step, skip, of)| Some(Compare::History(n, step, skip, of))),
        1 => (0..2usize).prop_map(|c| Some(Compare::Peers(c))),
    ];
    let terms = vec((any::<u8>(), any::<u8>(), -1..5i64, select(vec!["and", "or"])), 1..4);
    let rest =
        (prop::bool::ANY, prop::bool::weighted(0.3), prop::bool::weighted(0.3), prop::bool::ANY);
    (
        windows,
        0..KEYS.len(),
        select(&FILTERS[..]),
        measures,
        compare,
        terms,
        rest,
        select(&ALERTS[..]),
    )
        .prop_map(|(window, key, filter, (growing, kinds), compare, terms, rest, alert)| {
            let (live, group_null, clear, ladder) = rest;
            let mut rule = Rule {
                id: String::new(),
                live,
                filter,
                key: KEYS[key].to_vec(),
                group_null,
                window,
                measures: Vec::new(),
                compare: compare.and_then(|c| possible(c, window, KEYS[key].len())),
                terms: Vec::new(),
                ladder: None,
                clear: None,
                alert,
            };
            rule.measures = rule.measures_of(&kinds, key);
            rule.terms = terms
                .iter()
                .map(|(m, how, n, joined)| (rule.term(*m, *how, *n, growing), *joined))
                .collect();
            rule.ladder = ladder.then(|| rule.term(terms[0].0, 0, terms[0].2 + 2, growing));
            rule.clear = clear.then(|| {
                format!("m0 {}", if rule.measures[0].kind.text { "is null" } else { "< 1" })
            });
            rule
        })
}

/// The compare in steps of the window, where the rule can have it.
fn possible(compare: Compare, window: Window, key_columns: usize) -> Option<Compare> {
    let every = match window {
        Window::Sliding(_, every) | Window::Tumbling(every) => every,
        Window::Session(..) | Window::Record => return None,
    };
    match compare {
        Compare::Shift(n) => Some(Compare::Shift(n * every)),
        Compare::History(n, step, skip, of) => Some(Compare::History(n, step * every, skip, of)),
        Compare::Peers(c) => (key_columns > 1).then_some(Compare::Peers(c)),
    }
}

impl Rule {
    fn measures_of(&self, kinds: &[Kind], key: usize) -> Vec<Measure> {
        let median = matches!(self.compare, Some(Compare::History(_, _, _, "median")));
        let peers = matches!(self.compare, Some(Compare::Peers(_)));
        let fits = |k: &&Kind| {
            // The query has a median of numbers only, and peers of one feed.
            (!median || k.zero)
                && !(k.checks && (key > 4 || peers))
                && !(k.text && self.compare.is_some())
        };
        let mut kinds: Vec<Kind> = kinds.iter().filter(fits).copied().collect();
        if kinds.is_empty() {
            kinds.push(PLAIN);
        }
        let measure = |(i, kind)| Measure { name: format!("m{i}"), kind };
        kinds.into_iter().enumerate().map(measure).collect()
    }

    /// One condition; `how` picks its form. A growing one can only become truer.
    fn term(&self, measure: u8, how: u8, n: i64, growing: bool) -> String {
        let m = &self.measures[usize::from(measure) % self.measures.len()];
        let name = &m.name;
        if m.kind.text {
            return format!("{name} {}", ["= 'p1'", "is null", "<> 'p2'"][usize::from(how) % 3]);
        }
        let compared = self.compare.is_some() && how % 2 == 1;
        match (growing, compared) {
            (true, false) => format!("{name} >= {}", n.max(1)),
            (true, true) => match how % 5 {
                0 => format!("({name} >= {n} and c.{name} is not null)"),
                1 => format!("{name} > c.{name}"),
                2 => format!("{name} >= 2 * greatest(c.{name}, 1)"),
                3 => format!("({name} >= 2 and c.{name} < 2)"),
                _ => format!("coalesce(c.{name}, 0) < {n}"),
            },
            (false, false) => {
                format!("{name} {} {n}", [">=", "<", ">", "<=", "="][usize::from(how / 2) % 5])
            }
            (false, true) => match how % 5 {
                0 => format!("{name} > c.{name}"),
                1 => format!("{name} <= c.{name} - {n}"),
                2 => format!("c.{name} = {n}"),
                3 => format!("c.{name} is null"),
                _ => format!("{name} + 1.37 > 2 * c.{name}"),
            },
        }
    }

    /// `when` as the file has it.
    pub(super) fn when(&self) -> String {
        let mut text = String::new();
        for (i, (term, joined)) in self.terms.iter().enumerate() {
            if i > 0 {
                text.push_str(&format!(" {joined} "));
            }
            text.push_str(term);
        }
        text
    }

    /// The rule file.
    pub(super) fn file(&self) -> String {
        let quoted = |sql: &str| format!("\"{}\"", sql.replace('"', "\\\""));
        let record = matches!(self.window, Window::Record);
        let mut text = format!(
            "rule: {}\nstatus: {}\ntitle: {{zh: 规则, en: Rule}}\nkind: {}\nfeed: reports\n",
            self.id,
            if self.live { "live" } else { "shadow" },
            if record { "instant" } else { "window" }
        );
        let mut line = |s: String| {
            text.push_str(&s);
            text.push('\n');
        };
        if let Some(filter) = self.filter {
            line(format!("where: {}", quoted(filter)));
        }
        let key = |(sql, name): &KeyColumn| {
            if sql == name { sql.to_string() } else { quoted(&format!("{sql} as {name}")) }
        };
        line(format!("key: [{}]", self.key.iter().map(key).collect::<Vec<_>>().join(", ")));
        if self.group_null {
            line("missing_key: group_null".into());
        }
        if record {
            line("when: score >= 3\nseverity: {high: cost > 2, else: low}".into());
            line(format!(
                "alert: {}",
                if self.alert.contains("last") { "{}" } else { self.alert }.replace("{m0}", "")
            ));
            return text;
        }
        line(match self.window {
            Window::Sliding(width, every) => {
                format!("window: {{sliding: {}, every: {}}}", span(width), span(every))
            }
            Window::Tumbling(width) if width % (7 * DAY_MS) == 0 => {
                format!("window: {{tumbling: {}, start: monday}}", span(width))
            }
            Window::Tumbling(width) => format!("window: {{tumbling: {}}}", span(width)),
            Window::Session(gap, max) => {
                format!("window: {{session: {}, max: {}}}", span(gap), span(max))
            }
            Window::Record => String::new(),
        });
        line("measures:".into());
        for m in &self.measures {
            let feed = if m.kind.checks { "feed: checks, " } else { "" };
            let filter =
                m.kind.filter.map_or_else(String::new, |f| format!("where: {}, ", quoted(f)));
            line(match (feed, filter.as_str()) {
                ("", "") => format!("  {}: {}", m.name, quoted(m.kind.value)),
                _ => format!("  {}: {{{feed}{filter}value: {}}}", m.name, quoted(m.kind.value)),
            });
        }
        match &self.compare {
            Some(Compare::Shift(ms)) => line(format!("compare: {{c: {{shift: {}}}}}", span(*ms))),
            Some(Compare::History(n, step, skip, of)) => line(format!(
                "compare: {{c: {{windows: {n}, step: {}, skip: {skip}, of: {of}}}}}",
                span(*step)
            )),
            Some(Compare::Peers(c)) => {
                line(format!("compare: {{c: {{key: [{}]}}}}", self.key[*c].1));
            }
            None => {}
        }
        line(format!("when: {}", quoted(&self.when())));
        if let Some(clear) = &self.clear {
            line(format!("clear: {}", quoted(clear)));
        }
        line(match &self.ladder {
            Some(sql) => format!("severity: {{critical: {}, else: low}}", quoted(sql)),
            None => "severity: medium".into(),
        });
        line(format!("alert: {}", self.alert));
        text
    }
}
