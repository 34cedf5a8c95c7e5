//! `join:` as its author wrote it.

use crate::model::{
    shape::{Field, Shape},
    yaml::{Node, Spanned, Sql},
};

/// One entry of `join:`.
#[derive(Debug, Clone)]
pub struct JoinFile {
    /// What the rule calls the table: `biz` in `biz.parent_ucc`.
    pub alias: Spanned<String>,
    /// The table: the name of a list, or of a feed.
    pub table: Spanned<String>,
    /// `by:`, what is looked up; the feed's column of the name of the table's first one where left out.
    pub by: Option<Sql>,
}

/// The shape of `join:`.
pub const fn shape() -> Field {
    Field::optional(
        "join",
        Shape::Entries(&JOIN),
        "Name → reference table, whose columns are used as name.column: {biz: registry}.",
    )
}

const JOIN: Shape = Shape::OneOf(&[
    Shape::Name,
    Shape::Map(&[
        Field::required("table", Shape::Name, "The table: the name of a list, or of a feed."),
        Field::optional(
            "by",
            Shape::Sql,
            "What is looked up in its first column; the feed's column of the same name where left out.",
        ),
    ]),
]);

/// The joins of a checked tree.
#[must_use]
pub fn read(node: Option<&Node>) -> Vec<JoinFile> {
    let one = |(alias, node): &(Spanned<String>, Node)| {
        let table = node.text().or_else(|| node.get("table").and_then(Node::text))?;
        Some(JoinFile { alias: alias.clone(), table, by: node.get("by").and_then(Node::sql) })
    };
    node.map_or(&[][..], Node::entries).iter().filter_map(one).collect()
}
