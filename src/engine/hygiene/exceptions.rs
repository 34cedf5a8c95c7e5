//! Exceptions that are over: they cover nothing any more, and their file tells what was once agreed as if it still were.

use std::{collections::BTreeSet, path::Path};

use crate::{
    model::{
        diagnostic::Diagnostic,
        time::{DAY_MS, Zone, format_day},
    },
    rule::file::RuleFile,
};

/// Findings about exceptions whose last day has passed, each once however many rules share its file.
pub(super) fn expired(rules: &[RuleFile], now_ms: i64, zone: &Zone) -> Vec<Diagnostic> {
    let today = zone.to_local(now_ms).div_euclid(DAY_MS);
    let mut read: BTreeSet<&Path> = BTreeSet::new();
    let files = rules.iter().map(|r| &*r.exceptions).filter(|e| read.insert(&e.path));
    let over = files.flat_map(|file| {
        let over = file.all.iter().filter(move |e| i64::from(e.until.value) <= today);
        over.map(|exception| {
            let message = format!(
                "exception {:?} is over since {}",
                exception.id.value,
                format_day(exception.until.value)
            );
            let finding =
                Diagnostic::warning("hygiene::expired", exception.until.span.clone(), message)
                    .help("take it out, or have it approved again with a later until");
            Diagnostic { file: file.path.clone(), ..finding }
        })
    });
    over.collect()
}
