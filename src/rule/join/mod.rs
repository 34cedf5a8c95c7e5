//! Join: columns of a reference table beside those of a record, `biz.parent_ucc`.
//!
//! In: `join:` of rules, the lists beside them, and the feeds. Out: the feeds' schemas with the joined columns behind their
//! own, and what fills these columns where rows are prepared. A table is a list, or a feed whose records say something
//! about a key (see [`Dimension`]). The columns are shared: two rules that look up the same table by the same expression
//! and time read the same ones, whatever name each gives the table; only what some rule reads is joined. Elsewhere in the
//! program a joined column is a column like any other, under a name that no author can write.

mod file;
mod lookup;
mod names;
mod resolve;
mod table;

use std::sync::Arc;

pub use file::{JoinFile, read, shape};
pub(super) use resolve::resolve;

pub use names::{
    Alias, JOINED, aliases, is_joined, is_unused, own_name, parsed, position, rename, renamed,
    time_of, written,
};
pub use table::{Table, key_of};

use self::lookup::{FeedLookup, ListLookup};
use super::{
    compiled::Compiled,
    expr::Compilers,
    file::RuleFile,
    lists::{List, Lists},
    scope::rows_of,
};
use crate::{
    model::{
        join::Joining,
        schema::{Column, ColumnType, FeedSchema},
        time::Zone,
        yaml::Sql,
    },
    pane::{dimension::Dimension, plan::Look},
};

/// One look-up in a table from the rows of a feed.
#[derive(Debug)]
struct Source {
    /// What tells it from others: the end of its columns' names.
    suffix: String,
    of: Of,
    /// The lists that `by` may ask.
    lists: Arc<Lists>,
    by: Sql,
    /// The column that says as of when; none where the table has no dates.
    time: Option<usize>,
    /// Columns of the table.
    columns: Vec<usize>,
}

/// Where a table comes from.
#[derive(Debug)]
enum Of {
    List(Arc<List>),
    /// Position of the feed.
    Feed(usize),
}

/// The feeds with the columns that rules join.
#[derive(Debug)]
pub struct Joins {
    /// The feeds' schemas, joined columns last.
    pub schemas: Vec<Arc<FeedSchema>>,
    /// Feeds that are tables.
    pub dimensions: Vec<Arc<Dimension>>,
    /// By feed, in the order of its joined columns.
    sources: Vec<Vec<Source>>,
}

/// What is done with the rows of one feed before they are prepared.
#[derive(Debug, Default)]
pub struct Bound {
    /// What fills the joined columns, in their order.
    pub joins: Vec<Joining>,
    /// Those of them that ask feeds.
    pub looks: Vec<Look>,
}

impl Joins {
    /// What these rules join to the rows of these feeds.
    pub fn of<'a>(
        rules: impl IntoIterator<Item = &'a RuleFile>,
        feeds: &[Arc<FeedSchema>],
    ) -> Self {
        let all: Vec<&FeedSchema> = feeds.iter().map(|f| &**f).collect();
        let mut sources: Vec<Vec<Source>> = feeds.iter().map(|_| Vec::new()).collect();
        for rule in rules.into_iter().filter(|r| !r.joins.is_empty()) {
            for (feed, time) in names::feeds(rule) {
                let Some(at) = feeds.iter().position(|f| f.feed == feed) else { continue };
                for join in &rule.joins {
                    note(&mut sources[at], rule, join, &all, (at, time));
                }
            }
        }
        let schemas = feeds.iter().zip(&sources).map(|(feed, of)| match of.is_empty() {
            true => feed.clone(),
            false => Arc::new(feed.with(of.iter().flat_map(|s| s.joined(&all)).collect())),
        });
        Self { schemas: schemas.collect(), dimensions: dimensions(&sources, &all), sources }
    }

    /// What fills the joined columns of a feed's rows.
    ///
    /// A `by` that does not compile joins nothing: the rule that wrote it is refused for it.
    pub fn bound(&self, feed: usize, compilers: &mut Compilers, zone: &Zone) -> Bound {
        let schema = &self.schemas[feed];
        let rows = rows_of(schema);
        let mut out = Bound::default();
        let mut position = schema.own;
        for source in &self.sources[feed] {
            let compiler = compilers.of(&source.lists);
            let by = compiler.scalar(&source.by, &rows, &[]).ok();
            let by = by.and_then(|by| Compiled::bind(&compiler, &by, &rows, &[]).ok());
            let (time, zone) = (source.time, zone.clone());
            match &source.of {
                Of::List(list) => {
                    let (list, columns) = (list.clone(), source.columns.clone());
                    out.joins.push(Arc::new(ListLookup { list, by, time, zone, columns }));
                    position += source.columns.len();
                }
                Of::Feed(table) => {
                    let found = self.dimensions.iter().find(|d| d.feed == *table);
                    let Some(dimension) = found.cloned() else { continue };
                    let places = source.columns.iter().filter_map(|c| dimension.position(*c));
                    let columns = places.collect();
                    let time = time.unwrap_or(schema.event_time);
                    out.looks.push(Look { dimension: dimension.clone(), key: position, time });
                    out.joins.push(Arc::new(FeedLookup { dimension, by, time, zone, columns }));
                    position += 1 + source.columns.len();
                }
            }
        }
        out
    }
}

impl Source {
    /// Its columns in the feed.
    fn joined(&self, feeds: &[&FeedSchema]) -> Vec<Column> {
        let name = |name: &str| format!("{name}{}", self.suffix);
        match &self.of {
            Of::List(list) => {
                let of = |column: &usize| {
                    let (column, kind) = &list.table().columns[*column];
                    Column::new(&name(column), *kind)
                };
                self.columns.iter().map(of).collect()
            }
            Of::Feed(feed) => {
                let of = |column: &usize| {
                    let of = &feeds[*feed].columns[*column];
                    let (personal, min) = (of.personal, of.min);
                    Column { personal, min, ..Column::new(&name(&of.name), of.kind) }
                };
                // First what was looked up, so that rows can be looked up again.
                let key = Column::new(&name(""), ColumnType::Text);
                std::iter::once(key).chain(self.columns.iter().map(of)).collect()
            }
        }
    }
}

/// The feeds that are tables, with the columns that are read of each.
fn dimensions(sources: &[Vec<Source>], feeds: &[&FeedSchema]) -> Vec<Arc<Dimension>> {
    let mut out = Vec::new();
    for (feed, schema) in feeds.iter().enumerate() {
        let of_feed = |s: &&Source| matches!(s.of, Of::Feed(of) if of == feed);
        let read = sources.iter().flatten().filter(of_feed).flat_map(|s| &s.columns);
        let mut columns: Vec<usize> = read.copied().collect();
        columns.sort_unstable();
        columns.dedup();
        let Some(key) = table::key_of(schema).filter(|_| !columns.is_empty()) else { continue };
        let columns = columns.into_iter().map(|c| (c, schema.columns[c].kind)).collect();
        out.push(Arc::new(Dimension::new(feed, key, columns)));
    }
    out
}

/// Adds what a rule reads of a table to what is joined to a feed's rows.
fn note(
    sources: &mut Vec<Source>,
    rule: &RuleFile,
    join: &JoinFile,
    feeds: &[&FeedSchema],
    (feed, time): (usize, Option<&str>),
) {
    let Some(table) = Table::of(rule, join, feeds) else { return };
    let Some(suffix) = names::suffix(rule, join, &table, feeds[feed], time) else { return };
    let read = names::mentioned(rule, &join.alias.value);
    let mut columns: Vec<usize> = read.iter().filter_map(|name| table.position(name)).collect();
    columns.sort_unstable();
    if columns.is_empty() {
        return;
    }
    match sources.iter_mut().find(|s| s.suffix == suffix) {
        Some(known) => {
            known.columns.extend(&columns);
            known.columns.sort_unstable();
            known.columns.dedup();
        }
        None => sources.push(Source {
            suffix,
            lists: rule.lists.clone(),
            by: names::by(join, &table),
            time: table.is_dated().then(|| names::time_column(feeds[feed], time)),
            of: match table {
                Table::List(list) => Of::List(list.clone()),
                Table::Feed(feed, _) => Of::Feed(feed),
            },
            columns,
        }),
    }
}
