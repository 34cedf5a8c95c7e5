//! What the texts of a sequence's steps mean: each over the rows of its feed, links over the values of all steps so far.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::{common::DFSchema, logical_expr::Expr};

use super::seen::{AT, COUNT, DUE};
use crate::{
    model::schema::FeedSchema,
    rule::{file::RuleFile, join, sequence::file::StepFile},
};

/// A step with its expressions compiled. What could not be compiled is `None`, and a finding says why.
#[derive(Debug)]
pub struct ResolvedStep {
    /// Position of its feed; `None` where there is no such feed.
    pub feed: Option<usize>,
    /// `where`, over the rows of its feed.
    pub filter: Option<Expr>,
    /// The key's expressions over the rows of its feed.
    pub key: Vec<Option<Expr>>,
    /// `distinct`, over the rows of its feed.
    pub distinct: Option<Expr>,
    /// `match`, over `step.column` of this step and those before.
    pub link: Option<Expr>,
}

/// The values that a step offers, named `step.column`: its own (`at`, `count`, `due`), then the columns of its feed.
pub(in crate::rule) fn fields_of<'a>(
    rule: &RuleFile,
    feeds: &[&FeedSchema],
    step: &'a StepFile,
    feed: &'a FeedSchema,
) -> impl Iterator<Item = Field> + use<'a> {
    let joined = join::aliases(rule, feeds, feed, join::time_of(rule, step));
    let name = &step.name.value;
    let instant = || DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let own = match step.absent_for {
        Some(_) => vec![(DUE, instant())],
        None => vec![(AT, instant()), (COUNT, DataType::Int64)],
    };
    let own = own.into_iter().map(move |(what, kind)| (what.to_owned(), kind));
    let columns = feed.arrow().fields().iter().filter_map(move |f| {
        let name = match join::is_joined(f.name()) {
            true => join::own_name(&joined, f.name())?,
            false => f.name().clone(),
        };
        Some((name, f.data_type().clone()))
    });
    own.chain(columns).map(move |(what, kind)| Field::new(format!("{name}.{what}"), kind, true))
}

/// The values of a match: those of every step that has records.
pub(in crate::rule) fn values_of(
    rule: &RuleFile,
    feeds: &[&FeedSchema],
    steps: &[(&StepFile, &FeedSchema)],
) -> DFSchema {
    let mut fields: HashMap<String, ()> = HashMap::new();
    let mut out = Vec::new();
    for (step, feed) in steps {
        // There is no record of a step that stayed away.
        let kept =
            |f: &Field| step.absent_for.is_none() || f.name().rsplit('.').next() == Some(DUE);
        let new = fields_of(rule, feeds, step, feed).filter(kept);
        out.extend(new.filter(|f| fields.insert(f.name().clone(), ()).is_none()));
    }
    crate::rule::scope::schema_of(out)
}
