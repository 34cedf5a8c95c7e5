//! The fields of a rule file: the one table behind the structural check and the JSON Schema for editors.

use serde_json::Value;

use crate::model::shape::{Field, Shape, Switch};

/// Where the schema of rule files is published.
const SCHEMA_ID: &str = "https://forewarn.dev/schema/rule.schema.json";

/// The JSON Schema of rule files.
#[must_use]
pub fn json_schema() -> Value {
    RULE.json_schema(SCHEMA_ID, "forewarn rule")
}

/// The shape of rule files.
#[must_use]
pub fn shape() -> &'static Shape {
    &RULE
}

const BILINGUAL: Shape = Shape::OneOf(&[
    Shape::Text,
    Shape::Map(&[
        Field::optional("zh", Shape::Text, "Chinese."),
        Field::optional("en", Shape::Text, "English."),
    ]),
]);

const SEVERITY: Shape = Shape::Word(&["low", "medium", "high", "critical"]);

const SEVERITIES: Shape = Shape::OneOf(&[
    SEVERITY,
    Shape::Map(&[
        Field::required("else", SEVERITY, "The severity where none of the conditions holds."),
        Field::optional("critical", Shape::Sql, "When the severity is critical (红)."),
        Field::optional("high", Shape::Sql, "When the severity is high (橙)."),
        Field::optional("medium", Shape::Sql, "When the severity is medium (黄)."),
        Field::optional("low", Shape::Sql, "When the severity is low (蓝)."),
    ]),
]);

const WINDOW: Shape = Shape::OneOf(&[
    Shape::Map(&[
        Field::required("sliding", Shape::Span, "Length of a window, like 7d."),
        Field::optional(
            "every",
            Shape::Span,
            "From one window's end to the next; 1d where left out.",
        ),
    ]),
    Shape::Map(&[
        Field::required(
            "tumbling",
            Shape::Span,
            "Length of a window, like 7d; windows do not overlap.",
        ),
        Field::optional(
            "start",
            Shape::Word(&super::file::WEEKDAYS),
            "Weekday on which windows of whole weeks start; monday where left out.",
        ),
    ]),
    Shape::Map(&[
        Field::required("session", Shape::Span, "Silence of a key that ends its window, like 3d."),
        Field::required("max", Shape::Span, "Longest window; a longer session is cut there."),
    ]),
]);

const COMPARE: Shape = Shape::OneOf(&[
    Shape::Map(&[Field::required(
        "shift",
        Shape::Span,
        "The window that ended that much earlier, like 7d.",
    )]),
    Shape::Map(&[
        Field::required("windows", Shape::Int(1), "How many earlier windows of the same key."),
        Field::required("step", Shape::Span, "From one of their ends to the next, like 7d."),
        Field::optional(
            "skip",
            Shape::Int(0),
            "How many of the nearest are left out; 0 where left out.",
        ),
        Field::required(
            "of",
            Shape::Word(&["mean", "median", "max", "sum"]),
            "What is taken of them.",
        ),
    ]),
    Shape::Map(&[Field::required(
        "key",
        Shape::List(&Shape::Text),
        "Key columns that stay: the same window over all keys with these values.",
    )]),
]);

const MEASURE: Shape = Shape::OneOf(&[
    Shape::Sql,
    Shape::Map(&[
        Field::required("value", Shape::Sql, "The aggregate, like count(*)."),
        Field::optional("feed", Shape::Name, "Its own feed; the rule's feed where left out."),
        Field::optional("where", Shape::Sql, "Which rows of its feed count."),
    ]),
]);

/// Detectors, each with its parameters; a test holds those of one series to the catalogue.
const DETECTORS: Shape = Shape::Map(&[
    detector("bayes_predictive", "A count above what a short history makes credible."),
    detector("count_exceedance", "A count above the mean of the last periods and their variation."),
    detector("ears", "A sudden rise with little history: C1, C2, C3."),
    detector(
        "farrington_flexible",
        "Season, trend and variation of years: the workhorse for weeks.",
    ),
    detector("farrington_classic", "The same as first published, for comparison."),
    detector("rki", "The reference windows of the RKI, for comparison."),
    detector("cdc", "Sums of four weeks against those of earlier years, for comparison."),
    detector("outbreak_p", "The onset of a season or wave, for comparison."),
    detector("cusum", "Small excesses that add up."),
    detector("ewma", "A small shift of the level that lasts."),
    detector("shewhart", "One value far above the mean."),
    detector("glr", "A count's mean that has shifted, and since when."),
    detector(
        "moving_level",
        "A count far above a level that follows the counts, or many that stay above it.",
    ),
    detector("page_hinkley", "A mean of a measure that has moved."),
    detector("adwin", "A mean that has changed, with a window that adapts."),
    detector("holt_winters", "Level, trend and season that follow the series."),
    detector("ets", "Exponential smoothing fitted by likelihood."),
    detector("stl", "What season and trend by loess leave over."),
    detector("s_h_esd", "Outliers of a seasonal series, several at once."),
    detector("mann_kendall", "A rising trend over the last periods."),
    detector("proportion", "A share of a numerator in a denominator above its past."),
    detector(
        "disproportionality",
        "Pairs of two key columns, the margins, that come together more often than each alone explains: PRR, ROR, information component.",
    ),
    detector(
        "gamma_poisson",
        "The same shrunk by what all pairs have in common: EBGM and its lower limit EB05.",
    ),
    detector(
        "space_time_scan",
        "Neighbouring places, a region column of the key, where records gather over the last periods.",
    ),
]);

/// Detectors that judge the keys of a period beside each other; they follow the others in [`DETECTORS`].
#[cfg(test)]
const JOINT: [&str; 3] = ["disproportionality", "gamma_poisson", "space_time_scan"];

const fn detector(name: &'static str, doc: &'static str) -> Field {
    Field::optional(name, Shape::AnyMap(&Shape::Any), doc)
}

const SERIES: Shape = Shape::Map(&[
    Field::optional("value", MEASURE, "What is judged, like count(*)."),
    Field::optional("numerator", MEASURE, "What is judged, where it is part of a denominator."),
    Field::optional("denominator", MEASURE, "What the numerator is part of, like samples taken."),
    Field::optional("exposure", MEASURE, "The population behind the value, like visits made."),
    Field::required(
        "period",
        Shape::Text,
        "day, week from Monday, month of the calendar, holiday (each behind the same of the years before), or whole days like 28d.",
    ),
    Field::optional(
        "every",
        Shape::Span,
        "How often a long period that ends is judged, like 7d; where left out, when the next begins.",
    ),
    Field::optional(
        "around",
        Shape::Span,
        "Of period: holiday, what lies before its first day off and behind its last and is part of it, like 3d.",
    ),
    Field::optional(
        "calendar",
        Shape::Word(&["cn"]),
        "Whose days off are expected: like is compared with like, or the regression has a term for them.",
    ),
    Field::optional(
        "fill",
        Shape::Word(&["zero", "none"]),
        "What a period without records has: zero, or none at all; zero where left out.",
    ),
    Field::optional(
        "baseline",
        Shape::Int(1),
        "Periods that a chart is set to, or that are fitted; where left out, what the detector needs and a year.",
    ),
    Field::optional(
        "run",
        Shape::Int(1),
        "Periods that a chart is drawn over; half a year where left out.",
    ),
]);

const NOWCAST: Shape = Shape::Map(&[
    Field::optional(
        "max_delay",
        Shape::Span,
        "Longest delay of a report, like 14d; longer ones count as this long; 14 periods where left out.",
    ),
    Field::optional(
        "window",
        Shape::Span,
        "The last periods from which delays are learnt; 60 periods where left out.",
    ),
    Field::optional(
        "wait",
        Shape::Span,
        "How long after its end a period is judged, with what is reported by then; at once where left out.",
    ),
    Field::optional("method", Shape::Any, "bnb, lawless or bayes; bnb where left out."),
    Field::optional("alpha", Shape::Number, "Two-sided level of the limits; 0.05 where left out."),
    Field::optional(
        "kappa",
        Shape::Number,
        "Weight of the prior of each delay; 0.1 where left out.",
    ),
]);

const EXCLUDE: Shape = Shape::Map(&[
    Field::required("from", Shape::Text, "First day, like 2026-02-17."),
    Field::required("to", Shape::Text, "Last day."),
    Field::required("reason", Shape::Text, "Why these periods are like no others."),
]);

const CONTROL: Shape = Shape::Map(&[
    Field::required(
        "fdr",
        Shape::Number,
        "Share of alarms of a period that may be false, like 0.05.",
    ),
    Field::optional(
        "over",
        Shape::List(&Shape::Text),
        "Key columns that alarms are counted over, within equal others; all keys where left out.",
    ),
]);

const STEP: Shape = Shape::Map(&[
    Field::required(
        "as",
        Shape::Name,
        "The step's name; its values are name.column, name.at, name.count.",
    ),
    Field::required("feed", Shape::Name, "The feed whose records meet it."),
    Field::optional("where", Shape::Sql, "Which of them."),
    Field::optional("time", Shape::Name, "Another time column of the feed, one with a delay."),
    Field::optional("at_least", Shape::Int(1), "How many records meet it; 1 where left out."),
    Field::optional(
        "distinct",
        Shape::Sql,
        "Of records with equal values of this only the first counts.",
    ),
    Field::optional(
        "match",
        Shape::Sql,
        "What a record must have in common with those of earlier steps, like paid.case_no = fined.case_no.",
    ),
    Field::optional(
        "absent_for",
        Shape::Text,
        "The last step: no such record for so long after the step before, like 30d or 20wd (working days).",
    ),
    Field::optional(
        "wait",
        Shape::Text,
        "How much longer its feed is waited for, where records are published late, like 20wd.",
    ),
]);

const ASSIGN: Shape = Shape::Map(&[
    Field::optional("department", Shape::Text, "The department that handles the alert."),
    Field::optional("level", Shape::Text, "Its level: county, city, province, upper."),
    Field::optional(
        "respond_in",
        Shape::Text,
        "How soon someone must accept it, like 1wd (working days).",
    ),
    Field::optional("handle_in", Shape::Text, "How soon it must be handled, like 15wd."),
]);

const ALERT: Shape = Shape::Map(&[
    Field::optional("hold_for", Shape::Span, "Fires only after the condition held this long."),
    Field::optional(
        "keep_for",
        Shape::Span,
        "Resolves only after the condition was clear this long.",
    ),
    Field::optional(
        "group",
        Shape::List(&Shape::Text),
        "Columns by which alerts are grouped for people.",
    ),
    Field::optional("reraise", Shape::Sql, "Raises a firing alert again, like n >= 1.5 * last.n."),
    Field::optional("assign", ASSIGN, "Who handles it."),
    Field::optional("action", BILINGUAL, "What to do."),
    Field::optional("basis", Shape::OneOrMore(&Shape::Text), "Legal bases."),
    Field::optional(
        "message",
        BILINGUAL,
        "Text with {name}, {name:.1} or one step like {n / usual.n:.1}.",
    ),
    Field::optional("show", Shape::List(&Shape::Text), "Further columns of the record to show."),
    Field::optional("control", CONTROL, "How many alarms of a detector may be false."),
]);

const TEST: Shape = Shape::Map(&[
    Field::required("name", Shape::Text, "What the test shows."),
    Field::required(
        "given",
        Shape::AnyMap(&Shape::List(&Shape::AnyMap(&Shape::Any))),
        "Feed → rows: columns, and at, arrives, repeat, every.",
    ),
    Field::required("until", Shape::Text, "All watermarks move to this day or instant."),
    Field::required("expect", Shape::List(&Shape::AnyMap(&Shape::Any)), "Exactly these alerts."),
]);

/// A rule file.
pub(super) static RULE: Shape = Shape::Switch(&Switch {
    field: "kind",
    doc: "What the rule looks at: one record, aggregates over a window, a series and a detector, records in an order, or keys that are new.",
    common: &[
        Field::required("rule", Shape::Name, "The rule's id: the file's name, never changed."),
        Field::optional(
            "version",
            Shape::Int(1),
            "Raised when the meaning changes; 1 where left out.",
        ),
        Field::optional(
            "status",
            Shape::Word(&["draft", "shadow", "live", "retired"]),
            "draft: checked, not run; shadow: run, no alerts; live; retired. live where left out.",
        ),
        Field::required("title", BILINGUAL, "What people call it."),
        Field::optional("about", Shape::Text, "What it finds, and when it misleads."),
        Field::optional("owner", Shape::Text, "Who answers for it."),
        Field::optional("tags", Shape::OneOrMore(&Shape::Text), "Words to find it by."),
        Field::required("kind", Shape::Any, ""),
        Field::optional(
            "missing_key",
            Shape::Word(&["drop", "group_null"]),
            "What becomes of records without a key: left out and counted, or a key of their own.",
        ),
        Field::optional("time", Shape::Name, "Another time column of the feed, one with a delay."),
        super::join::shape(),
        Field::optional("params", Shape::Entries(&Shape::Literal), "Constants, used as $name."),
        Field::required("severity", SEVERITIES, "One word, or conditions per severity and else."),
        Field::optional("alert", ALERT, "What people see, and how long it lives."),
        Field::optional("tests", Shape::List(&TEST), "Records and the alerts they must give."),
    ],
    cases: &[
        (
            "instant",
            &[
                FEED,
                WHERE,
                Field::optional("key", KEY, KEY_DOC),
                Field::optional(
                    "when",
                    Shape::Sql,
                    "When a record raises an alert; every record of where if left out.",
                ),
            ],
        ),
        (
            "window",
            &[
                FEED,
                WHERE,
                Field::required("key", KEY, KEY_DOC),
                Field::required("window", WINDOW, "The span of event time the measures look at."),
                Field::required(
                    "measures",
                    Shape::Entries(&MEASURE),
                    "Name → aggregate over the window's records.",
                ),
                Field::optional(
                    "compare",
                    Shape::Entries(&COMPARE),
                    "Name → other windows, used as name.measure.",
                ),
                Field::required("when", Shape::Sql, "When a window raises an alert."),
                Field::optional(
                    "clear",
                    Shape::Sql,
                    "When it ends; where left out, when the condition is not true.",
                ),
            ],
        ),
        (
            "detect",
            &[
                FEED,
                WHERE,
                Field::required("key", KEY, KEY_DOC),
                Field::required("series", SERIES, "One value a period and key."),
                Field::optional(
                    "measures",
                    Shape::Entries(&MEASURE),
                    "Name → aggregate over the period's records, for conditions beside the detector.",
                ),
                Field::required("detector", DETECTORS, "Who judges each period, with parameters."),
                Field::optional(
                    "fallback",
                    DETECTORS,
                    "Who judges where the detector has no answer, like while history is short.",
                ),
                Field::optional(
                    "nowcast",
                    NOWCAST,
                    "The newest periods as they will be once all is reported, for rules whose time is before the feed's.",
                ),
                Field::optional(
                    "exclude",
                    Shape::List(&EXCLUDE),
                    "Periods that are no part of any baseline.",
                ),
                Field::required("when", Shape::Sql, "When a period raises an alert, like alarm."),
                Field::optional(
                    "clear",
                    Shape::Sql,
                    "When it ends; where left out, when the condition is not true.",
                ),
            ],
        ),
        (
            "sequence",
            &[
                Field::required("key", KEY, KEY_DOC),
                Field::required("steps", Shape::List(&STEP), "What must happen, in this order."),
                Field::optional(
                    "within",
                    Shape::Span,
                    "How long after its first record a sequence may go on, like 30d.",
                ),
                Field::optional(
                    "runs",
                    Shape::Word(&["first", "each"]),
                    "first: a sequence takes along those that began before it ended; each: every record of the first step begins one that is told. first where left out.",
                ),
            ],
        ),
        (
            "first_seen",
            &[
                FEED,
                WHERE,
                Field::required("key", KEY, KEY_DOC),
                Field::required(
                    "history",
                    Shape::Span,
                    "A key is new when it had no record for so long, like 730d.",
                ),
                Field::optional(
                    "learn_for",
                    Shape::Span,
                    "How long from the feed's first day every key is taken for known; as long as history where left out.",
                ),
                Field::optional(
                    "at_least",
                    Shape::Int(1),
                    "How many records of a new key it takes; 1 where left out.",
                ),
                Field::optional(
                    "distinct",
                    Shape::Sql,
                    "Of records with equal values of this only the first counts.",
                ),
                Field::optional(
                    "within",
                    Shape::Span,
                    "How long after its first record a new key may take for that; as long as history where left out.",
                ),
            ],
        ),
    ],
    later: (
        &["coverage", "score"],
        &[
            "inner",
            "exceptions",
            "overrides",
            "list",
            "expect",
            "check",
            "inputs",
            "half_life",
            "bands",
            "veto",
            "fire",
        ],
    ),
});

const FEED: Field = Field::required("feed", Shape::Name, "The feed whose records it looks at.");
const WHERE: Field = Field::optional("where", Shape::Sql, "Which records count.");
const KEY: Shape = Shape::List(&Shape::Sql);
const KEY_DOC: &str = "What records are grouped by: columns, or expressions with a name: \"left(region, 4) as city\".";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_detector_of_a_series_is_a_field() {
        let Shape::Map(fields) = DETECTORS else { panic!("a map") };
        let names: Vec<_> = fields.iter().map(|f| f.name).collect();
        let kinds = crate::detect::catalogue::series_kinds().map(|k| k.name);
        let kinds: Vec<_> = kinds.chain(JOINT).collect();
        assert_eq!(names, kinds);
    }

    #[test]
    fn every_field_is_described() {
        fn walk(schema: &Value, path: &str) {
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                for (name, field) in properties.iter().filter(|(_, f)| f.is_object()) {
                    let doc = field.get("description").and_then(Value::as_str).unwrap_or_default();
                    assert!(
                        doc.ends_with('.') || doc.ends_with("*).") || doc.contains(':'),
                        "{path}.{name}: {doc:?}"
                    );
                    walk(field, &format!("{path}.{name}"));
                }
            }
            for key in ["items", "additionalProperties", "anyOf"] {
                match schema.get(key) {
                    Some(Value::Array(of)) => of.iter().for_each(|s| walk(s, path)),
                    Some(of) => walk(of, path),
                    None => {}
                }
            }
        }
        walk(&json_schema(), "");
    }
}
