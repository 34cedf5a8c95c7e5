//! What a rule should find, as one batch query over the records that count: `date_bin`, GROUP BY, HAVING.
//!
//! Written from the contract, not from the engine: the highest version of each record counts, a withdrawn one does not; a
//! window is civil and half-open; windows that overlap are joined with their rows by range; a compare is a join with the
//! earlier window of the same key, in which a key without rows counts 0, and NULL where the window begins before the
//! history; a window without rows is never a signal. A sum of nothing but NULLs is 0, as every sum of no rows is.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
    },
    datatypes::{DataType, Field, Schema},
};
use datafusion::{execution::context::SessionContext, prelude::SessionConfig};
use forewarn::model::value::value_at;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::{Map, Value};

use super::{
    Line,
    generate::{Case, DAY_MS, HOUR_MS, Row},
    rules::{Compare, Measure, Rule, Window},
};

/// The log of a case in tables.
pub(super) struct Tables {
    context: SessionContext,
    tz: TimeZone,
    /// First and last event, in local time.
    first_local: i64,
    last_local: i64,
    /// Local days at which the histories of `reports` and `checks` begin; `i64::MAX` without rows.
    history: [i64; 2],
}

/// Local milliseconds, as if the clock showed UTC.
pub(super) fn local(tz: &TimeZone, ms: i64) -> i64 {
    let at = tz.to_datetime(Timestamp::from_millisecond(ms).unwrap());
    TimeZone::UTC.to_timestamp(at).unwrap().as_millisecond()
}

/// The instant of a local time.
pub(super) fn instant(tz: &TimeZone, local_ms: i64) -> i64 {
    tz.to_ambiguous_timestamp(civil(local_ms)).later().unwrap().as_millisecond()
}

fn civil(local_ms: i64) -> DateTime {
    TimeZone::UTC.to_datetime(Timestamp::from_millisecond(local_ms).unwrap())
}

/// `timestamp '…'` of a local time.
fn literal(local_ms: i64) -> String {
    format!("arrow_cast(timestamp '{}', 'Timestamp(Millisecond, None)')", civil(local_ms))
}

fn interval(ms: i64) -> String {
    format!("(interval '{} minutes')", ms / 60_000)
}

impl Tables {
    pub(super) async fn new(case: &Case) -> Self {
        let tz = TimeZone::get(case.zone).unwrap();
        let config = SessionConfig::new().with_target_partitions(1);
        let context = SessionContext::new_with_config(config);
        let (reports, checks): (Vec<&Row>, Vec<&Row>) = case.rows.iter().partition(|r| r.report);
        let begins = |rows: &[&Row]| {
            let first = rows.iter().map(|r| local(&tz, r.at_ms)).min()?;
            let declared = case.settings.history_day().map(|d| d.at(0, 0, 0, 0));
            let declared =
                declared.map(|d| TimeZone::UTC.to_timestamp(d).unwrap().as_millisecond());
            Some(declared.unwrap_or(first).div_euclid(DAY_MS) * DAY_MS)
        };
        let history = [&reports, &checks].map(|rows| begins(rows).unwrap_or(i64::MAX));
        for (name, rows) in [("report_log", &reports), ("check_log", &checks)] {
            context.register_batch(name, batch(rows, &tz)).unwrap();
        }
        for (view, log) in [("reports", "report_log"), ("checks", "check_log")] {
            let sql = format!(
                "create view {view} as select * from (select *, row_number() over (partition by id order by v desc, \
                 case op when 'withdraw' then 2 when 'correct' then 1 else 0 end desc) as nth from {log}) \
                 where nth = 1 and op <> 'withdraw'"
            );
            context.sql(&sql).await.unwrap();
        }
        let times = || case.rows.iter().map(|r| r.at_ms);
        Self {
            context,
            first_local: local(&tz, times().min().unwrap_or(0)),
            last_local: times().max().map_or(0, |ms| local(&tz, ms)),
            history,
            tz,
        }
    }

    /// The signals of a rule.
    pub(super) async fn expected(&self, rule: &Rule) -> Vec<Line> {
        let sql = self.query(rule);
        let frame = self.context.sql(&sql).await.unwrap_or_else(|e| panic!("{e}\n{sql}"));
        let batches = frame.collect().await.unwrap_or_else(|e| panic!("{e}\n{sql}"));
        batches.iter().flat_map(|b| (0..b.num_rows()).map(|r| self.line(rule, b, r))).collect()
    }

    fn line(&self, rule: &Rule, batch: &RecordBatch, row: usize) -> Line {
        let at = |ms: i64| {
            let ms = self.tz.to_ambiguous_timestamp(civil(ms)).later().unwrap();
            let text = self.tz.to_offset(ms);
            (ms.as_millisecond(), text.seconds())
        };
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let value = |name: &str| value_at(column(name), row);
        let end = column("ends_at")
            .as_any()
            .downcast_ref::<TimestampMillisecondArray>()
            .unwrap()
            .value(row);
        let values: Map<String, Value> =
            rule.value_names().into_iter().map(|n| (n.clone(), value(&n))).collect();
        let key =
            rule.key.iter().enumerate().map(|(i, (_, n))| ((*n).into(), value(&format!("k{i}"))));
        Line {
            rule: rule.id.clone(),
            key: Value::Object(key.collect()).to_string(),
            window: (at(end - rule.width()).0, at(end).0),
            record: String::new(),
            severity: value("severity").as_str().unwrap().to_owned(),
            open: value("open") == Value::Bool(true),
            values,
        }
    }

    /// The one query.
    pub(super) fn query(&self, rule: &Rule) -> String {
        let keys: Vec<String> = (0..rule.key.len()).map(|i| format!("k{i}")).collect();
        let list = keys.join(", ");
        let (width, every, origin) = rule.grid();
        let mut with = Vec::new();
        // Windows that can hold rows, and the earlier ones they are compared with.
        let from = origin + (self.first_local - origin).div_euclid(every) * every;
        let own: Vec<i64> =
            (1..).map(|i| from + i * every).take_while(|e| *e <= self.last_local + width).collect();
        let mut all: Vec<i64> = own
            .iter()
            .flat_map(|e| rule.shifts().into_iter().chain([0]).map(move |s| e - s))
            .collect();
        all.sort_unstable();
        all.dedup();
        let all: Vec<String> = all.into_iter().map(|e| format!("({})", literal(e))).collect();
        with.push(format!("ends(w_end) as (values {})", all.join(", ")));
        let windowed = |rows: String| match rule.window {
            Window::Tumbling(width) => format!(
                "select *, date_bin({i}, local, {o}) + {i} as w_end from ({rows})",
                i = interval(width),
                o = literal(origin)
            ),
            _ => format!(
                "select r.*, e.w_end from ({rows}) r join ends e on r.local >= e.w_end - {} and r.local < e.w_end",
                interval(width)
            ),
        };
        let groups = rule.groups();
        for (g, (checks, filter, measures)) in groups.iter().enumerate() {
            with.push(format!(
                "rows{g} as ({})",
                windowed(rule.rows(*checks, filter.as_deref(), "true"))
            ));
            let aggregates: Vec<String> = measures.iter().map(|m| m.aggregate()).collect();
            with.push(format!(
                "g{g} as (select {list}, w_end, {} from rows{g} group by {list}, w_end)",
                aggregates.join(", ")
            ));
            if let Some(Compare::Peers(c)) = &rule.compare {
                // The same rule with a coarser key: only that column must be there.
                let peers = rule.rows(*checks, filter.as_deref(), &format!("k{c}"));
                with.push(format!(
                    "p{g} as (select k{c}, w_end, {} from ({}) group by k{c}, w_end)",
                    aggregates.join(", "),
                    windowed(peers)
                ));
            }
        }
        // Windows with rows of the key: rows of the rule's own feed, or of another that it counts.
        let mut present = Vec::new();
        if groups.iter().any(|g| !g.0) {
            present.push(windowed(rule.rows(false, None, "true")));
        }
        for (checks, filter, _) in groups.iter().filter(|g| g.0) {
            present.push(windowed(rule.rows(*checks, filter.as_deref(), "true")));
        }
        let present: Vec<String> =
            present.iter().map(|p| format!("select {list}, w_end from ({p})")).collect();
        with.push(format!("own as (select distinct * from ({}))", present.join(" union all ")));

        let same = |a: &str, b: &str| {
            let each = keys.iter().map(|k| format!("({a}.{k} is not distinct from {b}.{k})"));
            each.collect::<Vec<_>>().join(" and ")
        };
        let mut joins = String::new();
        let mut columns: Vec<String> = Vec::new();
        for (g, (.., measures)) in groups.iter().enumerate() {
            joins += &format!(
                " left join g{g} on {} and g{g}.w_end = own.w_end",
                same("own", &format!("g{g}"))
            );
            columns.extend(
                measures.iter().map(|m| format!("{} as {}", m.or_zero(&format!("g{g}")), m.name)),
            );
            for (i, shift) in rule.shifts().iter().enumerate() {
                let earlier = format!("c{g}_{i}");
                joins += &format!(
                    " left join g{g} as {earlier} on {} and {earlier}.w_end = own.w_end - {}",
                    same("own", &earlier),
                    interval(*shift)
                );
            }
            if let Some(Compare::Peers(c)) = &rule.compare {
                joins += &format!(
                    " left join p{g} on (own.k{c} is not distinct from p{g}.k{c}) and p{g}.w_end = own.w_end"
                );
            }
            columns.extend(measures.iter().filter_map(|m| self.compared(rule, m, g)));
        }
        let own_keys: Vec<String> = keys.iter().map(|k| format!("own.{k}")).collect();
        with.push(format!(
            "seen as (select {}, own.w_end, {} from own{joins})",
            own_keys.join(", "),
            columns.join(", ")
        ));
        let quoted = |sql: &str| {
            let names = rule.measures.iter().map(|m| format!("c.{}", m.name));
            names.fold(sql.to_owned(), |sql, n| sql.replace(&n, &format!("\"{n}\"")))
        };
        let severity = rule.ladder.as_ref().map_or_else(
            || "'medium'".to_owned(),
            |sql| format!("case when {} then 'critical' else 'low' end", quoted(sql)),
        );
        format!(
            "with {}\nselect *, arrow_cast(w_end, 'Timestamp(Millisecond, None)') as ends_at, {severity} as severity, w_end > {} as open from seen where {}",
            with.join(",\n"),
            literal(self.last_local),
            quoted(&rule.when())
        )
    }

    /// The compare's column of one measure.
    fn compared(&self, rule: &Rule, m: &Measure, g: usize) -> Option<String> {
        let width = rule.width();
        let history = rule.feeds().into_iter().map(|f| self.history[f]).max()?;
        let known = |shift: i64, value: &str| {
            if history == i64::MAX {
                return "null".to_owned();
            }
            let start = format!("own.w_end - {}", interval(width + shift));
            format!("case when {start} >= {} then {value} end", literal(history))
        };
        let at = |i: usize| m.or_zero(&format!("c{g}_{i}"));
        let value = match rule.compare.as_ref()? {
            Compare::Shift(shift) => known(*shift, &at(0)),
            Compare::Peers(_) => m.or_zero(&format!("p{g}")),
            Compare::History(n, step, skip, of) => {
                let all: Vec<String> =
                    (0..*n as usize).map(|i| format!("cast({} as double)", at(i))).collect();
                let sum =
                    all.iter().map(|x| format!("coalesce({x}, 0)")).collect::<Vec<_>>().join(" + ");
                let there: Vec<String> = all
                    .iter()
                    .map(|x| format!("case when {x} is null then 0 else 1 end"))
                    .collect();
                let there = format!("nullif({}, 0)", there.join(" + "));
                let list = all.join(", ");
                let statistic = match (*of, n) {
                    ("mean", _) => format!("({sum}) / {there}"),
                    ("max", _) => format!("greatest({list})"),
                    ("sum", _) => format!("({sum}) * {there} / {there}"),
                    // Of one the one, of two their mean, of three what lowest and highest leave.
                    (_, 3) => format!("({sum}) - greatest({list}) - least({list})"),
                    _ => format!("({sum}) / {n}"),
                };
                known((n + skip) * step, &statistic)
            }
        };
        Some(format!("{value} as \"c.{}\"", m.name))
    }
}

/// Measures that are counted over the same rows.
type Group<'a> = (bool, Option<String>, Vec<&'a Measure>);

impl Rule {
    /// Width, step and an end of a window.
    fn grid(&self) -> (i64, i64, i64) {
        match self.window {
            Window::Sliding(width, every) => (width, every, monday(every)),
            Window::Tumbling(width) => (width, width, monday(width)),
            Window::Session(..) | Window::Record => unreachable!("has no query"),
        }
    }

    fn width(&self) -> i64 {
        self.grid().0
    }

    fn shifts(&self) -> Vec<i64> {
        match self.compare {
            Some(Compare::Shift(shift)) => vec![shift],
            Some(Compare::History(n, step, skip, _)) => {
                (1..=n).map(|i| (i + skip) * step).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Names of the values a signal shows.
    fn value_names(&self) -> Vec<String> {
        let own = self.measures.iter().map(|m| m.name.clone());
        let compared = self.measures.iter().map(|m| format!("c.{}", m.name));
        own.chain(compared.filter(|_| self.compare.is_some())).collect()
    }

    /// Positions of the feeds it reads.
    fn feeds(&self) -> Vec<usize> {
        self.measures.iter().map(|m| usize::from(m.kind.checks)).collect()
    }

    fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for m in &self.measures {
            let filter = m.kind.filter.map(str::to_owned);
            match groups.iter_mut().find(|g| g.0 == m.kind.checks && g.1 == filter) {
                Some(group) => group.2.push(m),
                None => groups.push((m.kind.checks, filter, vec![m])),
            }
        }
        groups
    }

    /// Rows with their key; `present` names the key column that must be there, or `true` for all of them.
    fn rows(&self, checks: bool, filter: Option<&str>, present: &str) -> String {
        let keys: Vec<String> =
            self.key.iter().enumerate().map(|(i, (sql, _))| format!("{sql} as k{i}")).collect();
        let mut conditions = vec!["true".to_owned()];
        conditions.extend(self.filter.filter(|_| !checks).map(|f| format!("({f})")));
        conditions.extend(filter.map(|f| format!("({f})")));
        let complete = match (self.group_null, present) {
            (true, _) => "true".to_owned(),
            (false, "true") => {
                let all = (0..self.key.len()).map(|i| format!("k{i} is not null"));
                all.collect::<Vec<_>>().join(" and ")
            }
            (false, column) => format!("{column} is not null"),
        };
        format!(
            "select * from (select *, {} from {} where {}) where {complete}",
            keys.join(", "),
            if checks { "checks" } else { "reports" },
            conditions.join(" and ")
        )
    }
}

impl Measure {
    fn aggregate(&self) -> String {
        format!("{} as {}", self.kind.value, self.name)
    }

    /// Its value in a table of groups; a key without rows has 0 where that is a number of rows or their sum.
    fn or_zero(&self, table: &str) -> String {
        let value = format!("{table}.{}", self.name);
        if self.kind.zero { format!("coalesce({value}, 0)") } else { value }
    }
}

/// A local time at which windows end: midnight, for whole weeks that of a Monday.
fn monday(every: i64) -> i64 {
    debug_assert!(every % HOUR_MS == 0);
    if every % (7 * DAY_MS) == 0 { 4 * DAY_MS } else { 0 }
}

fn batch(rows: &[&Row], tz: &TimeZone) -> RecordBatch {
    let text = |f: &dyn Fn(&Row) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(|r| f(r)).collect::<StringArray>())
    };
    let time = |f: &dyn Fn(&Row) -> i64| -> ArrayRef {
        Arc::new(rows.iter().map(|r| Some(f(r))).collect::<TimestampMillisecondArray>())
    };
    fn result(row: &Row) -> Option<&str> {
        row.values.kind.map(|k| if k == "a" { "fail" } else { "pass" })
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", text(&|r| Some(&r.id))),
        ("v", Arc::new(rows.iter().map(|r| r.version).collect::<Int64Array>())),
        ("op", text(&|r| Some(r.op))),
        ("at", time(&|r| r.at_ms)),
        ("local", time(&|r| local(tz, r.at_ms))),
        ("firm", text(&|r| r.values.firm)),
        ("region", text(&|r| r.values.region)),
        ("kind", text(&|r| r.values.kind)),
        ("who", text(&|r| r.values.who)),
        ("result", text(&result)),
        ("score", Arc::new(rows.iter().map(|r| r.values.score).collect::<Int64Array>())),
        ("amount", Arc::new(rows.iter().map(|r| r.values.amount).collect::<Float64Array>())),
        ("cost", Arc::new(rows.iter().map(|r| r.values.cost).collect::<Int64Array>())),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(n, c): &(&str, ArrayRef)| Field::new(*n, c.data_type().clone(), true))
        .collect();
    debug_assert_eq!(fields[0].data_type(), &DataType::Utf8);
    let arrays = columns.into_iter().map(|(_, c)| c).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}
