//! Yaml: the text of a rule with its names set apart from its comments and values.

use maud::{Markup, html};

/// The text, line by line.
pub(super) fn text(text: &str) -> Markup {
    html! {
        pre.yaml tabindex="0" { code { @for line in text.lines() { (self::line(line)) "\n" } } }
    }
}

fn line(line: &str) -> Markup {
    if line.trim_start().starts_with('#') {
        return html! { span.comment { (line) } };
    }
    let start = line.len() - line.trim_start_matches([' ', '-']).len();
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let end = line[start..].find(|c: char| !is_name(c)).map_or(line.len(), |n| start + n);
    let ends_name = line[end..].starts_with(": ") || &line[end..] == ":";
    html! {
        @if end > start && ends_name {
            (&line[..start]) span.name { (&line[start..end]) } (&line[end..])
        } @else { (line) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_set_apart_and_nothing_is_lost() {
        for (source, expect) in [
            ("rule: x", "<span class=\"name\">rule</span>: x"),
            ("  - name: <b>", "  - <span class=\"name\">name</span>: &lt;b&gt;"),
            ("# say: what", "<span class=\"comment\"># say: what</span>"),
            ("  n >= 3 and m: 2", "  n &gt;= 3 and m: 2"),
            ("名称: 甲", "<span class=\"name\">名称</span>: 甲"),
            ("http://x", "http://x"),
            ("", ""),
        ] {
            assert_eq!(line(source).into_string(), expect);
        }
    }
}
