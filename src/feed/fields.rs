//! The fields of a feed file: the one table behind the structural check and the JSON Schema for editors.

use serde_json::Value;

use crate::model::shape::{Field, Shape};

/// Where the schema of feed files is published.
const SCHEMA_ID: &str = "https://forewarn.dev/schema/feed.schema.json";

/// The words of `type:`.
pub(super) const TYPES: [&str; 10] =
    ["text", "texts", "ucc", "region", "int", "float", "decimal", "bool", "date", "timestamp"];

/// The words of `invalid:`.
pub(super) const INVALID: [&str; 3] = ["null", "keep", "reject"];

/// The words of `encoding:`.
pub(super) const ENCODINGS: [&str; 3] = ["auto", "utf-8", "gb18030"];

/// The JSON Schema of feed files.
#[must_use]
pub fn json_schema() -> Value {
    FEED.json_schema(SCHEMA_ID, "forewarn feed")
}

const NAMES: Shape = Shape::OneOrMore(&Shape::Name);
const TEXTS: Shape = Shape::OneOrMore(&Shape::Text);

const TITLE: Shape = Shape::OneOf(&[
    Shape::Text,
    Shape::Map(&[
        Field::optional("zh", Shape::Text, "Chinese."),
        Field::optional("en", Shape::Text, "English."),
    ]),
]);

/// A column: its type alone, or a map.
const COLUMN: Shape = Shape::OneOf(&[
    Shape::Word(&TYPES),
    Shape::Map(&[
        Field::required("type", Shape::Word(&TYPES), "What its values are."),
        Field::optional("about", Shape::Text, "What it holds, for people."),
        Field::optional(
            "required",
            Shape::Bool,
            "A row without a value is a dead letter, class missing.",
        ),
        Field::optional(
            "from",
            TEXTS,
            "Names of the source field, tried in order behind the column's own.",
        ),
        Field::optional(
            "map",
            Shape::AnyMap(&Shape::Text),
            "Source text: value, before codes and type.",
        ),
        Field::optional(
            "codes",
            TEXTS,
            "Allowed values; another one is a dead letter, class bad_value.",
        ),
        Field::optional("empty", TEXTS, "Source texts that mean: no value."),
        Field::optional("default", Shape::Text, "Value where the source has none."),
        Field::optional(
            "formats",
            TEXTS,
            "Date formats like %Y年%m月%d日, tried in order behind ISO 8601.",
        ),
        Field::optional(
            "scale",
            Shape::Int(0),
            "decimal: digits behind the point; 2 where left out.",
        ),
        Field::optional(
            "times",
            Shape::AnyMap(&Shape::Int(1)),
            "Source field: number its value is multiplied by; 10000 makes 元 of 万元.",
        ),
        Field::optional(
            "min",
            Shape::Number,
            "Smallest value there can be; min 0 lets sums fire early.",
        ),
        Field::optional(
            "personal",
            Shape::Bool,
            "Replaced by a keyed hash before it is stored anywhere; text only.",
        ),
        Field::optional(
            "invalid",
            Shape::Word(&INVALID),
            "ucc, region: a bad code empties the value (null), stays (keep), or costs the row (reject).",
        ),
        Field::optional(
            "split",
            Shape::Text,
            "Characters at which one text becomes several values; text takes the first, numbers the largest.",
        ),
        Field::optional("keep", TEXTS, "Values that hold such a character and stay whole."),
    ]),
]);

/// A feed file.
pub(super) const FEED: Shape = Shape::Map(&[
    Field::required("feed", Shape::Name, "The feed's name, equal to the file's."),
    Field::optional("title", TITLE, "Title, in Chinese and English."),
    Field::optional("about", Shape::Text, "What it holds and where it comes from."),
    Field::required(
        "event_time",
        Shape::Name,
        "Column with the time by which events are counted: when the office knew.",
    ),
    Field::optional(
        "record_id",
        NAMES,
        "Columns that together identify a record; without them every row is one.",
    ),
    Field::optional("version", Shape::Name, "Column (int) that numbers the versions of a record."),
    Field::optional("op", Shape::Name, "Column with insert, correct or withdraw."),
    Field::optional(
        "arrived_at",
        Shape::Name,
        "Column with the arrival time, for replays of files.",
    ),
    Field::optional(
        "explode",
        NAMES,
        "Columns whose source holds a list: a record becomes a row for each value.",
    ),
    Field::optional(
        "parts",
        NAMES,
        "Columns of record_id that tell the rows of one record apart; a higher version replaces all rows.",
    ),
    Field::optional(
        "out_of_order",
        Shape::Span,
        "How far rows may be behind the latest one before windows close; 0 where left out.",
    ),
    Field::optional(
        "allowed_lateness",
        Shape::Span,
        "How much later rows still correct closed windows; 0 where left out.",
    ),
    Field::optional(
        "dedup_for",
        Shape::Span,
        "How long record ids are remembered; at least the two above together.",
    ),
    Field::optional(
        "idle_after",
        Shape::Span,
        "A partition silent for so long holds up nothing; 5m where left out.",
    ),
    Field::optional(
        "max_skew",
        Shape::Span,
        "Rows dated further ahead of their arrival are dead letters; 1h where left out.",
    ),
    Field::optional("history_from", Shape::Text, "Day from which the feed is complete."),
    Field::optional(
        "encoding",
        Shape::Word(&ENCODINGS),
        "Encoding of text sources; auto where left out.",
    ),
    Field::optional(
        "record_bytes_max",
        Shape::Int(64),
        "Longest record in bytes; 1048576 where left out.",
    ),
    Field::optional(
        "names",
        Shape::AnyMap(&Shape::Name),
        "Key column: column with the name people read.",
    ),
    Field::optional(
        "delays",
        Shape::AnyMap(&Shape::Span),
        "Further time column: how much later it may be known.",
    ),
    Field::required(
        "columns",
        Shape::Entries(&COLUMN),
        "The columns, in the order of the canonical rows.",
    ),
]);
