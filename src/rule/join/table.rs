//! What a rule may join: a list, or a feed whose records are about a key.

use std::sync::Arc;

use super::JoinFile;
use crate::{
    model::schema::{ColumnType, FeedSchema},
    rule::{file::RuleFile, lists::List},
};

/// A table that a rule joins.
#[derive(Debug, Clone, Copy)]
pub enum Table<'a> {
    /// A list of the rule's directory.
    List(&'a Arc<List>),
    /// A feed, with its position.
    Feed(usize, &'a FeedSchema),
}

impl<'a> Table<'a> {
    /// The table that a rule names: a list, else a feed; `None` where there is neither, or none that can be joined.
    #[must_use]
    pub fn of(rule: &'a RuleFile, join: &JoinFile, feeds: &[&'a FeedSchema]) -> Option<Self> {
        let name = &join.table.value;
        if let Some(list) = rule.lists.get(name) {
            return Some(Self::List(list));
        }
        let feed = feeds.iter().position(|f| f.feed == *name)?;
        key_of(feeds[feed]).map(|_| Self::Feed(feed, feeds[feed]))
    }

    /// The column that says what a row is about.
    #[must_use]
    pub fn key(&self) -> &'a str {
        match self {
            Self::List(list) => &list.table().key,
            Self::Feed(_, feed) => key_of(feed).map_or("", |key| feed.columns[key].name.as_str()),
        }
    }

    /// Names and types of the columns that can be joined.
    #[must_use]
    pub fn columns(&self) -> Vec<(&'a str, ColumnType)> {
        match self {
            Self::List(list) => {
                list.table().columns.iter().map(|(n, k)| (n.as_str(), *k)).collect()
            }
            Self::Feed(_, feed) => {
                let own = feed.columns.iter().take(feed.own);
                let single = own.filter(|c| c.kind != ColumnType::Texts);
                single.map(|c| (c.name.as_str(), c.kind)).collect()
            }
        }
    }

    /// Position of a column in the table.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        match self {
            Self::List(list) => list.table().position(name),
            Self::Feed(_, feed) => {
                let mut own = feed.columns.iter().take(feed.own);
                own.position(|c| c.name == name && c.kind != ColumnType::Texts)
            }
        }
    }

    /// Whether what it says depends on a day or an instant.
    #[must_use]
    pub fn is_dated(&self) -> bool {
        match self {
            Self::List(list) => list.is_dated(),
            Self::Feed(..) => true,
        }
    }
}

/// What the records of a feed are about: the first column of their id.
#[must_use]
pub fn key_of(feed: &FeedSchema) -> Option<usize> {
    let text = |c: &usize| {
        let kind = feed.columns[*c].kind;
        matches!(kind, ColumnType::Text | ColumnType::Ucc | ColumnType::Region | ColumnType::Int)
    };
    feed.record_id.first().copied().filter(text)
}
