//! What stands at a place: a field, a column, a measure, a parameter, a function, a feed, a list, a detector.

use super::{
    Beside, Hover, fields,
    functions::function,
    kind,
    place::{At, Place, word},
};
use crate::detect::catalogue;

pub(super) fn hover(beside: &Beside<'_>, text: &str, offset: usize) -> Option<Hover> {
    let word = word(text, offset);
    let name = text[word.clone()].trim_end_matches('.');
    if name.is_empty() {
        return None;
    }
    let place = Place::of(text, word.start);
    let path = place.path();
    let text = match place.at {
        At::Key => of_key(beside, text, &path, name),
        At::Value => of_value(beside, text, &path, name),
    };
    text.map(|text| Hover { word: word.start..word.start + name.len(), text })
}

fn of_key(beside: &Beside<'_>, text: &str, path: &[&str], name: &str) -> Option<String> {
    if let ["tests", "given", feed, ..] = path
        && let Some(column) = beside.feed(feed).map(super::names::columns)
        && let Some(column) = column.into_iter().find(|c| c.name == name)
    {
        return Some(told(&column.name, &column.detail, &column.doc));
    }
    if let ["tests", "given"] = path {
        return of_feed(beside, name);
    }
    let whole: Vec<&str> = path.iter().copied().chain([name]).collect();
    if let Some(field) = fields::field(&whole, kind(text)) {
        let detector = matches!(path, ["detector" | "fallback"]);
        return Some(match detector.then(|| of_detector(name)).flatten() {
            Some(doc) => doc,
            None => told(name, if field.required { "required" } else { "" }, field.doc),
        });
    }
    // A parameter of a detector, or an item of a list of columns.
    match path {
        ["detector" | "fallback", detector] => of_detector(detector),
        _ => of_name(beside, text, path, name),
    }
}

fn of_value(beside: &Beside<'_>, text: &str, path: &[&str], name: &str) -> Option<String> {
    match path {
        ["feed"] | ["measures", _, "feed"] | ["steps", "feed"] => of_feed(beside, name),
        _ => of_name(beside, text, path, name)
            .or_else(|| {
                let f = function(name)?;
                Some(format!("```sql\n{}\n```\n\n{}\n\n{}", f.form, f.zh, f.en))
            })
            .or_else(|| {
                let list = beside.lists.get(name)?;
                let what = if list.has_words() { "keyword list" } else { "reference list" };
                Some(told(name, what, &format!("{} values", list.len())))
            })
            .or_else(|| {
                let field = fields::field(path, kind(text))?;
                let (last, _) = path.split_last()?;
                Some(told(last, "", field.doc))
            }),
    }
}

fn of_name(beside: &Beside<'_>, text: &str, path: &[&str], name: &str) -> Option<String> {
    let names = beside.names(text, path);
    let found = names.iter().find(|n| n.name == name)?;
    Some(told(&found.name, &found.detail, &found.doc))
}

fn of_feed(beside: &Beside<'_>, name: &str) -> Option<String> {
    let feed = beside.feed(name)?;
    let (zh, en) = &feed.title;
    Some(told(name, &format!("{zh} {en}"), &feed.about))
}

fn of_detector(name: &str) -> Option<String> {
    let entry = catalogue::entries().into_iter().find(|e| e.name == name)?;
    Some(format!(
        "**{}** — {}\n\n{}\n\n{}\n\n{}",
        entry.name, entry.summary, entry.finds, entry.parameters, entry.misleads
    ))
}

fn told(name: &str, detail: &str, doc: &str) -> String {
    let detail = detail.trim();
    let head =
        if detail.is_empty() { format!("**{name}**") } else { format!("**{name}** — {detail}") };
    if doc.is_empty() { head } else { format!("{head}\n\n{doc}") }
}
