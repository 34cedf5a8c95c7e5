//! The schema of a feed: its columns, what makes a row good, and how an office's own fields map to it.
//!
//! Written by `feed::spec` from YAML, read by `decode` (bytes → rows), by `feed` (record id, event time) and by `rule`
//! (column names and types). One canonical Arrow schema per feed: expressions are bound to column positions in it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// A column's type as authors write it, and its Arrow type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// `text`: UTF-8.
    Text,
    /// `texts`: a list of UTF-8 values; one text is split at [`Column::split`].
    Texts,
    /// `ucc`: a unified social credit code, folded to half width and upper case, check character verified.
    Ucc,
    /// `region`: a GB/T 2260 code of 2 to 12 digits; retired codes are kept as they are.
    Region,
    /// `int`: 64-bit.
    Int,
    /// `float`: 64-bit binary; sums of it are fixed-point (see `pane::aggregate`).
    Float,
    /// `decimal`: 18 digits, the given number behind the point.
    Decimal {
        /// Digits behind the decimal point.
        scale: i8,
    },
    /// `bool`.
    Bool,
    /// `date`: a civil day.
    Date,
    /// `timestamp`: an instant, milliseconds, UTC.
    Timestamp,
}

impl ColumnType {
    /// The Arrow type of the canonical column.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text | Self::Ucc | Self::Region => DataType::Utf8,
            Self::Texts => DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))),
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Decimal { scale } => DataType::Decimal128(18, scale),
            Self::Bool => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        }
    }

    /// The word authors write.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Texts => "texts",
            Self::Ucc => "ucc",
            Self::Region => "region",
            Self::Int => "int",
            Self::Float => "float",
            Self::Decimal { .. } => "decimal",
            Self::Bool => "bool",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
        }
    }
}

/// What becomes of a row whose code in a `ucc` or `region` column does not pass its check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Invalid {
    /// Keep the row, empty the value, count it (the default: an unattributed record is still a record).
    #[default]
    Null,
    /// Keep row and value as they are.
    Keep,
    /// Send the row to the dead letters, class `bad_ucc` or `bad_value`.
    Reject,
}

/// One column of a feed.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name in rules, lower snake case.
    pub name: String,
    /// Type.
    pub kind: ColumnType,
    /// A row without a value is a dead letter, class `missing`.
    pub required: bool,
    /// Names the value may have in the source, tried in order; the column's own name is always tried first.
    pub from: Vec<String>,
    /// Allowed values after `map`; empty means any. Another value is a dead letter, class `bad_value`.
    pub codes: Vec<String>,
    /// Source text → value, applied before `codes` and type conversion.
    pub map: Vec<(String, String)>,
    /// Source texts that mean "no value", beside the empty one.
    pub empty: Vec<String>,
    /// `strftime`-like formats tried in order after ISO 8601 for `date` and `timestamp`.
    pub formats: Vec<String>,
    /// Value that is added when the source has none.
    pub default: Option<String>,
    /// Source field → number its value is multiplied by (万元 → 元 is 10000); `decimal`, `float` and `int` only.
    pub times: Vec<(String, i64)>,
    /// Pseudonymised with the keyed hash before the row leaves `decode`; `text` only.
    pub personal: bool,
    /// For `ucc` and `region`.
    pub invalid: Invalid,
    /// Smallest value the office can send; `min: 0` lets sums of the column fire early.
    pub min: Option<f64>,
    /// Characters at which one text becomes several values; `texts` and exploded columns use [`SPLIT`] without it.
    /// Another column takes the first of several texts, the largest of several numbers.
    pub split: Option<String>,
    /// Values that hold such a character and stay whole: `FUEL SYSTEM, GASOLINE`.
    pub keep: Vec<String>,
}

/// The characters at which lists in one text are split where a column does not say otherwise.
pub const SPLIT: &str = ";；、,，|";

/// How a text source is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// By byte order mark, else UTF-8, else GB18030 where the first bytes are mostly not UTF-8.
    #[default]
    Auto,
    /// UTF-8, with or without byte order mark.
    Utf8,
    /// GB18030, which holds GBK and GB2312.
    Gb18030,
}

impl Column {
    /// A plain optional column that maps to the source field of the same name.
    #[must_use]
    pub fn new(name: &str, kind: ColumnType) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            required: false,
            from: Vec::new(),
            codes: Vec::new(),
            map: Vec::new(),
            empty: Vec::new(),
            formats: Vec::new(),
            default: None,
            times: Vec::new(),
            personal: false,
            invalid: Invalid::default(),
            min: None,
            split: None,
            keep: Vec::new(),
        }
    }
}

/// The schema of one feed.
#[derive(Debug, Clone)]
pub struct FeedSchema {
    /// The feed's name, `[a-z][a-z0-9_]*`.
    pub feed: String,
    /// Columns in the order of the canonical batch.
    pub columns: Vec<Column>,
    /// How many of them come with a record; those that are joined to it stand behind.
    pub own: usize,
    /// Columns whose values together identify a record; empty: every row is its own record.
    pub record_id: Vec<usize>,
    /// The event-time column, `date` or `timestamp`.
    pub event_time: usize,
    /// Version column (`int`), where the source numbers its corrections.
    pub version: Option<usize>,
    /// Operation column with values `insert`, `correct`, `withdraw`, where the source has one.
    pub op: Option<usize>,
    /// Arrival-time column for replays of files.
    pub arrived_at: Option<usize>,
    /// Key column → column with the name a person would read, for messages (`{ucc_name}`).
    pub names: Vec<(usize, usize)>,
    /// Delays of further time columns: a rule with `time: occurred_on` waits that long behind the feed's watermark.
    pub delays: Vec<(usize, i64)>,
    /// `text` columns whose source holds a list: a record becomes one row for each value (of each combination where
    /// several columns are named). They belong to the record id, so that the rows stay apart.
    pub explode: Vec<usize>,
    /// Columns of the record id that tell the rows of one record apart, the exploded ones among them: a sample with a row
    /// for each item. A higher version of a record replaces all its rows.
    pub parts: Vec<usize>,
    /// Longest body of one record in bytes.
    pub record_bytes_max: usize,
    arrow: SchemaRef,
}

impl FeedSchema {
    /// A schema of these columns with `event_time` as the event time; the other roles are set on the fields.
    #[must_use]
    pub fn new(feed: &str, columns: Vec<Column>, event_time: usize) -> Self {
        let fields: Vec<Field> =
            columns.iter().map(|c| Field::new(&c.name, c.kind.arrow(), true)).collect();
        Self {
            feed: feed.to_owned(),
            own: columns.len(),
            columns,
            record_id: Vec::new(),
            event_time,
            version: None,
            op: None,
            arrived_at: None,
            names: Vec::new(),
            delays: Vec::new(),
            explode: Vec::new(),
            parts: Vec::new(),
            record_bytes_max: 1 << 20,
            arrow: Arc::new(Schema::new(fields)),
        }
    }

    /// The same with columns that are joined to its records.
    #[must_use]
    pub fn with(&self, more: Vec<Column>) -> Self {
        let mut columns = self.columns.clone();
        columns.extend(more);
        let arrow = Self::new(&self.feed, columns.clone(), self.event_time).arrow;
        Self { columns, arrow, ..self.clone() }
    }

    /// The canonical Arrow schema, every field nullable.
    #[must_use]
    pub fn arrow(&self) -> &SchemaRef {
        &self.arrow
    }

    /// Position of the column named `name`.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// The column of the record id that numbers records: not a business, a place, a code of a list or the event time.
    #[must_use]
    pub fn numbering(&self) -> Option<&Column> {
        let ids = self.record_id.iter().filter(|i| **i != self.event_time);
        let mut columns = ids.map(|i| &self.columns[*i]);
        columns.find(|c| matches!(c.kind, ColumnType::Text | ColumnType::Int) && c.codes.is_empty())
    }

    /// Whether raw bytes of this feed may hold personal data, so that its dead letters are sealed.
    #[must_use]
    pub fn has_personal(&self) -> bool {
        self.columns.iter().any(|c| c.personal)
    }
}
