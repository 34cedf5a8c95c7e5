//! Message templates: text with the values of an alert in it.
//!
//! `{n}` is a value, `{usual.n:.1}` one with so many decimals, `{n / usual.n:.1}` one arithmetic step between two values
//! or numbers; `{{` and `}}` are braces. No loops, no conditions: what a template can say is known when it is loaded.
//! A value that is missing, NULL or cannot be computed is shown as `–`; rendering never fails.

use std::{fmt::Write as _, ops::Range};

use serde_json::{Map, Value};

/// What stands for a value that is not there.
const MISSING: &str = "–";

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Value { left: Operand, step: Option<(Step, Operand)>, decimals: Option<usize> },
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Name(String, Range<usize>),
    Number(f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// Why a template was refused, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Malformed {
    /// Byte range in the template.
    pub at: Range<usize>,
    /// What is wrong.
    pub reason: String,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// The first malformed place.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let rest = &text[at..];
            if rest.starts_with("{{") || rest.starts_with("}}") {
                literal.push(c);
                at += 2;
            } else if c == '{' {
                let Some(end) = rest.find('}') else {
                    return Err(malformed(
                        at..text.len(),
                        "{ without }; a brace itself is written {{",
                    ));
                };
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(value(text, at + 1..at + end)?);
                at += end + 1;
            } else if c == '}' {
                return Err(malformed(at..at + 1, "} without {; a brace itself is written }}"));
            } else {
                literal.push(c);
                at += c.len_utf8();
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    /// The names a template uses, each with its byte range in the text.
    pub fn names(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        self.parts.iter().flat_map(|part| {
            let (left, right) = match part {
                Part::Text(_) => (None, None),
                Part::Value { left, step, .. } => {
                    (Some(left), step.as_ref().map(|(_, right)| right))
                }
            };
            left.into_iter().chain(right).filter_map(|operand| match operand {
                Operand::Name(name, at) => Some((name.as_str(), at.clone())),
                Operand::Number(_) => None,
            })
        })
    }

    /// The text with the values in it; of two maps with a name the first wins.
    #[must_use]
    pub fn render(&self, values: &[&Map<String, Value>]) -> String {
        let find = |name: &str| values.iter().find_map(|m| m.get(name)).filter(|v| !v.is_null());
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value { left: Operand::Name(name, _), step: None, decimals } => {
                    match find(name) {
                        Some(value) => show(&mut out, value, *decimals),
                        None => out.push_str(MISSING),
                    }
                }
                Part::Value { left, step, decimals } => {
                    let number = |operand: &Operand| match operand {
                        Operand::Number(n) => Some(*n),
                        Operand::Name(name, _) => find(name).and_then(number_of),
                    };
                    let result = match step {
                        None => number(left),
                        Some((step, right)) => {
                            number(left).zip(number(right)).map(|(a, b)| step.apply(a, b))
                        }
                    };
                    match result.filter(|x| x.is_finite()) {
                        Some(x) => show_float(&mut out, x, *decimals),
                        None => out.push_str(MISSING),
                    }
                }
            }
        }
        out
    }
}

impl Step {
    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
        }
    }
}

fn malformed(at: Range<usize>, reason: impl Into<String>) -> Malformed {
    Malformed { at, reason: reason.into() }
}

/// The part between braces.
fn value(text: &str, at: Range<usize>) -> Result<Part, Malformed> {
    let inner = &text[at.clone()];
    let (expression, decimals) = match inner.rsplit_once(':') {
        None => (inner, None),
        Some((expression, format)) => {
            let digits =
                format.trim().strip_prefix('.').and_then(|d| d.parse().ok()).filter(|d| *d <= 9);
            let start = at.start + expression.len();
            let digits = digits.ok_or_else(|| {
                malformed(start..at.end, "a format is .0 to .9: so many decimals")
            })?;
            (expression, Some(digits))
        }
    };
    // Spaces around the sign tell `a - b` from a name; without them there is no way to write one anyway.
    let sign = |c: char| match c {
        '+' => Some(Step::Add),
        '-' => Some(Step::Subtract),
        '*' => Some(Step::Multiply),
        '/' => Some(Step::Divide),
        _ => None,
    };
    let found = expression.char_indices().skip(1).find_map(|(i, c)| Some((i, sign(c)?)));
    let Some((i, step)) = found else {
        return Ok(Part::Value {
            left: operand(text, at.start..at.start + expression.len())?,
            step: None,
            decimals,
        });
    };
    let left = operand(text, at.start..at.start + i)?;
    let right = operand(text, at.start + i + 1..at.start + expression.len())?;
    Ok(Part::Value { left, step: Some((step, right)), decimals })
}

fn operand(text: &str, at: Range<usize>) -> Result<Operand, Malformed> {
    let raw = &text[at.clone()];
    let name = raw.trim();
    let start = at.start + raw.len() - raw.trim_start().len();
    let span = start..start + name.len();
    if let Ok(number) = name.parse::<f64>() {
        return Ok(Operand::Number(number));
    }
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    if name.is_empty() {
        return Err(malformed(at, "a name is missing"));
    }
    if !name.chars().all(plain) {
        return Err(malformed(
            span,
            "a value is {name}, {name:.1} or one step like {n / usual.n:.1}",
        ));
    }
    Ok(Operand::Name(name.to_owned(), span))
}

/// Numbers may arrive as texts, where a key column holds them.
fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn show(out: &mut String, value: &Value, decimals: Option<usize>) {
    match value {
        Value::String(text) => match text.parse::<f64>() {
            Ok(x) if decimals.is_some() => show_float(out, x, decimals),
            _ => out.push_str(text),
        },
        Value::Number(n) if decimals.is_none() && !n.is_f64() => {
            let _ = write!(out, "{n}");
        }
        Value::Number(n) => show_float(out, n.as_f64().unwrap_or(f64::NAN), decimals),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "、" } else { "" });
                show(out, item, decimals);
            }
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// With the decimals asked for, else at most two and no trailing zeros.
fn show_float(out: &mut String, x: f64, decimals: Option<usize>) {
    let text = format!("{x:.*}", decimals.unwrap_or(2));
    let text = match decimals {
        None => text.trim_end_matches('0').trim_end_matches('.'),
        Some(_) => &text,
    };
    out.push_str(text);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn renders() {
        let values = json!({"n": 12, "usual.n": 3.666_666_6, "zero": 0, "ucc_name": "甲餐馆", "gone": null,
            "fine": "1200.50", "tags": ["食品", "消防"], "ok": true, "whole": 4.0});
        let key = json!({"city": "4301", "n": 99});
        let (Value::Object(values), Value::Object(key)) = (values, key) else { panic!("objects") };
        for (template, text) in [
            ("{ucc_name} 7日内 {n} 件", "甲餐馆 7日内 12 件"),
            ("为平日 {usual.n:.1} 件的 {n / usual.n:.1} 倍", "为平日 3.7 件的 3.3 倍"),
            ("{usual.n} {whole} {whole:.1} {n:.2}", "3.67 4 4.0 12.00"),
            ("{n - 2} {n*100:.0} {n + whole} {2 * n}", "10 1200 16 24"),
            ("{gone} {nothing} {n / zero} {ucc_name + 1}", "– – – –"),
            ("{fine} {fine:.1} {fine / 2}", "1200.50 1200.5 600.25"),
            ("{tags} {ok} {city}", "食品、消防 true 4301"),
            ("{{n}} 100%", "{n} 100%"),
            ("", ""),
        ] {
            assert_eq!(
                Template::parse(template).expect(template).render(&[&values, &key]),
                text,
                "{template}"
            );
        }
    }

    #[test]
    fn refuses() {
        for (template, at) in [
            ("投诉 {n", "{n"),
            ("投诉 n}", "}"),
            ("投诉 {}", ""),
            ("{n:1}", ":1"),
            ("{n:.1f}", ":.1f"),
            ("{n / }", " "),
            ("{件数 甲}", "件数 甲"),
            ("{a / b / c}", "b / c"),
        ] {
            let e = Template::parse(template).expect_err(template);
            assert_eq!(&template[e.at.clone()], at, "{template}: {e}");
        }
    }

    #[test]
    fn names_have_places() {
        let text = "“{ucc_name}” {n / usual.n:.1} {n}";
        let template = Template::parse(text).expect("fine");
        let names: Vec<_> = template.names().collect();
        assert_eq!(
            names.iter().map(|n| n.0).collect::<Vec<_>>(),
            ["ucc_name", "n", "usual.n", "n"]
        );
        assert!(names.iter().all(|(name, at)| &text[at.clone()] == *name));
    }
}
