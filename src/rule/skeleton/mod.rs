//! Skeletons: a first rule of a kind over a feed, commented, with a test in which it fires and one in which it does not.
//!
//! In: a kind, an id and the feed. Out: the text of a rule file that passes `forewarn check` and `forewarn test` as it
//! stands, with columns, codes and made-up records of that very feed; the author changes it step by step and never starts
//! from nothing. A kind is one entry of `KINDS` and one file here. Not here: where the file goes — see `cli::new`.

mod detect;
mod example;
mod first_seen;
mod instant;
mod sequence;
mod window;

use std::fmt::Write as _;

use self::example::Example;
use super::file::Kind;
use crate::model::{
    schema::{Column, FeedSchema},
    yaml::quoted,
};

/// Columns of a line of comment.
const WIDTH: usize = 110;

/// What each kind writes for itself.
/// What a kind writes for an example.
type Write = fn(&Example<'_>) -> Result<Body, Missing>;

const KINDS: &[(Kind, Write)] = &[
    (Kind::Instant, instant::body),
    (Kind::Window, window::body),
    (Kind::Detect, detect::body),
    (Kind::Sequence, sequence::body),
    (Kind::FirstSeen, first_seen::body),
];

/// Why there is no skeleton of a kind over a feed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// No column has values that records share.
    #[error(
        "feed {0:?} has no column by which its records could be grouped; give it one beside record id and times"
    )]
    Key(String),
    /// No column can be asked about.
    #[error("feed {0:?} has no column that a condition could ask about")]
    Column(String),
    /// Made-up records would be versions of one.
    #[error(
        "the record id of feed {0:?} has no number of its own, so that a test cannot make up {1} records; write this rule by hand"
    )]
    Records(String, usize),
    /// There is none for this kind.
    #[error("there is no skeleton for kind {0:?}; {1} have one")]
    Kind(&'static str, String),
}

/// What a kind writes.
struct Body {
    /// Whether the rule names its feed once, not in each step.
    one_feed: bool,
    /// From `key:` to `severity:`, with comments.
    fields: String,
    /// Lines of `alert:` before the message.
    alert: &'static str,
    /// The message, Chinese and English.
    message: (String, String),
    /// Fires.
    firing: Test,
    /// Stays silent.
    silent: Test,
}

/// A test of a skeleton.
struct Test {
    name: &'static str,
    /// Rows of the feed, each a map in one line.
    rows: Vec<String>,
    until: &'static str,
    /// The alert without `rule:`; empty: none.
    expect: String,
}

/// The text of a rule file of this kind over this feed. `schema`: where the file finds the JSON Schema of rules.
///
/// # Errors
/// [`Missing`] where the feed has too little to write about.
pub fn skeleton(
    kind: Kind,
    id: &str,
    feed: &FeedSchema,
    schema: Option<&str>,
) -> Result<String, Missing> {
    let Some((_, body)) = KINDS.iter().find(|(k, _)| *k == kind) else {
        let words: Vec<_> = KINDS.iter().map(|(k, _)| k.word()).collect();
        return Err(Missing::Kind(kind.word(), words.join(", ")));
    };
    let body = body(&Example::new(feed))?;
    let mut out = String::new();
    if let Some(schema) = schema {
        let _ = writeln!(out, "# yaml-language-server: $schema={schema}");
    }
    let _ = writeln!(
        out,
        "rule: {id}\nversion: 1\n\
         # draft 只检查和测试 → shadow 试运行,不告警 → live 告警 → retired 停用\n\
         # draft: checked and tested → shadow: runs, no alerts → live: alerts → retired: not run\n\
         status: draft\n\
         title: {{zh: {id}(待命名), en: {id} (to be named)}}\n\
         # 写明:发现什么、为何要紧、何时会误报。 Say what it finds, why that matters, and when it misleads.\n\
         # about: >-\n\
         # 责任部门或人。 Who answers for it.\n\
         # owner: market_regulation\n\
         kind: {}",
        kind.word()
    );
    if body.one_feed {
        let _ = writeln!(out, "feed: {}", feed.feed);
    }
    columns(&mut out, feed);
    out.push_str(&body.fields);
    let (zh, en) = &body.message;
    let _ = write!(
        out,
        "alert:\n{}\
         \x20 # 谁办、多久。 Who handles it, and how soon.\n\
         \x20 # assign: {{department: market_regulation, respond_in: 3wd, handle_in: 15wd}}\n\
         \x20 # action: {{zh: 现场核查, en: On-site check}}\n\
         \x20 # basis: [消费者权益保护法]\n\
         \x20 message:\n\
         \x20   zh: {}\n\
         \x20   en: {}\n\
         # 用 forewarn test 运行;live 的规则至少要有一例告警、一例不告警。\n\
         # Run by forewarn test; a live rule needs one that fires and one that stays silent.\n\
         tests:\n",
        body.alert,
        quoted(zh),
        quoted(en)
    );
    for test in [&body.firing, &body.silent] {
        let _ = writeln!(out, "  - name: {}\n    given:\n      {}:", test.name, feed.feed);
        for row in &test.rows {
            let _ = writeln!(out, "        - {{{row}}}");
        }
        let _ = writeln!(out, "    until: {}", test.until);
        if test.expect.is_empty() {
            out.push_str("    expect: []\n");
        } else {
            let _ = writeln!(out, "    expect:\n      - {{rule: {id}, {}}}", test.expect);
        }
    }
    Ok(out)
}

/// The feed's columns with their types, as a comment.
fn columns(out: &mut String, feed: &FeedSchema) {
    let words: Vec<String> = feed.columns.iter().map(described).collect();
    let mut line = String::from("# 可用的列 columns:");
    for (i, word) in words.iter().enumerate() {
        let word = if i + 1 < words.len() { format!(" {word},") } else { format!(" {word}") };
        if line.len() + word.len() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = String::from("#  ");
        }
        line.push_str(&word);
    }
    out.push_str(&line);
    out.push('\n');
}

fn described(column: &Column) -> String {
    let pseudonym = if column.personal { ", pseudonym" } else { "" };
    format!("{} ({}{pseudonym})", column.name, column.kind.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one() {
        let kinds: Vec<Kind> = KINDS.iter().map(|(k, _)| *k).collect();
        assert_eq!(kinds, Kind::ALL);
    }
}
