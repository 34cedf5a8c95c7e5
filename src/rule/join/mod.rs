//! Join: columns of a reference table beside those of a record, `biz.parent_ucc`.
//!
//! In: `join:` of rules, and the lists beside them. Out: the feeds' schemas with the joined columns behind their own, and
//! what fills these columns where rows are prepared. The columns are shared: two rules that look up the same table by the
//! same expression and time read the same ones, whatever name each gives the table; only what some rule reads is joined.
//! Elsewhere in the program a joined column is a column like any other, under a name that no author can write.

mod file;
mod lookup;
mod names;
mod resolve;

use std::sync::Arc;

pub use file::{JoinFile, read, shape};
pub(super) use resolve::resolve;

pub use names::{
    Alias, JOINED, aliases, is_joined, is_unused, own_name, parsed, position, rename, renamed,
    time_of, written,
};

use self::lookup::Lookup;
use super::{
    compiled::Compiled,
    expr::Compilers,
    file::RuleFile,
    lists::{List, Lists},
    scope::rows_of,
};
use crate::model::{
    join::Joining,
    schema::{Column, FeedSchema},
    time::Zone,
    yaml::Sql,
};

/// One look-up in a table from the rows of a feed.
#[derive(Debug)]
struct Source {
    /// What tells it from others: the end of its columns' names.
    suffix: String,
    list: Arc<List>,
    /// The lists that `by` may ask.
    lists: Arc<Lists>,
    by: Sql,
    /// The column that says as of when; none where the table has no dates.
    time: Option<usize>,
    /// Columns of the table.
    columns: Vec<usize>,
}

/// The feeds with the columns that rules join.
#[derive(Debug)]
pub struct Joins {
    /// The feeds' schemas, joined columns last.
    pub schemas: Vec<Arc<FeedSchema>>,
    /// By feed, in the order of its joined columns.
    sources: Vec<Vec<Source>>,
}

impl Joins {
    /// What these rules join to the rows of these feeds.
    pub fn of<'a>(
        rules: impl IntoIterator<Item = &'a RuleFile>,
        feeds: &[Arc<FeedSchema>],
    ) -> Self {
        let mut sources: Vec<Vec<Source>> = feeds.iter().map(|_| Vec::new()).collect();
        for rule in rules.into_iter().filter(|r| !r.joins.is_empty()) {
            for (feed, time) in names::feeds(rule) {
                let Some(at) = feeds.iter().position(|f| f.feed == feed) else { continue };
                for join in &rule.joins {
                    note(&mut sources[at], rule, join, &feeds[at], time);
                }
            }
        }
        let schemas = feeds.iter().zip(&sources).map(|(feed, of)| match of.is_empty() {
            true => feed.clone(),
            false => Arc::new(feed.with(of.iter().flat_map(Source::joined).collect())),
        });
        Self { schemas: schemas.collect(), sources }
    }

    /// What fills the joined columns of a feed's rows, in their order.
    ///
    /// A `by` that does not compile joins nothing: the rule that wrote it is refused for it.
    pub fn bound(&self, feed: usize, compilers: &mut Compilers, zone: &Zone) -> Vec<Joining> {
        let schema = &self.schemas[feed];
        let rows = rows_of(schema);
        let bind = |source: &Source| -> Joining {
            let compiler = compilers.of(&source.lists);
            let by = compiler.scalar(&source.by, &rows, &[]).ok();
            let by = by.and_then(|by| Compiled::bind(&compiler, &by, &rows, &[]).ok());
            Arc::new(Lookup {
                list: source.list.clone(),
                by,
                time: source.time,
                zone: zone.clone(),
                columns: source.columns.clone(),
            })
        };
        self.sources[feed].iter().map(bind).collect()
    }
}

impl Source {
    /// Its columns in the feed.
    fn joined(&self) -> impl Iterator<Item = Column> {
        let of = |column: &usize| {
            let (name, kind) = &self.list.table().columns[*column];
            Column::new(&format!("{name}{}", self.suffix), *kind)
        };
        self.columns.iter().map(of)
    }
}

/// Adds what a rule reads of a table to what is joined to a feed's rows.
fn note(
    sources: &mut Vec<Source>,
    rule: &RuleFile,
    join: &JoinFile,
    feed: &FeedSchema,
    time: Option<&str>,
) {
    let Some(list) = rule.lists.get(&join.table.value) else { return };
    let Some(suffix) = names::suffix(rule, join, feed, time) else { return };
    let read = names::mentioned(rule, &join.alias.value);
    let mut columns: Vec<usize> =
        read.iter().filter_map(|name| list.table().position(name)).collect();
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
            list: list.clone(),
            lists: rule.lists.clone(),
            by: names::by(join, list),
            time: list.is_dated().then(|| names::time_column(feed, time)),
            columns,
        }),
    }
}
