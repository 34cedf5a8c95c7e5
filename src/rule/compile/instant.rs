//! Instant rules: a filter over single rows, and what is shown of the row that passes.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::{common::Column, logical_expr::Expr};

use super::{Builder, Findings, name_text};
use crate::{
    model::yaml::Sql,
    rule::{
        file::RuleFile,
        join,
        plan::{InstantPlan, RulePlan},
        scope::Resolved,
    },
};

impl Builder<'_> {
    pub(super) fn instant(
        &mut self,
        file: &RuleFile,
        meant: &Resolved,
    ) -> Result<RulePlan, Findings> {
        let feed = meant.feed;
        let mut atoms = self.atoms(feed, file.filter.as_ref(), meant.filter.as_ref())?;
        atoms.extend(self.atoms(feed, file.when.as_ref(), meant.when.as_ref())?);
        let filter = self.filter(feed, atoms);
        let (keying, space) = self.own_keying(file, feed, &meant.key)?;
        let mut values = Vec::new();
        let time = file.time.as_ref().map(|t| t.value.as_str());
        for name in file.alert.show.iter().map(|s| s.value.as_str()) {
            let schema = self.schemas[feed];
            let Some(column) = join::position(file, &self.schemas, schema, time, name) else {
                continue;
            };
            let expr = Expr::Column(Column::new_unqualified(&schema.columns[column].name));
            values.push((name.to_owned(), self.bind(&expr, &meant.rows, &Sql::bare(name))?));
        }
        let severity = self.ladder(file, meant, &meant.rows)?;
        let mut terms = Vec::new();
        for (sql, expr) in [(&file.filter, &meant.filter), (&file.when, &meant.when)] {
            if let (Some(sql), Some(expr)) = (sql, expr) {
                terms.extend(self.terms(expr, &meant.rows, sql)?);
            }
        }
        let fields: Vec<Field> =
            values.iter().map(|(n, e)| Field::new(n, e.data_type().clone(), true)).collect();
        Ok(RulePlan {
            feeds: vec![feed],
            value_texts: fields.iter().map(name_text).collect(),
            value_schema: Arc::new(Schema::new(fields)),
            terms,
            severity,
            instant: Some(InstantPlan { feed, filter, keying, values }),
            ..self.plain(file, feed, space)
        })
    }
}
