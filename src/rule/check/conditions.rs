//! Conditions: always or never true, never reached, or true for the wrong reason.

use datafusion::{
    common::{
        DFSchema,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    logical_expr::{Expr, ExprSchemable, Operator},
    scalar::ScalarValue,
};
use std::ops::Range;

use super::Judge;
use crate::{
    model::{diagnostic::did_you_mean, schema::FeedSchema, signal::Severity, yaml::Sql},
    rule::{
        bounds::{Bounds, Interval},
        expr::{self, Growth},
        file::{Kind, RuleFile},
        house,
        scope::{Measure, Resolved},
        sequence::{file::StepFile, resolve::ResolvedStep},
    },
};

impl Judge<'_> {
    pub(super) fn constant_conditions(&mut self, resolved: &Resolved) {
        let pairs = [
            (&self.rule.filter, &resolved.filter, "where"),
            (&self.rule.when, &resolved.when, "when"),
        ];
        for (sql, expr, what) in pairs {
            if let (Some(sql), Some(expr)) = (sql, expr) {
                self.constant(sql, expr, what, resolved);
            }
        }
        for (file, measure) in self.rule.measures.iter().zip(&resolved.measures) {
            if let (Some(sql), Some(expr)) = (&file.filter, &measure.filter) {
                self.constant(sql, expr, "where", resolved);
            }
        }
        for (file, step) in steps(self.rule, resolved) {
            let pairs = [(&file.filter, &step.filter, "where"), (&file.link, &step.link, "match")];
            for (sql, expr, what) in pairs {
                if let (Some(sql), Some(expr)) = (sql, expr) {
                    self.constant(sql, expr, what, resolved);
                }
            }
        }
    }

    fn constant(&mut self, sql: &Sql, expr: &Expr, what: &str, resolved: &Resolved) {
        let bounds = with_counts(Bounds::of(expr), &resolved.measures);
        match expr {
            Expr::Literal(ScalarValue::Boolean(Some(true)), _) => {
                self.error(
                    "rule::always_true",
                    sql.span.clone(),
                    format!("{what} is always true"),
                    "",
                );
            }
            Expr::Literal(..) => {
                self.error(
                    "rule::impossible",
                    sql.span.clone(),
                    format!("{what} is never true"),
                    "",
                );
            }
            _ if bounds.is_impossible() => {
                let message = format!("{what} is never true: its conditions exclude each other");
                self.error("rule::impossible", sql.span.clone(), message, "");
            }
            _ if what == "when"
                && self.rule.kind.value != Kind::Instant
                && follows_from_counts(expr, &resolved.measures) =>
            {
                let message = "when is always true: a window that is looked at has records";
                self.error("rule::always_true", sql.span.clone(), message, "");
            }
            _ => {}
        }
    }

    /// Texts that a column with a code list can never have.
    pub(super) fn code_lists(&mut self, resolved: &Resolved) {
        let feed = self.feeds[resolved.feed].schema;
        let mut conditions: Vec<(&Sql, &Expr, &FeedSchema)> = Vec::new();
        let rule = self.rule;
        conditions
            .extend(rule.filter.as_ref().zip(resolved.filter.as_ref()).map(|(s, e)| (s, e, feed)));
        if rule.kind.value == Kind::Instant {
            conditions
                .extend(rule.when.as_ref().zip(resolved.when.as_ref()).map(|(s, e)| (s, e, feed)));
        }
        for (file, measure) in rule.measures.iter().zip(&resolved.measures) {
            let feed = self.feeds[measure.feed].schema;
            conditions.extend(
                file.filter.as_ref().zip(measure.filter.as_ref()).map(|(s, e)| (s, e, feed)),
            );
            conditions.extend(measure.aggregates.iter().map(|a| (&file.value, a, feed)));
        }
        for (file, step) in steps(rule, resolved) {
            let Some(feed) = step.feed else { continue };
            let feed = self.feeds[feed].schema;
            conditions
                .extend(file.filter.as_ref().zip(step.filter.as_ref()).map(|(s, e)| (s, e, feed)));
        }
        for (sql, expr, feed) in conditions {
            for (column, text) in compared_texts(expr) {
                let codes =
                    feed.columns.iter().find(|c| c.name == column).map_or(&[][..], |c| &c.codes);
                if codes.is_empty() || codes.contains(&text) {
                    continue;
                }
                let quoted = format!("'{text}'");
                let at = sql
                    .text
                    .find(&quoted)
                    .map_or(sql.span.clone(), |i| sql.file_span(i..i + quoted.len()));
                let near = did_you_mean(&text, codes.iter().map(String::as_str));
                let label = near.map_or_else(
                    || format!("one of {}", codes.join(", ")),
                    |n| format!("did you mean '{n}'?"),
                );
                let message =
                    format!("column {column:?} of feed {:?} is never {quoted}", feed.feed);
                self.error("rule::impossible", at, message, label);
            }
        }
    }

    /// `bad / n` of whole numbers drops what is behind the point.
    pub(super) fn whole_number_divisions(&mut self, resolved: &Resolved) {
        let rule = self.rule;
        let mut found: Vec<&Sql> = Vec::new();
        let values = [(&rule.when, &resolved.when), (&rule.clear, &resolved.clear)];
        for (sql, expr) in values.into_iter().filter_map(|(s, e)| s.as_ref().zip(e.as_ref())) {
            found.extend(divides_whole_numbers(expr, &resolved.values).then_some(sql));
        }
        for ((_, sql), (_, expr)) in rule.severity.iter().zip(&resolved.severity) {
            let pair = sql.as_ref().zip(expr.as_ref());
            found.extend(
                pair.filter(|(_, e)| divides_whole_numbers(e, &resolved.values)).map(|(s, _)| s),
            );
        }
        for (file, measure) in rule.measures.iter().zip(&resolved.measures) {
            let whole = measure
                .value
                .as_ref()
                .is_some_and(|e| divides_whole_numbers(e, &measure.aggregate_schema));
            found.extend(whole.then_some(&file.value));
        }
        for sql in found {
            let at = match sql.text.match_indices('/').collect::<Vec<_>>().as_slice() {
                [(i, _)] => sql.file_span(*i..i + 1),
                _ => sql.span.clone(),
            };
            let message = "this divides whole numbers: 3 / 4 is 0";
            self.warn("rule::integer_division", at, message, "multiply by 1.0 first");
        }
    }

    /// A step of the ladder that no alert reaches.
    pub(super) fn ladder(&mut self, resolved: &Resolved) {
        let when = match (&self.rule.when, &resolved.when) {
            (_, Some(expr)) => Bounds::of(expr),
            _ => Bounds::default(),
        };
        let when = with_counts(when, &resolved.measures);
        let mut above: Vec<(Severity, Bounds)> = Vec::new();
        for ((severity, sql), (_, expr)) in self.rule.severity.iter().zip(&resolved.severity) {
            let own = expr.as_ref().map(Bounds::of);
            let reached = own.as_ref().map_or_else(|| when.clone(), |own| when.and(own));
            let never = matches!(expr, Some(Expr::Literal(value, _)) if *value != ScalarValue::Boolean(Some(true)));
            let hidden = above.iter().find(|(_, bounds)| reached.implies(bounds));
            let at = sql.as_ref().map_or_else(|| self.else_span(), |sql| sql.span.clone());
            if sql.is_some() && expr.is_none() {
                // It did not compile, which was said.
            } else if never || (sql.is_some() && reached.is_impossible() && !when.is_impossible()) {
                let message = format!(
                    "severity {} is never reached: its condition excludes when",
                    severity.word()
                );
                self.error("rule::unreachable_severity", at, message, "");
            } else if let Some((higher, _)) = hidden {
                let message = format!(
                    "severity {} is never reached: {} is true whenever it is",
                    severity.word(),
                    higher.word()
                );
                self.error("rule::unreachable_severity", at, message, "");
            }
            let always = matches!(expr, Some(Expr::Literal(ScalarValue::Boolean(Some(true)), _)));
            if let Some(own) = own.filter(|own| own.whole || always) {
                above.push((*severity, if always { Bounds::everything() } else { own }));
            }
        }
    }

    /// Where `else:` stands.
    fn else_span(&self) -> Range<usize> {
        let source = &self.rule.source;
        let from = source.find("severity:").unwrap_or(0);
        source[from..].find("else:").map_or(self.rule.id.span.clone(), |i| from + i..from + i + 4)
    }

    /// `clear` must not hold where `when` does.
    pub(super) fn clear(&mut self, resolved: &Resolved) {
        let (Some(sql), Some(clear), Some(when)) =
            (&self.rule.clear, &resolved.clear, &resolved.when)
        else {
            return;
        };
        let (own, fires) = (Bounds::of(clear), Bounds::of(when));
        if clear == when {
            return self.error(
                "rule::clear_overlaps_when",
                sql.span.clone(),
                "clear is the same as when",
                "",
            );
        }
        // Judged only where both speak of the same values; otherwise it depends on the data.
        if own.whole && fires.covers(&own) && !fires.and(&own).is_impossible() {
            let message = "clear can hold while when does: the alert would not know which";
            self.error(
                "rule::clear_overlaps_when",
                sql.span.clone(),
                message,
                "make clear exclude when",
            );
        }
    }

    /// Ratios need a minimum count, counts something to be compared with.
    pub(super) fn counts(&mut self, resolved: &Resolved) {
        let (Some(sql), Some(when)) = (&self.rule.when, &resolved.when) else { return };
        let growing = |name: &str| {
            resolved.measures.iter().any(|m| m.name == name && m.growth == Growth::Growing)
        };
        let minimum =
            expr::lower_bounds(when).iter().any(|(column, bound)| growing(column) && *bound > 1.0);
        let names = expr::columns(when);
        let measured = |m: &&Measure| names.contains(&m.name);
        let divides = |e: &Expr| {
            any(
                e,
                &|e| matches!(e, Expr::BinaryExpr(b) if b.op == Operator::Divide && b.right.any_column_refs()),
            )
        };
        let ratio = divides(when)
            || resolved
                .measures
                .iter()
                .filter(measured)
                .any(|m| m.value.as_ref().is_some_and(divides));
        let compared = names.iter().any(|n| n.contains('.'));
        let floor = any(when, &|e| matches!(e, Expr::ScalarFunction(f) if f.name() == "greatest"));
        let tested = any(
            when,
            &|e| matches!(e, Expr::ScalarFunction(f) if house::NAMES.contains(&f.name())),
        );
        if !minimum && !tested && (ratio || (compared && !floor)) {
            let message =
                "when compares shares without a minimum count: 1 of 1, or 1 after 0, would fire";
            return self.error(
                "rule::ratio_without_minimum",
                sql.span.clone(),
                message,
                "add one, like n >= 10 and …",
            );
        }
        let counts: Vec<&Measure> = resolved.measures.iter().filter(measured).collect();
        let plain = |m: &&Measure| {
            m.aggregates.iter().all(|a| matches!(a, Expr::AggregateFunction(f) if f.func.name() == "count" && !f.params.distinct))
        };
        if !ratio && !compared && !tested && !counts.is_empty() && counts.iter().all(plain) {
            let message =
                "when compares a count with a fixed number only: large keys fire every day";
            self.warn(
                "rule::count_without_baseline",
                sql.span.clone(),
                message,
                "compare it with usual, or count distinct people",
            );
        }
    }
}

/// The steps of a sequence, as written and as understood.
fn steps<'a>(
    rule: &'a RuleFile,
    resolved: &'a Resolved,
) -> impl Iterator<Item = (&'a StepFile, &'a ResolvedStep)> {
    rule.sequence.iter().flat_map(|s| &s.steps).zip(&resolved.steps)
}

/// Counts and sums of what is never negative are at least 0.
fn with_counts(mut bounds: Bounds, measures: &[Measure]) -> Bounds {
    let counted = |m: &&Measure| {
        m.growth == Growth::Growing
            && m.aggregates
                .iter()
                .all(|a| matches!(a, Expr::AggregateFunction(f) if f.func.name() == "count"))
    };
    let mentioned: Vec<String> = bounds.numbers().map(|(c, _)| c.to_owned()).collect();
    for measure in measures.iter().filter(counted).filter(|m| mentioned.contains(&m.name)) {
        bounds.narrow(&measure.name, Interval::at_least(0.0));
    }
    bounds
}

/// Whether a condition holds of every window that has records.
fn follows_from_counts(when: &Expr, measures: &[Measure]) -> bool {
    let wanted = Bounds::of(when);
    let mut known = Bounds::everything();
    for measure in measures {
        if let [Expr::AggregateFunction(f)] = measure.aggregates.as_slice()
            && f.func.name() == "count"
            && matches!(measure.value, Some(Expr::Column(_)))
        {
            // count(*) over the rule's own records; with a filter or other feed there may be none.
            let every = measures.len() == 1
                && f.params.filter.is_none()
                && measure.filter.is_none()
                && matches!(f.params.args.as_slice(), [Expr::Literal(..)]);
            known.narrow(&measure.name, Interval::at_least(if every { 1.0 } else { 0.0 }));
        }
    }
    wanted.only_numbers() && wanted.numbers().next().is_some() && known.implies(&wanted)
}

fn any(expr: &Expr, found: &dyn Fn(&Expr) -> bool) -> bool {
    expr.exists(|e| Ok(found(e))).unwrap_or(false)
}

fn divides_whole_numbers(expr: &Expr, schema: &DFSchema) -> bool {
    let whole = |e: &Expr| e.get_type(schema).is_ok_and(|t| t.is_integer());
    any(
        expr,
        &|e| matches!(e, Expr::BinaryExpr(b) if b.op == Operator::Divide && whole(&b.left) && whole(&b.right)),
    )
}

/// Pairs (column, text) of `column = 'text'`, `<>` and `in`.
fn compared_texts(expr: &Expr) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let text = |e: &Expr| match e {
        Expr::Literal(ScalarValue::Utf8(Some(t)) | ScalarValue::Utf8View(Some(t)), _) => {
            Some(t.clone())
        }
        _ => None,
    };
    let column = |e: &Expr| if let Expr::Column(c) = e { Some(c.name.clone()) } else { None };
    let _ = expr.apply(|e| {
        match e {
            Expr::BinaryExpr(b) if matches!(b.op, Operator::Eq | Operator::NotEq) => {
                out.extend(
                    column(&b.left)
                        .zip(text(&b.right))
                        .or_else(|| column(&b.right).zip(text(&b.left))),
                );
            }
            Expr::InList(list) => {
                if let Some(column) = column(&list.expr) {
                    out.extend(list.list.iter().filter_map(text).map(|t| (column.clone(), t)));
                }
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    out
}
