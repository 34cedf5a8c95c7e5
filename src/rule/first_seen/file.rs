//! The parts of a `first_seen` rule that others have not, as its author wrote them.
//!
//! In: the fields `history`, `learn_for`, `at_least`, `distinct`, `within` of a checked tree. Out: [`FirstSeenFile`].

use crate::model::yaml::{Node, Spanned, Sql};

/// What makes a `first_seen` rule.
#[derive(Debug, Clone)]
pub struct FirstSeenFile {
    /// `history:`, how long nothing of a key must have been for it to be new; milliseconds.
    pub history: Spanned<i64>,
    /// `learn_for:`, how long after the feed's history began everything is taken for known; as long as `history` where left out.
    pub learn_for: Option<Spanned<i64>>,
    /// `at_least:`, how many records it takes; 1 where left out.
    pub at_least: Option<Spanned<u32>>,
    /// `distinct:`, of records with equal values of this only the first counts.
    pub distinct: Option<Sql>,
    /// `within:`, how long after the first the last needed may come; as long as `history` where left out.
    pub within: Option<Spanned<i64>>,
}

impl FirstSeenFile {
    /// How many records it takes.
    #[must_use]
    pub fn needed(&self) -> u32 {
        self.at_least.as_ref().map_or(1, |n| n.value)
    }

    /// How long everything is taken for known, milliseconds.
    #[must_use]
    pub fn learn_ms(&self) -> i64 {
        self.learn_for.as_ref().map_or(self.history.value, |l| l.value)
    }
}

/// The parts of a rule whose tree is `root`. `None` where `history` could not be read, which a finding says.
pub(in crate::rule) fn read(root: &Node) -> Option<FirstSeenFile> {
    let span = |name: &str| {
        let node = root.get(name)?;
        Some(Spanned { value: node.span_ms()?, span: node.span() })
    };
    let at_least = root.get("at_least").and_then(|n| {
        Some(Spanned { value: u32::try_from(n.int()?).ok().filter(|n| *n > 0)?, span: n.span() })
    });
    Some(FirstSeenFile {
        history: span("history")?,
        learn_for: span("learn_for"),
        at_least,
        distinct: root.get("distinct").and_then(Node::sql),
        within: span("within"),
    })
}
