//! Reading a rule file: its tree against the table of fields, then into [`RuleFile`].
//!
//! What the structural check refused is left out, so that the rest can be checked in the same pass.

use std::{path::Path, sync::Arc};

use serde_json::Value;

use super::{
    detector,
    file::{
        AlertFile, Bilingual, Compare, CompareFile, HistoryOf, KeyColumn, Kind, MeasureFile,
        MissingKey, Rows, RuleFile, Status, TestCase, Unread, WEEKDAYS,
    },
    first_seen, join, lists,
    schema::RULE,
    sequence,
    syntax::split_alias,
};
use crate::model::{
    diagnostic::{Diagnostic, Level},
    signal::Severity,
    time::DAY_MS,
    window::{MONDAY_ORIGIN_MS, WindowSpec},
    yaml::{Node, Spanned, Sql},
};

const WEEK_MS: i64 = 7 * DAY_MS;

/// See [`RuleFile::parse`].
pub(super) fn rule(path: &Path, source: &str) -> (Option<RuleFile>, Vec<Diagnostic>) {
    let mut reader = Reader { source, findings: Vec::new() };
    let rule = match Node::parse(source) {
        Ok(mut root) => {
            reader.findings = RULE.check(&root);
            // What a comma cut in two would only give findings about its pieces.
            let cut = reader.findings.iter().filter(|d| d.code == "yaml::flow_comma");
            root.prune(&cut.map(|d| d.span.clone()).collect::<Vec<_>>());
            reader.rule(path, &root)
        }
        Err(findings) => {
            reader.findings = findings;
            None
        }
    };
    let mut findings = reader.findings;
    for finding in &mut findings {
        finding.file = path.to_owned();
    }
    (rule, findings)
}

/// Reads a checked tree; what the structural check refused is left out.
struct Reader<'a> {
    source: &'a str,
    findings: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn find(&mut self, finding: Diagnostic) {
        self.findings.push(finding);
    }

    fn rule(&mut self, path: &Path, root: &Node) -> Option<RuleFile> {
        let kind = root.get("kind").and_then(Node::text)?;
        let kind = Spanned { value: Kind::parse(&kind.value)?, span: kind.span };
        let id = root.get("rule").and_then(Node::text)?;
        // A sequence goes by the records with which it begins.
        let first = root.get("steps").and_then(|steps| steps.items().first());
        let root_of_feed = if kind.value == Kind::Sequence { first? } else { root };
        let feed = root_of_feed.get("feed").and_then(Node::text)?;
        let status = root.get("status").and_then(Node::text);
        let sql = |name: &str| root.get(name).and_then(Node::sql);
        let broken = |name: &str| {
            let at = root.get(name).map(Node::span);
            let inside = |d: &Diagnostic| {
                at.as_ref().is_some_and(|at| at.start <= d.span.start && d.span.end <= at.end)
            };
            self.findings.iter().any(|d| d.level == Level::Error && inside(d))
                || (at.is_none()
                    && match kind.value {
                        Kind::Instant => false,
                        Kind::Window => ["key", "measures"].contains(&name),
                        Kind::Detect => ["key", "series"].contains(&name),
                        Kind::Sequence => ["key", "steps"].contains(&name),
                        Kind::FirstSeen => ["key", "history"].contains(&name),
                    })
        };
        let unread = Unread {
            columns: self.findings.iter().any(|d| d.code == "rule::not_yet"),
            values: ["key", "measures", "compare", "series"].into_iter().any(broken),
            params: broken("params"),
            detector: false,
            steps: kind.value == Kind::Sequence && broken("steps"),
        };
        let source: Arc<str> = self.source.into();
        let is_detect = kind.value == Kind::Detect;
        let detect = if is_detect { detector::read(root, &mut self.findings) } else { None };
        let is_sequence = kind.value == Kind::Sequence;
        let sequence =
            if is_sequence { sequence::file::read(root, &mut self.findings) } else { None };
        let first_seen = match kind.value {
            Kind::FirstSeen => first_seen::file::read(root),
            _ => None,
        };
        let unread = Unread {
            detector: is_detect && detect.is_none(),
            steps: unread.steps
                || (is_sequence && sequence.is_none())
                || (kind.value == Kind::FirstSeen && first_seen.is_none()),
            ..unread
        };
        let window = match &detect {
            Some(d) => {
                Some(Spanned { value: d.period.value.window(), span: d.period.span.clone() })
            }
            None => root.get("window").and_then(|n| self.window(n)),
        };
        // What is judged comes first.
        let mut measures: Vec<MeasureFile> = match kind.value {
            Kind::Detect => detector::measures(root.get("series")),
            Kind::Instant | Kind::Window | Kind::Sequence | Kind::FirstSeen => Vec::new(),
        };
        let named = root.get("measures").map_or(&[][..], Node::entries);
        measures.extend(named.iter().filter_map(measure));
        Some(RuleFile {
            path: path.to_owned(),
            lists: lists::none(),
            exceptions: Arc::default(),
            version: root
                .get("version")
                .and_then(Node::int)
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(1),
            status: Spanned {
                value: status
                    .as_ref()
                    .and_then(|s| Status::parse(&s.value))
                    .unwrap_or(Status::Live),
                span: status.map_or(id.span.clone(), |s| s.span),
            },
            title: bilingual(root.get("title")),
            about: root.get("about").and_then(Node::text).map(|t| t.value),
            owner: root.get("owner").and_then(Node::text).map(|t| t.value),
            tags: words(root.get("tags")),
            filter: sql("where"),
            key: self.key(root.get("key")),
            joins: join::read(root.get("join")),
            missing_key: match root.get("missing_key").and_then(Node::text) {
                Some(word) if word.value == "group_null" => MissingKey::GroupNull,
                _ => MissingKey::Drop,
            },
            time: root.get("time").and_then(Node::text),
            window,
            measures,
            detect,
            sequence,
            first_seen,
            compares: self.compares(root.get("compare")),
            params: params(root.get("params")),
            when: sql("when"),
            clear: sql("clear"),
            severity: severity(root.get("severity")),
            alert: self.alert(root.get("alert"), kind.value),
            tests: root
                .get("tests")
                .map_or(&[][..], Node::items)
                .iter()
                .filter_map(|node| test(path, &source, node))
                .collect(),
            unread,
            id,
            kind,
            feed,
            source,
        })
    }

    fn key(&mut self, node: Option<&Node>) -> Vec<KeyColumn> {
        let mut out: Vec<KeyColumn> = Vec::new();
        for text in node.map_or(&[][..], Node::items).iter().filter_map(Node::sql) {
            let (expression, name) = split_alias(&text);
            let Some(name) = name else {
                let message = "an expression in the key needs a name";
                let label = format!("write \"{} as …\"", text.text);
                self.find(
                    Diagnostic::error("rule::key_without_name", text.span, message).label(label),
                );
                continue;
            };
            if out.iter().any(|k| k.name == name) {
                let message = format!("the key has two columns named {name:?}");
                self.find(Diagnostic::error("rule::name_taken", text.span, message));
                continue;
            }
            out.push(KeyColumn { sql: expression, name });
        }
        out
    }

    fn window(&mut self, node: &Node) -> Option<Spanned<WindowSpec>> {
        let ms = |name: &str| node.get(name).and_then(Node::span_ms);
        let positive = |this: &mut Self, name: &str| match ms(name) {
            Some(0) => {
                let at = node.get(name).map_or(node.span(), Node::span);
                this.find(Diagnostic::error(
                    "yaml::wrong_type",
                    at,
                    format!("{name} is 0, a window has a length"),
                ));
                None
            }
            other => other,
        };
        let spec = if node.get("sliding").is_some() {
            let width_ms = positive(self, "sliding")?;
            let every_ms = if node.get("every").is_some() {
                positive(self, "every")?
            } else {
                DAY_MS.min(width_ms)
            };
            if every_ms > width_ms {
                let at = node.get("every").map_or(node.span(), Node::span);
                let message =
                    "every is longer than the window: records in between would be in no window";
                self.find(
                    Diagnostic::error("rule::impossible", at, message)
                        .label("at most the window's length"),
                );
                return None;
            }
            WindowSpec::Sliding { width_ms, every_ms, origin_ms: origin(every_ms, None) }
        } else if node.get("tumbling").is_some() {
            let width_ms = positive(self, "tumbling")?;
            let start = node.get("start").and_then(Node::text);
            if let Some(start) = start.as_ref().filter(|_| width_ms % WEEK_MS != 0) {
                let message = "start: has no effect unless the window is a number of whole weeks";
                self.find(Diagnostic::error("rule::no_effect", start.span.clone(), message));
            }
            let day = start.and_then(|s| WEEKDAYS.iter().position(|w| *w == s.value));
            WindowSpec::Sliding { width_ms, every_ms: width_ms, origin_ms: origin(width_ms, day) }
        } else {
            let (gap_ms, max_ms) = (positive(self, "session")?, positive(self, "max")?);
            if max_ms < gap_ms {
                let at = node.get("max").map_or(node.span(), Node::span);
                let message = "max is shorter than the silence that ends a session";
                self.find(
                    Diagnostic::error("rule::impossible", at, message)
                        .label("at least as long as session"),
                );
                return None;
            }
            WindowSpec::Session { gap_ms, max_ms }
        };
        Some(Spanned { value: spec, span: node.span() })
    }

    fn compares(&mut self, node: Option<&Node>) -> Vec<CompareFile> {
        let mut out = Vec::new();
        for (name, node) in node.map_or(&[][..], Node::entries) {
            if name.value == "last" {
                let message =
                    "compare cannot be named last: last.* are the values of the alert's last raise";
                self.find(Diagnostic::error("rule::name_taken", name.span.clone(), message));
                continue;
            }
            if let Some(with) = compare(node) {
                out.push(CompareFile { name: name.clone(), with });
            }
        }
        out
    }

    fn alert(&mut self, node: Option<&Node>, kind: Kind) -> AlertFile {
        let get = |name: &str| node.and_then(|n| n.get(name));
        let no_effect: &[(&str, &str)] = match kind {
            Kind::Instant => &[
                ("hold_for", "a record has no duration"),
                ("reraise", "every record is an alert of its own"),
            ],
            Kind::Sequence => &[
                ("hold_for", "a sequence that came about does not last"),
                ("keep_for", "a sequence that came about is never undone by time"),
                ("reraise", "every sequence is an alert of its own"),
            ],
            Kind::FirstSeen => &[
                ("hold_for", "what is new is new once"),
                ("keep_for", "that a key was new is never undone by time"),
                ("reraise", "every first time is an alert of its own"),
            ],
            Kind::Window | Kind::Detect => &[],
        };
        let of = match kind {
            Kind::Instant => "an instant rule",
            Kind::FirstSeen => "a first-seen rule",
            _ => "a sequence",
        };
        let lasts = !matches!(kind, Kind::Sequence | Kind::FirstSeen);
        for (name, why) in no_effect {
            if let Some(node) = get(name) {
                let message = format!("{name} has no effect in {of}: {why}");
                self.find(Diagnostic::error("rule::no_effect", node.span(), message));
            }
        }
        if let Some(control) = get("control").filter(|_| kind != Kind::Detect) {
            let message = format!("control has no effect in kind {:?}", kind.word());
            let finding = Diagnostic::error("rule::no_effect", control.span(), message);
            self.find(finding.label("belongs to kind \"detect\": it needs p-values"));
        }
        for name in ["respond_in", "handle_in"] {
            let Some(text) = get("assign").and_then(|n| n.get(name)).and_then(Node::text) else {
                continue;
            };
            if !is_term(&text.value) {
                let message = format!(
                    "{name} is {:?}, not a term like 1wd (working days), 3d or 12h",
                    text.value
                );
                self.find(Diagnostic::error("yaml::wrong_type", text.span, message));
            }
        }
        AlertFile {
            hold_ms: get("hold_for").filter(|_| lasts).and_then(Node::span_ms).unwrap_or(0),
            keep_ms: get("keep_for").filter(|_| lasts).and_then(Node::span_ms).unwrap_or(0),
            group: get("group").map(Node::texts).unwrap_or_default(),
            reraise: get("reraise").and_then(Node::sql).filter(|_| lasts && kind != Kind::Instant),
            assign: get("assign").map(Node::object).unwrap_or_default(),
            action: bilingual(get("action")),
            basis: words(get("basis")),
            message: bilingual(get("message")),
            show: get("show").map(Node::texts).unwrap_or_default(),
            control: get("control").and_then(|n| detector::control(n, &mut self.findings)),
        }
    }
}

/// A local time at which windows end: midnight, for whole weeks that of a Monday or of the named day.
fn origin(every_ms: i64, weekday: Option<usize>) -> i64 {
    if every_ms % WEEK_MS != 0 {
        return 0;
    }
    MONDAY_ORIGIN_MS + weekday.map_or(0, |day| day as i64 * DAY_MS)
}

fn is_term(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && ["wd", "d", "h"].contains(&&text[digits..])
}

fn bilingual(node: Option<&Node>) -> Bilingual {
    match node {
        Some(Node::Map(map)) => Bilingual {
            zh: map.get("zh").and_then(Node::text),
            en: map.get("en").and_then(Node::text),
        },
        other => {
            let text = other.and_then(Node::text);
            Bilingual { zh: text.clone(), en: text }
        }
    }
}

fn words(node: Option<&Node>) -> Vec<String> {
    node.map(Node::texts).unwrap_or_default().into_iter().map(|t| t.value).collect()
}

fn params(node: Option<&Node>) -> Vec<(Spanned<String>, Value)> {
    let scalar =
        |(name, node): &(Spanned<String>, Node)| node.scalar().map(|s| (name.clone(), s.value()));
    node.map_or(&[][..], Node::entries).iter().filter_map(scalar).collect()
}

pub(super) fn measure((name, node): &(Spanned<String>, Node)) -> Option<MeasureFile> {
    Some(match node {
        Node::Scalar(_) => {
            MeasureFile { name: name.clone(), feed: None, filter: None, value: node.sql()? }
        }
        _ => MeasureFile {
            name: name.clone(),
            feed: node.get("feed").and_then(Node::text),
            filter: node.get("where").and_then(Node::sql),
            value: node.get("value").and_then(Node::sql)?,
        },
    })
}

fn compare(node: &Node) -> Option<Compare> {
    let ms = |name: &str| node.get(name).and_then(Node::span_ms).filter(|ms| *ms > 0);
    let count = |name: &str| node.get(name).and_then(Node::int).and_then(|n| u32::try_from(n).ok());
    if node.get("shift").is_some() {
        return Some(Compare::Shift { shift_ms: ms("shift")? });
    }
    if let Some(key) = node.get("key") {
        return Some(Compare::Peers { key: key.texts() });
    }
    let of = match node.get("of").and_then(Node::text)?.value.as_str() {
        "mean" => HistoryOf::Mean,
        "median" => HistoryOf::Median,
        "max" => HistoryOf::Max,
        "sum" => HistoryOf::Sum,
        _ => return None,
    };
    Some(Compare::History {
        windows: count("windows")?,
        step_ms: ms("step")?,
        skip: count("skip").unwrap_or(0),
        of,
    })
}

fn severity(node: Option<&Node>) -> Vec<(Severity, Option<Sql>)> {
    let word = |n: &Node| n.text().and_then(|t| Severity::parse(&t.value));
    let mut out: Vec<(Severity, Option<Sql>)> = Vec::new();
    for severity in Severity::ALL.into_iter().rev() {
        if let Some(sql) = node.and_then(|n| n.get(severity.word())).and_then(Node::sql) {
            out.push((severity, Some(sql)));
        }
    }
    let last = node.and_then(|n| n.get("else").or(Some(n))).and_then(word);
    out.push((last.unwrap_or(Severity::Low), None));
    out
}

fn test(path: &Path, source: &Arc<str>, node: &Node) -> Option<TestCase> {
    let rows = |node: &Node| -> Rows {
        node.items().iter().map(|n| Spanned { value: n.object(), span: n.span() }).collect()
    };
    let given = node.get("given").map_or(&[][..], Node::entries);
    Some(TestCase {
        path: path.to_owned(),
        source: Arc::clone(source),
        name: node.get("name").and_then(Node::text)?,
        given: given.iter().map(|(feed, node)| (feed.clone(), rows(node))).collect(),
        until: node.get("until").and_then(Node::text)?,
        expect: rows(node.get("expect")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str) -> (Option<RuleFile>, Vec<String>) {
        let (rule, findings) = RuleFile::parse(Path::new("r.yaml"), source);
        let lines =
            findings.iter().map(|d| format!("{} {}", d.code, &source[d.span.clone()])).collect();
        (rule, lines)
    }

    const SURGE: &str = r#"
rule: complaint_surge_business
version: 3
title: {zh: 投诉激增, en: Complaint surge at one business}
kind: window
feed: complaints
where: kind = 'TS' and duplicate_of is null
key: [ucc, "left(region, 4) as city"]
window: {sliding: 7d, every: 1d}
measures:
  n: count(*)
  people: count(distinct complainant_hash)
  failed: {feed: sampling, where: result = 'fail', value: count(*)}
compare: {usual: {windows: 8, step: 7d, of: mean}, year_ago: {shift: 364d}, peers: {key: [city]}}
params: {min_people: 10, times: 1.5, word: 投诉, on_site: true}
when: people >= $min_people and n >= $times * greatest(usual.n, 1)
clear: people < 5
severity: {high: people >= 20, else: medium, critical: people >= 50}
alert:
  keep_for: 3d
  group: [region]
  reraise: n >= 1.5 * last.n
  assign: {department: market_regulation, respond_in: 1wd, handle_in: 15wd}
  basis: [消费者权益保护法, 市场监督管理投诉举报处理办法]
  message: {zh: "{n} 件", en: "{n} complaints"}
tests:
  - name: ten people
    given: {complaints: [{at: 2026-03-02, repeat: 11, every: 8h, ucc: $A, complainant_hash: "p{i}"}]}
    until: 2026-03-08
    expect: [{rule: complaint_surge_business, key: {ucc: $A}, severity: medium, people: 10}]
"#;

    #[test]
    fn a_whole_rule() {
        let (rule, findings) = parse(SURGE);
        assert_eq!(findings, Vec::<String>::new());
        let rule = rule.expect("read");
        assert_eq!((rule.version, rule.status.value, rule.unread.any()), (3, Status::Live, false));
        assert_eq!(rule.key_names().collect::<Vec<_>>(), ["ucc", "city"]);
        assert_eq!(rule.key[1].sql.text.trim(), "left(region, 4)");
        assert_eq!(rule.measures[2].feed.as_ref().map(|f| f.value.as_str()), Some("sampling"));
        let ladder: Vec<_> = rule.severity.iter().map(|(s, e)| (s.word(), e.is_some())).collect();
        assert_eq!(ladder, [("critical", true), ("high", true), ("medium", false)]);
        assert_eq!(rule.compares.len(), 3);
        assert_eq!(rule.params[1].1, Value::from(1.5));
        assert_eq!(rule.alert.keep_ms, 3 * DAY_MS);
        assert_eq!(rule.tests[0].given[0].1[0].value["repeat"], Value::from(11));
        let when = rule.when.expect("when");
        let at = when.text.find("usual.n").expect("there");
        assert_eq!(&SURGE[when.file_span(at..at + 7)], "usual.n");
    }

    #[test]
    fn windows() {
        let sliding = |width_ms, every_ms, origin_ms| {
            Some(WindowSpec::Sliding { width_ms, every_ms, origin_ms })
        };
        let hour = DAY_MS / 24;
        for (window, expect, finding) in [
            ("{sliding: 7d}", sliding(WEEK_MS, DAY_MS, 0), ""),
            ("{sliding: 8h}", sliding(8 * hour, 8 * hour, 0), ""),
            ("{sliding: 28d, every: 7d}", sliding(4 * WEEK_MS, WEEK_MS, MONDAY_ORIGIN_MS), ""),
            ("{tumbling: 2w}", sliding(2 * WEEK_MS, 2 * WEEK_MS, MONDAY_ORIGIN_MS), ""),
            (
                "{tumbling: 7d, start: sunday}",
                sliding(WEEK_MS, WEEK_MS, MONDAY_ORIGIN_MS + 6 * DAY_MS),
                "",
            ),
            ("{tumbling: 1d}", sliding(DAY_MS, DAY_MS, 0), ""),
            (
                "{session: 3d, max: 30d}",
                Some(WindowSpec::Session { gap_ms: 3 * DAY_MS, max_ms: 30 * DAY_MS }),
                "",
            ),
            ("{sliding: 7d, every: 8d}", None, "rule::impossible 8d"),
            ("{sliding: 0d}", None, "yaml::wrong_type 0d"),
            ("{session: 3d, max: 1d}", None, "rule::impossible 1d"),
            ("{session: 3d}", None, "yaml::missing_field session"),
            ("{tumbling: 1d, start: monday}", sliding(DAY_MS, DAY_MS, 0), "rule::no_effect monday"),
        ] {
            let (rule, findings) = parse(&SURGE.replace("{sliding: 7d, every: 1d}", window));
            assert_eq!(rule.expect("read").window.map(|w| w.value), expect, "{window}");
            assert_eq!(findings.join(" "), finding, "{window}");
        }
    }

    #[test]
    fn findings() {
        for (from, to, expect) in [
            ("kind: window", "kind: coverage", "rule::not_yet coverage"),
            ("clear:", "inner: {key: [region]}\nclear:", "rule::not_yet inner"),
            ("version: 3", "version: 0", "yaml::wrong_type 0"),
            ("clear:", "claer:", "yaml::unknown_field claer"),
            (
                "left(region, 4) as city",
                "left(region, 4)",
                "rule::key_without_name \"left(region, 4)\"",
            ),
            ("[ucc,", "[ucc, ucc,", "rule::name_taken ucc"),
            ("year_ago:", "last:", "rule::name_taken last"),
            ("1wd", "soon", "yaml::wrong_type soon"),
            ("3d\n", "3d\n  hold_fro: 1d\n", "yaml::unknown_field hold_fro"),
            ("else: medium, ", "", "yaml::missing_field high"),
            ("feed: complaints\n", "", "yaml::missing_field rule"),
            (
                "kind: window\nfeed: complaints",
                "kind: window\nfeed: complaints\nfeed: x",
                "yaml::duplicate_key feed",
            ),
        ] {
            let source = SURGE.replacen(from, to, 1);
            assert_ne!(source, SURGE, "{from}");
            assert_eq!(parse(&source).1.join(" "), expect, "{to}");
        }
    }

    #[test]
    fn an_instant_rule() {
        let source = "rule: a\ntitle: 甲\nkind: instant\nfeed: f\nseverity: high\nwindow: {sliding: 7d}\n\
                      alert: {hold_for: 1d, reraise: n > 1}";
        let (rule, findings) = parse(source);
        assert_eq!(
            findings.join(" "),
            "rule::no_effect window rule::no_effect 1d rule::no_effect n > 1"
        );
        let rule = rule.expect("read");
        assert_eq!(rule.title.zh, rule.title.en);
        assert!(rule.key.is_empty() && rule.when.is_none());
    }
}
