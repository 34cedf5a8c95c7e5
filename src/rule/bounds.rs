//! Bounds: what a condition says of single columns, enough to see that it is never true or follows from another.
//!
//! In: a compiled condition. Out: [`Bounds`], an interval of numbers or a set of texts per column, from the conditions
//! that `and` joins. What it cannot read it leaves out and says so ([`Bounds::whole`]); so an empty set is proof, and
//! "follows from" is only claimed of conditions read completely.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::{
    logical_expr::{BinaryExpr, Expr, Operator, utils::split_conjunction},
    scalar::ScalarValue,
};

use super::growth::{column_name, number};

/// What a condition says of each column.
#[derive(Debug, Clone, Default)]
pub(in crate::rule) struct Bounds {
    numbers: BTreeMap<String, Interval>,
    texts: BTreeMap<String, BTreeSet<String>>,
    /// Nothing was left out.
    pub(in crate::rule) whole: bool,
}

/// Numbers between two ends, each of which may belong to it or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::rule) struct Interval {
    pub(in crate::rule) from: f64,
    pub(in crate::rule) from_open: bool,
    pub(in crate::rule) to: f64,
    pub(in crate::rule) to_open: bool,
}

impl Interval {
    const ALL: Self =
        Self { from: f64::NEG_INFINITY, from_open: false, to: f64::INFINITY, to_open: false };

    /// From `n` on.
    pub(in crate::rule) fn at_least(n: f64) -> Self {
        Self { from: n, ..Self::ALL }
    }

    fn and(self, other: Self) -> Self {
        let (from, from_open) = match self.from.total_cmp(&other.from) {
            std::cmp::Ordering::Equal => (self.from, self.from_open || other.from_open),
            std::cmp::Ordering::Greater => (self.from, self.from_open),
            std::cmp::Ordering::Less => (other.from, other.from_open),
        };
        let (to, to_open) = match self.to.total_cmp(&other.to) {
            std::cmp::Ordering::Equal => (self.to, self.to_open || other.to_open),
            std::cmp::Ordering::Less => (self.to, self.to_open),
            std::cmp::Ordering::Greater => (other.to, other.to_open),
        };
        Self { from, from_open, to, to_open }
    }

    fn is_empty(self) -> bool {
        self.from > self.to || (self.from == self.to && (self.from_open || self.to_open))
    }

    fn is_within(self, other: Self) -> bool {
        self.and(other) == self
    }
}

impl Bounds {
    /// What `condition` says.
    pub(in crate::rule) fn of(condition: &Expr) -> Self {
        let mut out = Self { whole: true, ..Self::default() };
        for part in split_conjunction(condition) {
            if !out.take(part) {
                out.whole = false;
            }
        }
        out
    }

    /// Says nothing, completely.
    pub(in crate::rule) fn everything() -> Self {
        Self { whole: true, ..Self::default() }
    }

    /// What both say.
    pub(in crate::rule) fn and(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.whole &= other.whole;
        for (column, interval) in &other.numbers {
            out.narrow(column, *interval);
        }
        for (column, texts) in &other.texts {
            out.narrow_texts(column, texts.clone());
        }
        out
    }

    /// The same, knowing that `column` lies in `interval`.
    pub(in crate::rule) fn narrow(&mut self, column: &str, interval: Interval) {
        let old = self.numbers.get(column).copied().unwrap_or(Interval::ALL);
        self.numbers.insert(column.to_owned(), old.and(interval));
    }

    /// Whether nothing satisfies it.
    pub(in crate::rule) fn is_impossible(&self) -> bool {
        self.numbers.values().any(|i| i.is_empty()) || self.texts.values().any(BTreeSet::is_empty)
    }

    /// Whether everything that satisfies `self` satisfies `other`.
    pub(in crate::rule) fn implies(&self, other: &Self) -> bool {
        other.whole
            && other
                .numbers
                .iter()
                .all(|(c, i)| self.numbers.get(c).is_some_and(|own| own.is_within(*i)))
            && other
                .texts
                .iter()
                .all(|(c, t)| self.texts.get(c).is_some_and(|own| own.is_subset(t)))
    }

    /// Whether both are about the same columns, so that their overlap can be judged.
    pub(in crate::rule) fn covers(&self, other: &Self) -> bool {
        other.numbers.keys().all(|c| self.numbers.contains_key(c))
            && other.texts.keys().all(|c| self.texts.contains_key(c))
    }

    /// The numbers a column may have.
    pub(in crate::rule) fn numbers(&self) -> impl Iterator<Item = (&str, Interval)> {
        self.numbers.iter().map(|(c, i)| (c.as_str(), *i))
    }

    /// Whether it says nothing about texts.
    pub(in crate::rule) fn only_numbers(&self) -> bool {
        self.texts.is_empty()
    }

    fn narrow_texts(&mut self, column: &str, texts: BTreeSet<String>) {
        let texts = match self.texts.get(column) {
            Some(old) => old.intersection(&texts).cloned().collect(),
            None => texts,
        };
        self.texts.insert(column.to_owned(), texts);
    }

    fn take(&mut self, part: &Expr) -> bool {
        match part {
            Expr::BinaryExpr(b) => self.take_comparison(b),
            Expr::InList(list) if !list.negated => {
                let texts: Option<BTreeSet<String>> = list.list.iter().map(text).collect();
                let (Some(column), Some(texts)) = (column_name(&list.expr), texts) else {
                    return false;
                };
                self.narrow_texts(&column, texts);
                true
            }
            // `a in (x, y)` of few values is simplified to this.
            _ => false,
        }
    }

    fn take_comparison(&mut self, b: &BinaryExpr) -> bool {
        if b.op == Operator::Or {
            // `a = 'x' or a = 'y'`, which short lists become.
            let (left, right) = (Self::of(&b.left), Self::of(&b.right));
            let mut both = left.texts.into_iter().chain(right.texts);
            let (Some((a, mut texts)), Some((c, more)), None) =
                (both.next(), both.next(), both.next())
            else {
                return false;
            };
            let plain =
                left.numbers.is_empty() && right.numbers.is_empty() && left.whole && right.whole;
            if a != c || !plain {
                return false;
            }
            texts.extend(more);
            self.narrow_texts(&a, texts);
            return true;
        }
        if b.op == Operator::Eq
            && let (Some(column), Some(value)) = (column_name(&b.left), text(&b.right))
        {
            self.narrow_texts(&column, BTreeSet::from([value]));
            return true;
        }
        let (column, op, n) = match (column_name(&b.left), number(&b.right)) {
            (Some(column), Some(n)) => (column, b.op, n),
            _ => match (column_name(&b.right), number(&b.left), b.op.swap()) {
                (Some(column), Some(n), Some(op)) => (column, op, n),
                _ => return false,
            },
        };
        let interval = match op {
            Operator::Gt => Interval { from: n, from_open: true, ..Interval::ALL },
            Operator::GtEq => Interval::at_least(n),
            Operator::Lt => Interval { to: n, to_open: true, ..Interval::ALL },
            Operator::LtEq => Interval { to: n, ..Interval::ALL },
            Operator::Eq => Interval { from: n, to: n, ..Interval::ALL },
            _ => return false,
        };
        self.narrow(&column, interval);
        true
    }
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => {
            Some(text.clone())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;
    use crate::{
        model::yaml::Sql,
        rule::{expr::Compiler, scope::schema_of},
    };

    fn bounds(text: &str) -> Bounds {
        let kinds = [("n", DataType::Int64), ("x", DataType::Float64), ("kind", DataType::Utf8)];
        let schema = schema_of(kinds.into_iter().map(|(n, k)| Field::new(n, k, true)).collect());
        Bounds::of(&Compiler::default().boolean(&Sql::bare(text), &schema, &[]).expect(text))
    }

    #[test]
    fn impossible() {
        for (text, expect) in [
            ("n >= 10 and n < 5", true),
            ("n > 5 and n <= 5", true),
            ("n >= 5 and n <= 5", false),
            ("n >= 10 and x < 5", false),
            ("n >= 10 and (n < 5 or x > 3)", false),
            ("kind = 'a' and n > 3 and kind in ('b', 'c', 'd', 'e', 'f')", true),
            ("kind in ('a', 'b') and kind in ('b', 'c')", false),
            ("n = 3 and 4 <= n", true),
        ] {
            assert_eq!(bounds(text).is_impossible(), expect, "{text}: {:?}", bounds(text));
        }
    }

    #[test]
    fn implication() {
        for (a, b, expect) in [
            ("n >= 50", "n >= 20", true),
            ("n >= 20", "n > 20", false),
            ("n > 20 and x > 1", "n >= 20", true),
            ("n > 20", "n >= 20 and x > 1", false),
            ("n > 20", "n > 10 or x > 1", false),
            ("n = 3", "n <= 3", true),
            ("kind = 'a'", "kind in ('a', 'b')", true),
        ] {
            assert_eq!(bounds(a).implies(&bounds(b)), expect, "{a} ⇒ {b}");
        }
    }
}
