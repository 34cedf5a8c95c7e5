//! Aggregates: which slot of which slice gives the value, or that it takes the rows themselves.

use arrow::datatypes::DataType;
use datafusion::{
    execution::context::ExecutionProps,
    logical_expr::{
        Expr, ExprSchemable,
        expr::{AggregateFunction, NullTreatment, Sort},
        physical_planning_context::PhysicalPlanningContext,
    },
    physical_expr::aggregate::LoweredAggregateBuilder,
};

use super::{
    Builder, Findings, planning,
    slices::{Ask, Clock},
};
use crate::{
    model::{diagnostic::Diagnostic, yaml::Sql},
    pane::{
        aggregate::udaf::RowAggregate,
        plan::{Form, Kernel},
    },
    rule::{
        plan::{Aggregate, Read},
        scope::never_negative,
    },
};

/// The rows that a measure aggregates, and by what.
#[derive(Clone, Copy)]
pub(super) struct Source<'m> {
    pub(super) feed: usize,
    /// Keying and space.
    pub(super) key: (usize, usize),
    /// By what time they lie in panes.
    pub(super) clock: Clock,
    /// Atoms that hold of the rows.
    pub(super) atoms: &'m [usize],
    pub(super) ask: &'m Ask,
    /// Where the measure stands in its file.
    pub(super) sql: &'m Sql,
}

impl Builder<'_> {
    /// One aggregate as part of a slice; the flag tells whether it can only grow with more rows.
    pub(super) fn aggregate(
        &mut self,
        source: Source<'_>,
        aggregate: &Expr,
    ) -> Result<(Aggregate, bool), Findings> {
        let Source { feed, sql, .. } = source;
        let Expr::AggregateFunction(function) = aggregate else {
            let message = "not an aggregate";
            return Err(vec![Diagnostic::error("rule::syntax", sql.span.clone(), message)]);
        };
        let mut atoms = source.atoms.to_vec();
        if let Some(filter) = &function.params.filter {
            atoms.extend(self.atoms(feed, Some(sql), Some(filter))?);
        }
        let filter = self.filter(feed, atoms);
        let data_type = aggregate
            .get_type(&self.rows[feed])
            .map_err(|e| vec![planning(sql, &e.strip_backtrace())])?;
        let slice = self.slice(feed, filter, source.key, source.clock, source.ask);
        let (read, zero, grows) = self.read(feed, slice, function, sql)?;
        Ok((Aggregate { slice, read, data_type, zero }, grows))
    }

    /// How an aggregate is read from its slice, whether no rows give 0, and whether it only grows.
    fn read(
        &mut self,
        feed: usize,
        slice: usize,
        function: &AggregateFunction,
        sql: &Sql,
    ) -> Result<(Read, bool, bool), Findings> {
        let p = &function.params;
        let name = function.func.name();
        let arg = p.args.first();
        let arg_type =
            arg.and_then(|a| a.get_type(&self.rows[feed]).ok()).unwrap_or(DataType::Null);
        let number =
            matches!(arg_type, DataType::Int64 | DataType::Float64 | DataType::Decimal128(..));
        let orders = number
            || matches!(arg_type, DataType::Date32 | DataType::Timestamp(..) | DataType::Boolean);
        // `ignore nulls` is left to the second tier.
        let by_event_time = match p.null_treatment {
            Some(NullTreatment::IgnoreNulls) => None,
            _ => self.orders_by_event_time(feed, &p.order_by),
        };
        let kernel = match (name, p.distinct, arg) {
            ("count", false, Some(Expr::Literal(v, _))) if !v.is_null() => {
                return Ok((Read::Rows, true, true));
            }
            ("count", false, None) => return Ok((Read::Rows, true, true)),
            ("count", false, Some(_)) if p.args.len() == 1 => {
                Some((Kernel::NonNull, Form::Presence))
            }
            ("count", true, Some(_)) if p.args.len() == 1 => {
                Some((Kernel::Distinct, Form::Identity))
            }
            ("sum" | "avg", false, Some(_)) if arg_type == DataType::Int64 => {
                Some((Kernel::WholeSum, Form::Fixed))
            }
            ("sum" | "avg", false, Some(_)) if number => Some((Kernel::Sum, Form::Fixed)),
            ("min", _, Some(_)) if orders => Some((Kernel::Min, Form::Order)),
            ("max", _, Some(_)) if orders => Some((Kernel::Max, Form::Order)),
            ("first_value", false, Some(_)) if orders && by_event_time == Some(true) => {
                Some((Kernel::First, Form::Order))
            }
            ("first_value", false, Some(_)) if orders && by_event_time == Some(false) => {
                Some((Kernel::Last, Form::Order))
            }
            ("last_value", false, Some(_)) if orders && by_event_time == Some(true) => {
                Some((Kernel::Last, Form::Order))
            }
            ("last_value", false, Some(_)) if orders && by_event_time == Some(false) => {
                Some((Kernel::First, Form::Order))
            }
            _ => None,
        };
        let Some(((kernel, form), arg)) = kernel.zip(arg) else {
            return Ok((Read::FromRows(self.second_tier(feed, function, sql)?), false, false));
        };
        let argument = self.argument(feed, arg, form, sql)?;
        let slot = self.slices[slice].plan.slot(kernel, argument);
        let read = if name == "avg" { Read::Mean(slot, arg_type) } else { Read::Slot(slot) };
        let zero = matches!(kernel, Kernel::NonNull | Kernel::Distinct) || name == "sum";
        let grows = match kernel {
            Kernel::NonNull | Kernel::Distinct => true,
            Kernel::Sum | Kernel::WholeSum => {
                name == "sum" && never_negative(arg, self.schemas[feed])
            }
            _ => false,
        };
        Ok((read, zero, grows))
    }

    fn second_tier(
        &self,
        feed: usize,
        function: &AggregateFunction,
        sql: &Sql,
    ) -> Result<RowAggregate, Findings> {
        let schema = &self.rows[feed];
        let mut bare = function.clone();
        bare.params.filter = None;
        let expr = Expr::AggregateFunction(bare);
        let props = ExecutionProps::new();
        let context = PhysicalPlanningContext::default();
        let lowered =
            LoweredAggregateBuilder::new(&expr, schema, schema.as_arrow(), &props, &context)
                .build()
                .map_err(|e| vec![planning(sql, &e.strip_backtrace())])?;
        Ok(RowAggregate::new(lowered.aggregate))
    }

    /// `Some(ascending)` when the aggregate is ordered by the feed's event time alone.
    fn orders_by_event_time(&self, feed: usize, order_by: &[Sort]) -> Option<bool> {
        let schema = self.schemas[feed];
        match order_by {
            [Sort { expr: Expr::Column(c), asc, .. }]
                if schema.columns[schema.event_time].name == c.name =>
            {
                Some(*asc)
            }
            _ => None,
        }
    }
}
