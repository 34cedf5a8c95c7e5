//! Growth: can a condition only become truer while a window fills?
//!
//! In: a compiled condition and the class of each of its columns. Out: [`monotone`], the proof that a rule may fire
//! early, before its window closes; and [`lower_bounds`], the counts below which it cannot be true at all.
//! The proof is by form and errs on the safe side: what it does not understand fires on close.

use datafusion::{
    logical_expr::{BinaryExpr, Expr, Operator},
    scalar::ScalarValue,
};

/// How a column changes while rows come into the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// It never falls: a count, a distinct count, a sum of values that are never negative.
    Growing,
    /// It does not change: a comparison with the past.
    Fixed,
    /// It may go anywhere.
    Other,
}

const TRUE: Expr = Expr::Literal(ScalarValue::Boolean(Some(true)), None);

/// How an expression changes; false counts below true, NULL below both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trend {
    Fixed,
    Up,
    Down,
    Other,
}

/// Whether a condition that is true for some rows stays true when rows are added.
#[must_use]
pub fn monotone(condition: &Expr, class: &dyn Fn(&str) -> Growth) -> bool {
    matches!(trend(condition, class), Trend::Up | Trend::Fixed)
}

/// How the value of an expression changes.
#[must_use]
pub fn monotone_value(value: &Expr, class: &dyn Fn(&str) -> Growth) -> Growth {
    match trend(value, class) {
        Trend::Up => Growth::Growing,
        Trend::Fixed => Growth::Fixed,
        Trend::Down | Trend::Other => Growth::Other,
    }
}

/// Conjuncts `column >= literal` (or `>`), as (column, literal).
#[must_use]
pub fn lower_bounds(condition: &Expr) -> Vec<(String, f64)> {
    let bound = |e: &Expr| -> Option<(String, f64)> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = e else { return None };
        let (column, bound) = match op {
            Operator::GtEq | Operator::Gt => (column_name(left)?, number(right)?),
            Operator::LtEq | Operator::Lt => (column_name(right)?, number(left)?),
            _ => return None,
        };
        Some((column, bound))
    };
    datafusion::logical_expr::utils::split_conjunction(condition)
        .into_iter()
        .filter_map(bound)
        .collect()
}

/// What `column >= whole number` (or `>`), joined by `and`, asks of each column at least; `None` where a condition asks
/// for anything else.
#[must_use]
pub fn whole_bounds(condition: &Expr) -> Option<Vec<(String, i64)>> {
    let whole = |e: &Expr| match e {
        Expr::Literal(ScalarValue::Int64(n), _) => *n,
        _ => None,
    };
    let bound = |e: &Expr| -> Option<(String, i64)> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = e else { return None };
        let (column, bound, beyond) = match op {
            Operator::GtEq | Operator::Gt => (left, whole(right)?, *op == Operator::Gt),
            Operator::LtEq | Operator::Lt => (right, whole(left)?, *op == Operator::Lt),
            _ => return None,
        };
        let Expr::Column(column) = &**column else { return None };
        Some((column.name.clone(), bound.checked_add(i64::from(beyond))?))
    };
    let parts = datafusion::logical_expr::utils::split_conjunction(condition);
    parts.into_iter().map(bound).collect()
}

fn trend(expr: &Expr, class: &dyn Fn(&str) -> Growth) -> Trend {
    let of = |e: &Expr| trend(e, class);
    match expr {
        Expr::Literal(..) => Trend::Fixed,
        Expr::Column(c) => match class(&c.name) {
            Growth::Growing => Trend::Up,
            Growth::Fixed => Trend::Fixed,
            Growth::Other => Trend::Other,
        },
        Expr::Alias(a) => of(&a.expr),
        Expr::Not(e) => flip(of(e)),
        Expr::Negative(e) => flip(of(e)),
        Expr::IsNotNull(e) if matches!(of(e), Trend::Up | Trend::Fixed) => of(e),
        Expr::Cast(c) if c.field.data_type().is_numeric() => of(&c.expr),
        Expr::Between(b)
            if !b.negated && of(&b.low) == Trend::Fixed && of(&b.high) == Trend::Fixed =>
        {
            if of(&b.expr) == Trend::Fixed { Trend::Fixed } else { Trend::Other }
        }
        Expr::BinaryExpr(b) => binary(b, class),
        Expr::ScalarFunction(f) => {
            let args: Vec<Trend> = f.args.iter().map(of).collect();
            match (f.name(), args.as_slice()) {
                (_, args) if args.iter().all(|t| *t == Trend::Fixed) => Trend::Fixed,
                ("greatest" | "least", args) => {
                    args.iter().copied().reduce(join).unwrap_or(Trend::Fixed)
                }
                ("poisson_upper_p", [n, mean]) => join(flip(*n), *mean),
                _ => Trend::Other,
            }
        }
        other => {
            // Fixed where all it reads is fixed; without columns it is a constant.
            let fixed = other.column_refs().into_iter().all(|c| class(&c.name) == Growth::Fixed);
            if fixed { Trend::Fixed } else { Trend::Other }
        }
    }
}

fn binary(b: &BinaryExpr, class: &dyn Fn(&str) -> Growth) -> Trend {
    let (left, right) = (trend(&b.left, class), trend(&b.right, class));
    if left == Trend::Fixed && right == Trend::Fixed {
        return Trend::Fixed;
    }
    match b.op {
        // How `case when … then true else false end` is simplified.
        Operator::IsNotDistinctFrom if *b.right == TRUE => left,
        Operator::And | Operator::Or | Operator::Plus => join(left, right),
        Operator::Minus => join(left, flip(right)),
        Operator::Gt | Operator::GtEq => join(left, flip(right)),
        Operator::Lt | Operator::LtEq => join(flip(left), right),
        // A count times a constant; the constant's sign decides.
        Operator::Multiply => match (number(&b.left), number(&b.right)) {
            (Some(n), None) => scale(right, n),
            (None, Some(n)) => scale(left, n),
            _ => Trend::Other,
        },
        Operator::Divide => {
            number(&b.right).filter(|n| *n != 0.0).map_or(Trend::Other, |n| scale(left, n))
        }
        _ => Trend::Other,
    }
}

fn scale(trend: Trend, by: f64) -> Trend {
    if by >= 0.0 { trend } else { flip(trend) }
}

fn flip(trend: Trend) -> Trend {
    match trend {
        Trend::Up => Trend::Down,
        Trend::Down => Trend::Up,
        same => same,
    }
}

fn join(a: Trend, b: Trend) -> Trend {
    match (a, b) {
        (Trend::Fixed, x) | (x, Trend::Fixed) => x,
        (x, y) if x == y => x,
        _ => Trend::Other,
    }
}

/// The column that a comparison is about, through numeric casts.
pub(super) fn column_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Column(c) => Some(c.name.clone()),
        Expr::Cast(c) if c.field.data_type().is_numeric() => column_name(&c.expr),
        _ => None,
    }
}

/// The number a literal stands for.
pub(super) fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Literal(value, _) if value.data_type().is_numeric() && !value.is_null() => {
            match value.cast_to(&arrow::datatypes::DataType::Float64).ok()? {
                ScalarValue::Float64(x) => x,
                _ => None,
            }
        }
        Expr::Cast(c) if c.field.data_type().is_numeric() => number(&c.expr),
        Expr::Negative(e) => number(e).map(|n| -n),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::DFSchema;

    use super::*;
    use crate::{model::yaml::Sql, rule::expr::Compiler};

    fn compiled(text: &str) -> Expr {
        let names = ["n", "people", "total", "mean", "usual.n", "peers.n"];
        let kind = |name: &str| {
            if name == "mean" || name == "usual.n" { DataType::Float64 } else { DataType::Int64 }
        };
        let fields: Vec<Field> = names.iter().map(|n| Field::new(*n, kind(n), true)).collect();
        let schema = DFSchema::try_from(Schema::new(fields)).expect("ok");
        Compiler::default().boolean(&Sql::bare(text), &schema, &[]).expect(text)
    }

    #[test]
    fn what_can_only_become_truer() {
        let class = |name: &str| match name {
            "n" | "people" | "total" => Growth::Growing,
            "usual.n" => Growth::Fixed,
            _ => Growth::Other,
        };
        for (text, expect) in [
            ("n >= 10", true),
            ("10 < n", true),
            ("people >= 10 and n >= 3 * greatest(usual.n, 1)", true),
            ("people >= 10 or n - usual.n > 2", true),
            ("n + total / 2 >= 100", true),
            ("not (n < 10)", true),
            ("usual.n > 3 and n > 0", true),
            ("poisson_upper_p(n, greatest(usual.n, 0.1)) < 0.0001", true),
            ("n in (3, 4)", false),
            ("n = 10", false),
            ("n <= 10", false),
            ("n between 3 and 10", false),
            ("n * total > 4", false),
            ("mean > 3", false),
            ("n > 3 and mean > 3", false),
            ("n > 2 * peers.n", false),
            ("n - people > 3", false),
            ("n * -1 > 3", false),
            ("n >= 3 and not (people >= 3)", false),
            ("n % 7 > 3", false),
            ("case when n > 3 then true else false end", true),
            ("coalesce(total, 5) >= 3", false),
            ("total is not null", true),
        ] {
            assert_eq!(monotone(&compiled(text), &class), expect, "{text}: {}", compiled(text));
        }
    }

    #[test]
    fn bounds_below_which_nothing_fires() {
        for (text, expect) in [
            (
                "n >= 10 and people > 2 and mean >= 1",
                vec![("n", 10.0), ("people", 2.0), ("mean", 1.0)],
            ),
            ("n >= 2.5 and 7 <= people", vec![("n", 2.5), ("people", 7.0)]),
            ("n >= 10 or people >= 10", vec![]),
            ("n >= 3 * usual.n", vec![]),
        ] {
            let got = lower_bounds(&compiled(text));
            let got: Vec<_> = got.iter().map(|(c, b)| (c.as_str(), *b)).collect();
            assert_eq!(got, expect, "{text}");
        }
    }
}
