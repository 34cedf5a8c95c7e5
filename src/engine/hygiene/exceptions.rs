//! Exceptions and overrides that are over: `rules/exceptions.yaml` and `rules/overrides.yaml`, where there are such files.

use std::{fs, path::Path};

use crate::{
    model::{
        diagnostic::{Diagnostic, did_you_mean},
        time::Zone,
        yaml::{Node, Spanned},
    },
    rule::file::RuleFile,
};

/// Findings about entries whose `until` has passed or that name a rule which is not there.
#[must_use]
pub fn exceptions(dir: &Path, rules: &[RuleFile], now_ms: i64, zone: &Zone) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for kind in ["exceptions", "overrides"] {
        let path = dir.join(format!("{kind}.yaml"));
        let Ok(source) = fs::read_to_string(&path) else { continue };
        let mut findings = match Node::parse(&source) {
            Ok(root) => {
                let entries = root.get(kind).map(Node::items).unwrap_or_default();
                entries
                    .iter()
                    .flat_map(|entry| of_entry(kind, entry, rules, now_ms, zone))
                    .collect()
            }
            Err(findings) => findings,
        };
        findings.iter_mut().for_each(|d| d.file.clone_from(&path));
        out.extend(findings);
    }
    out
}

fn of_entry(
    kind: &str,
    entry: &Node,
    rules: &[RuleFile],
    now_ms: i64,
    zone: &Zone,
) -> Vec<Diagnostic> {
    let one = kind.trim_end_matches('s');
    let mut named: Vec<Spanned<String>> = entry.get("rules").map(Node::texts).unwrap_or_default();
    named.extend(entry.get("rule").and_then(Node::text));
    let called = entry.get("id").and_then(Node::text).or_else(|| named.first().cloned());
    let called = called.map_or_else(String::new, |c| c.value);
    let mut out = Vec::new();
    for rule in &named {
        let ids = rules.iter().map(|r| r.id.value.as_str());
        if !ids.clone().any(|id| id == rule.value) {
            let message =
                format!("{one} {called:?} is about rule {:?}, which is not there", rule.value);
            let near = did_you_mean(&rule.value, ids).map(|near| format!("did you mean {near:?}?"));
            let finding = Diagnostic::warning("hygiene::unknown_rule", rule.span.clone(), message);
            out.push(
                finding
                    .label(near.unwrap_or_default())
                    .help("take the entry out, or name the rule as it is called now"),
            );
        }
    }
    let until = entry.get("until").and_then(Node::text);
    match until.as_ref().map(|until| zone.parse_instant(&until.value)) {
        Some(Some(ms)) if ms > now_ms => {}
        Some(Some(_)) => {
            let until =
                until.unwrap_or_else(|| Spanned { value: String::new(), span: entry.span() });
            let message = format!("{one} {called:?} is over since {}", until.value);
            let finding = Diagnostic::warning("hygiene::expired", until.span, message);
            out.push(finding.help("take it out, or have it approved again with a later until"));
        }
        _ => {
            let message = format!("{one} {called:?} has no until, so that it never ends");
            let finding = Diagnostic::warning("hygiene::expired", entry.span(), message);
            out.push(finding.help("write until: with a date, at most a year ahead"));
        }
    }
    out
}
