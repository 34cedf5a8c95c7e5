//! What becomes of a rule's signals: times, messages, and what is shown of the record that fired.

use super::Builder;
use crate::{
    model::yaml::Spanned,
    rule::{
        file::RuleFile,
        join,
        message::Template,
        plan::{AlertPlan, ContextColumn},
    },
};

impl Builder<'_> {
    pub(super) fn alert(&self, file: &RuleFile, feed: usize) -> AlertPlan {
        let a = &file.alert;
        let schema = self.schemas[feed];
        let template =
            |t: &Option<Spanned<String>>| t.as_ref().and_then(|t| Template::parse(&t.value).ok());
        let messages = (template(&a.message.zh), template(&a.message.en));
        let keys: Vec<&str> = file.key.iter().map(|k| k.name.as_str()).collect();
        let first = file.sequence.iter().flat_map(|s| &s.steps).next();
        let own = file.time.as_ref().map(|t| t.value.as_str());
        let time = first.map_or(own, |step| join::time_of(file, step));
        let mut columns: Vec<ContextColumn> = Vec::new();
        let mut add = |name: &str| {
            let own = join::position(file, &self.schemas, schema, time, name);
            // `{ucc_name}`: what people call a key column, from the column the feed names for it.
            let alias = || {
                let base = name.strip_suffix("_name")?;
                let key = schema.position(base)?;
                schema.names.iter().find(|(k, _)| *k == key).map(|(_, n)| *n)
            };
            if let Some(i) = own.or_else(alias)
                && !columns.iter().any(|c| c.name == name)
                && !keys.contains(&name)
            {
                let named = schema.names.iter().find(|(_, n)| *n == i);
                let key = named.map(|(k, _)| schema.columns[*k].name.clone());
                let of_key = key.filter(|k| keys.contains(&k.as_str()));
                columns.push(ContextColumn { name: name.to_owned(), column: i, of_key });
            }
        };
        a.group.iter().for_each(|g| add(&g.value));
        a.show.iter().for_each(|g| add(&g.value));
        for t in [&messages.0, &messages.1].into_iter().flatten() {
            t.names().for_each(|(name, _)| add(name));
        }
        AlertPlan {
            hold_ms: a.hold_ms,
            keep_ms: a.keep_ms,
            context: (!columns.is_empty()).then_some((feed, columns)),
            exceptions: Vec::new(),
            messages,
        }
    }
}
