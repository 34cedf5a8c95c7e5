//! Shared: the parts of a feed's plan that rules have in common, each once.
//!
//! In: expressions of rules. Out: their positions in the feed's lists of atoms, filters, keyings and arguments; two that are
//! equal after coercion and simplification have one position.

use std::collections::HashMap;

use datafusion::logical_expr::Expr;

use super::{Builder, Findings, position_or_push};
use crate::{
    model::{expression::Expression, yaml::Sql},
    pane::plan::{Argument, Form, Keying, Space},
    rule::{
        expr::Compiler,
        file::{MissingKey, RuleFile},
    },
};

/// The lists of a feed, with the positions of what they hold.
#[derive(Default)]
pub(super) struct FeedBuilder {
    atoms: HashMap<Expr, usize>,
    pub(super) atom_list: Vec<Expression>,
    filters: HashMap<Vec<usize>, usize>,
    pub(super) filter_list: Vec<Vec<usize>>,
    keyings: HashMap<(usize, Vec<Expr>, bool), usize>,
    pub(super) keying_list: Vec<Keying>,
    args: HashMap<(Expr, Form), usize>,
    pub(super) arg_list: Vec<Argument>,
}

impl Builder<'_> {
    /// The conditions that `and` joins in a filter over a feed's rows; none where the rule has no filter.
    pub(super) fn atoms(
        &mut self,
        feed: usize,
        sql: Option<&Sql>,
        filter: Option<&Expr>,
    ) -> Result<Vec<usize>, Findings> {
        let Some((sql, filter)) = sql.zip(filter) else { return Ok(Vec::new()) };
        Compiler::conjuncts(filter).iter().map(|a| self.atom(feed, a, sql)).collect()
    }

    pub(super) fn atom(&mut self, feed: usize, expr: &Expr, sql: &Sql) -> Result<usize, Findings> {
        if let Some(i) = self.feeds[feed].atoms.get(expr) {
            return Ok(*i);
        }
        let bound = self.bind(expr, &self.rows[feed], sql)?;
        let f = &mut self.feeds[feed];
        f.atom_list.push(bound);
        f.atoms.insert(expr.clone(), f.atom_list.len() - 1);
        Ok(f.atom_list.len() - 1)
    }

    /// Rows of which all these atoms hold.
    pub(super) fn filter(&mut self, feed: usize, mut atoms: Vec<usize>) -> usize {
        atoms.sort_unstable();
        atoms.dedup();
        let f = &mut self.feeds[feed];
        let next = f.filter_list.len();
        let list = &mut f.filter_list;
        *f.filters.entry(atoms.clone()).or_insert_with(|| {
            list.push(atoms);
            next
        })
    }

    /// The keying of a rule's key, or of the columns of it at these positions, over one of its feeds, and its space.
    /// `key`: the key's expressions over the rows of that feed.
    pub(super) fn keying(
        &mut self,
        file: &RuleFile,
        feed: usize,
        key: &[Option<Expr>],
        positions: &[usize],
    ) -> Result<(usize, usize), Findings> {
        let mut exprs = Vec::new();
        let mut columns = Vec::new();
        let mut names = Vec::new();
        for i in positions {
            let Some(expr) = &key[*i] else { continue };
            columns.push(self.bind(expr, &self.rows[feed], &file.key[*i].sql)?);
            names.push(file.key[*i].name.clone());
            exprs.push(expr.clone());
        }
        let space = position_or_push(&mut self.spaces, Space { names });
        let keep_null = file.missing_key == MissingKey::GroupNull;
        let f = &mut self.feeds[feed];
        let next = f.keying_list.len();
        let list = &mut f.keying_list;
        let keying = *f.keyings.entry((space, exprs, keep_null)).or_insert_with(|| {
            list.push(Keying { space, columns, keep_null });
            next
        });
        Ok((keying, space))
    }

    /// What an aggregate takes of each row.
    pub(super) fn argument(
        &mut self,
        feed: usize,
        arg: &Expr,
        form: Form,
        sql: &Sql,
    ) -> Result<usize, Findings> {
        if let Some(i) = self.feeds[feed].args.get(&(arg.clone(), form)) {
            return Ok(*i);
        }
        let value = self.bind(arg, &self.rows[feed], sql)?;
        let f = &mut self.feeds[feed];
        f.arg_list.push(Argument { value, form });
        f.args.insert((arg.clone(), form), f.arg_list.len() - 1);
        Ok(f.arg_list.len() - 1)
    }
}
