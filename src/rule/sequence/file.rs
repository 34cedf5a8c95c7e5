//! The parts of a `sequence` rule that others have not, as its author wrote them.
//!
//! In: the fields `within`, `runs`, `steps` of a checked tree. Out: [`SequenceFile`], or findings at the very place.
//! Not here: what the steps' texts mean (`resolve`), whether the steps make sense together (`check`).

use std::ops::Range;

use super::term::Term;
use crate::model::{
    diagnostic::Diagnostic,
    yaml::{Node, Spanned, Sql},
};

/// What makes a `sequence` rule.
#[derive(Debug, Clone)]
pub struct SequenceFile {
    /// `within:`, how long after its first record a run may be moved on.
    pub within: Option<Spanned<i64>>,
    /// `runs: each`; `first` where left out.
    pub each: bool,
    /// `steps:` in their order.
    pub steps: Vec<StepFile>,
    /// Where `steps` stand.
    pub span: Range<usize>,
}

/// One entry of `steps:`.
#[derive(Debug, Clone)]
pub struct StepFile {
    /// `as:`
    pub name: Spanned<String>,
    /// `feed:`
    pub feed: Spanned<String>,
    /// `where:`
    pub filter: Option<Sql>,
    /// `time:`, another time column of the feed.
    pub time: Option<Spanned<String>>,
    /// `at_least:`, 1 where left out.
    pub at_least: Option<Spanned<u32>>,
    /// `distinct:`
    pub distinct: Option<Sql>,
    /// `match:`
    pub link: Option<Sql>,
    /// `absent_for:`
    pub absent_for: Option<Spanned<Term>>,
    /// `wait:`
    pub wait: Option<Spanned<Term>>,
    /// Where it stands.
    pub span: Range<usize>,
}

/// The parts of a rule whose tree is `root`; what is wrong with them goes to `findings`. `None` where a step could not be
/// read, which a finding says.
pub(in crate::rule) fn read(root: &Node, findings: &mut Vec<Diagnostic>) -> Option<SequenceFile> {
    let steps = root.get("steps")?;
    let within = root.get("within");
    let read: Vec<_> = steps.items().iter().map(|node| step(node, findings)).collect();
    Some(SequenceFile {
        within: within.and_then(|n| {
            Some(Spanned { value: n.span_ms().filter(|ms| *ms > 0)?, span: n.span() })
        }),
        each: root.get("runs").and_then(Node::text).is_some_and(|runs| runs.value == "each"),
        steps: read.into_iter().collect::<Option<Vec<_>>>()?,
        span: steps.span(),
    })
}

fn step(node: &Node, findings: &mut Vec<Diagnostic>) -> Option<StepFile> {
    let sql = |name: &str| node.get(name).and_then(Node::sql);
    let at_least = node.get("at_least");
    Some(StepFile {
        name: node.get("as").and_then(Node::text)?,
        feed: node.get("feed").and_then(Node::text)?,
        filter: sql("where"),
        time: node.get("time").and_then(Node::text),
        at_least: at_least
            .and_then(|n| Some(Spanned { value: u32::try_from(n.int()?).ok()?, span: n.span() })),
        distinct: sql("distinct"),
        link: sql("match"),
        absent_for: term(node, "absent_for", findings),
        wait: term(node, "wait", findings),
        span: node.span(),
    })
}

fn term(step: &Node, name: &str, findings: &mut Vec<Diagnostic>) -> Option<Spanned<Term>> {
    let text = step.get(name).and_then(Node::text)?;
    let term = Term::parse(&text.value);
    if term.is_none() {
        let message =
            format!("{name} is {:?}, not a term like 30d or 20wd (working days)", text.value);
        findings.push(Diagnostic::error("yaml::wrong_type", text.span.clone(), message));
    }
    Some(Spanned { value: term?, span: text.span })
}
