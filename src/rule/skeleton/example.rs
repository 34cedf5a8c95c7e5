//! Columns of a feed that make a good example, and records made up of them.

use super::Missing;
use crate::{
    model::{
        schema::{Column, ColumnType, FeedSchema},
        time::format_day,
        yaml::quoted,
    },
    rule::detector::{ADJUSTED, TOLD},
};

/// Monday 2026-03-02, the day on which the tests of skeletons happen; days since 1970-01-01.
pub(super) const MONDAY: i32 = 20_514;

/// Names that measures of skeletons have.
const MEASURES: [&str; 3] = ["n", "value", "usual"];

/// A feed as an example.
pub(super) struct Example<'a> {
    pub(super) feed: &'a FeedSchema,
}

/// What a record is asked: a condition, and a value that meets it and one that does not.
pub(super) struct Question<'a> {
    /// The condition as SQL.
    pub(super) sql: String,
    /// Parameters it uses, as YAML; empty where it has none.
    pub(super) params: String,
    /// The column.
    pub(super) column: &'a Column,
    /// Meets it, as YAML.
    pub(super) yes: String,
    /// Does not.
    pub(super) no: String,
}

impl<'a> Example<'a> {
    pub(super) fn new(feed: &'a FeedSchema) -> Self {
        Self { feed }
    }

    /// The column by which records are best grouped: what people call by a name, a business, a place, a class.
    pub(super) fn key(&self) -> Result<&'a Column, Missing> {
        let feed = self.feed;
        let whole_id = |i: usize| feed.record_id == [i];
        let rank = |i: usize, c: &Column| match c.kind {
            _ if feed.names.iter().any(|(key, _)| *key == i) => Some(0),
            ColumnType::Ucc => Some(1),
            ColumnType::Region => Some(2),
            ColumnType::Text if !c.codes.is_empty() => Some(3),
            ColumnType::Text if !c.map.is_empty() => Some(4),
            ColumnType::Text => Some(5),
            ColumnType::Int => Some(6),
            _ => None,
        };
        let free = self.free().filter(|(i, _)| !whole_id(*i));
        let ranked = free.filter_map(|(i, c)| Some((rank(i, c)?, c)));
        let best = ranked.min_by_key(|(rank, _)| *rank);
        best.map(|(_, column)| column).ok_or_else(|| Missing::Key(feed.feed.clone()))
    }

    /// What people read in a message for the key: its name where the feed has one that may be shown.
    pub(super) fn called(&self, key: &Column) -> String {
        let named = self.feed.names.iter().find(|(k, _)| self.feed.columns[*k].name == key.name);
        match named {
            Some((_, name)) if !self.feed.columns[*name].personal => format!("{}_name", key.name),
            _ => key.name.clone(),
        }
    }

    /// A condition on one column, not `but`.
    pub(super) fn question(&self, but: Option<&Column>) -> Result<Question<'a>, Missing> {
        let rank = |c: &Column| match c.kind {
            ColumnType::Decimal { .. } => Some(0),
            ColumnType::Text if values(c).len() > 1 => Some(1),
            ColumnType::Int | ColumnType::Float => Some(2),
            ColumnType::Bool => Some(3),
            ColumnType::Text => Some(4),
            _ => None,
        };
        let free = self.free().filter(|(_, c)| but.is_none_or(|but| but.name != c.name));
        let ranked = free.filter_map(|(_, c)| Some((rank(c)?, c)));
        let (_, column) = ranked
            .min_by_key(|(rank, _)| *rank)
            .ok_or_else(|| Missing::Column(self.feed.feed.clone()))?;
        let name = &column.name;
        let at_least = |limit: i64| Question {
            sql: format!("{name} >= $limit"),
            params: format!("params: {{limit: {limit}}}\n"),
            column,
            yes: limit.to_string(),
            no: (limit - 1).to_string(),
        };
        let equal = |yes: &str, no: &str| Question {
            sql: format!("{name} = '{}'", yes.replace('\'', "''")),
            params: String::new(),
            column,
            yes: quoted(yes),
            no: quoted(no),
        };
        Ok(match (column.kind, values(column).as_slice()) {
            (ColumnType::Decimal { .. }, _) => at_least(10_000),
            (ColumnType::Int | ColumnType::Float, _) => at_least(3),
            (ColumnType::Bool, _) => Question {
                sql: format!("{name} = true"),
                params: String::new(),
                column,
                yes: "true".into(),
                no: "false".into(),
            },
            (_, [yes, no, ..]) => equal(yes, no),
            _ => equal("example", "other"),
        })
    }

    /// Which records might count: those of one code where the feed has codes, else those with a key.
    pub(super) fn filter(&self, key: &Column) -> String {
        let coded = self
            .free()
            .map(|(_, c)| c)
            .find(|c| c.kind == ColumnType::Text && c.name != key.name && values(c).len() > 1);
        match coded.and_then(|c| Some((c, *values(c).first()?))) {
            Some((column, value)) => {
                plain(&format!("{} = '{}'", column.name, value.replace('\'', "''")))
            }
            None => format!("{} is not null", key.name),
        }
    }

    /// A value of a column, as YAML.
    pub(super) fn value(&self, column: &Column) -> String {
        match column.kind {
            ColumnType::Ucc => "$A".into(),
            ColumnType::Region => quoted("430102"),
            ColumnType::Int => "1".into(),
            _ => quoted(values(column).first().map_or("A1", |v| v)),
        }
    }

    /// `count` records, the first on `day` (days from [`MONDAY`]), each `hours` after the one before; `columns` is what all
    /// of them have, as YAML.
    ///
    /// # Errors
    /// [`Missing::Records`] where more than one cannot be told apart.
    pub(super) fn rows(
        &self,
        day: i32,
        count: usize,
        hours: usize,
        columns: &str,
    ) -> Result<Vec<String>, Missing> {
        let at = format_day(MONDAY + day);
        if count == 1 {
            return Ok(vec![format!("at: {at}, {columns}")]);
        }
        if self.feed.numbering().is_none() && !self.feed.record_id.is_empty() {
            return Err(Missing::Records(self.feed.feed.clone(), count));
        }
        Ok(vec![format!("at: {at}, repeat: {count}, every: {hours}h, {columns}")])
    }

    /// Columns that authors may ask about: no times, no roles of the feed, no pseudonyms, no number of the record.
    fn free(&self) -> impl Iterator<Item = (usize, &'a Column)> {
        let feed = self.feed;
        let role = move |i: usize| {
            i == feed.event_time
                || [feed.version, feed.op, feed.arrived_at].contains(&Some(i))
                || feed.numbering().is_some_and(|n| n.name == feed.columns[i].name)
        };
        let taken =
            |name: &str| TOLD.contains(&name) || name == ADJUSTED || MEASURES.contains(&name);
        let columns = feed.columns.iter().enumerate();
        columns.filter(move |(i, c)| !role(*i) && !c.personal && !taken(&c.name))
    }
}

/// A condition as a YAML scalar: in quotes only where YAML would take a part of it for something else.
pub(super) fn plain(sql: &str) -> String {
    if sql.contains(": ") || sql.contains(" #") || sql.ends_with(':') {
        return serde_json::Value::from(sql).to_string();
    }
    sql.to_owned()
}

/// Values that a text column can have: its codes, else what its map makes.
fn values(column: &Column) -> Vec<&str> {
    let mut out: Vec<&str> = column.codes.iter().map(String::as_str).collect();
    if out.is_empty() {
        for (_, value) in &column.map {
            if !out.contains(&value.as_str()) {
                out.push(value);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_of_skeletons_begin_on_a_monday() {
        assert_eq!(format_day(MONDAY), "2026-03-02");
    }
}
