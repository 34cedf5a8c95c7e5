//! What an office wrote about a feed: `rules/feeds/<feed>.yaml` → [`FeedSpec`].
//!
//! In: the text of a feed file. Out: the schema by which `decode` reads its rows and the settings by which this room
//! puts them into event time; or all findings at once, each with its place. A file with an error is not used.
//! Reading a directory is the only thing done here with the disk.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    fields::FEED,
    read::{IDLE_AFTER_MS, MAX_SKEW_MS, Reader},
};
use crate::model::{
    diagnostic::{Diagnostic, Level},
    schema::{Encoding, FeedSchema},
    time::Zone,
    yaml::Node,
};

/// A feed as its file describes it.
#[derive(Debug, Clone)]
pub struct FeedSpec {
    /// Columns, record id, event time, mapping.
    pub schema: Arc<FeedSchema>,
    /// The file, as the user named it.
    pub path: PathBuf,
    /// Title in Chinese and English, either may be empty.
    pub title: (String, String),
    /// What it holds, for people.
    pub about: String,
    /// What each column holds, by position; empty where the file does not say.
    pub column_about: Vec<String>,
    /// The watermark stays so far behind the latest event time.
    pub out_of_order_ms: i64,
    /// Rows so far behind the watermark still correct closed windows.
    pub allowed_lateness_ms: i64,
    /// Record ids are remembered for so long; at least the sum of the two above.
    pub dedup_for_ms: i64,
    /// A partition silent for so long does not hold back the watermark.
    pub idle_after_ms: i64,
    /// Rows dated further ahead of their arrival are quarantined.
    pub max_skew_ms: i64,
    /// From here on a key without rows counts 0; else from the first closed pane.
    pub history_from_ms: Option<i64>,
    /// Encoding of text sources.
    pub encoding: Encoding,
}

impl FeedSpec {
    /// The feed's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.schema.feed
    }

    /// How far behind the watermark what was admitted can still change: as late as a row may come, and as long as a known
    /// record may be replaced by a version of another time.
    #[must_use]
    pub fn correctable_ms(&self) -> i64 {
        let late = self.out_of_order_ms + self.allowed_lateness_ms;
        if self.schema.record_id.is_empty() { late } else { late.max(self.dedup_for_ms) }
    }

    /// Whether a window that was closed stays as it is: no late rows, and no record that a later row could replace.
    #[must_use]
    pub fn closes_for_good(&self) -> bool {
        self.allowed_lateness_ms == 0 && self.schema.record_id.is_empty()
    }

    /// How far behind the feed's watermark rows of any partition are still taken: what is older may be in a window that can
    /// no longer change, or in a pane that is gone.
    #[must_use]
    pub fn kept_ms(&self) -> i64 {
        if self.closes_for_good() { 0 } else { self.correctable_ms() }
    }

    /// A spec of this schema with every setting at its default: in order, no lateness.
    #[must_use]
    pub fn plain(schema: FeedSchema) -> Self {
        Self {
            column_about: vec![String::new(); schema.columns.len()],
            schema: Arc::new(schema),
            path: PathBuf::new(),
            title: Default::default(),
            about: String::new(),
            out_of_order_ms: 0,
            allowed_lateness_ms: 0,
            dedup_for_ms: 0,
            idle_after_ms: IDLE_AFTER_MS,
            max_skew_ms: MAX_SKEW_MS,
            history_from_ms: None,
            encoding: Encoding::Auto,
        }
    }
}

/// Reads a feed file. `zone` is that of `history_from`.
///
/// # Errors
/// All findings, at least one of them an error; warnings of a good file are dropped (see [`check`]).
pub fn parse(path: &Path, source: &str, zone: &Zone) -> Result<FeedSpec, Vec<Diagnostic>> {
    let (spec, findings) = check(path, source, zone);
    spec.ok_or(findings)
}

/// Reads a feed file: the spec, unless there are errors, and all findings.
///
/// Codes: those of `yaml::` and `feed::unknown_column`, `feed::wrong_type`, `feed::no_effect`, `feed::bad_format`,
/// `feed::unknown_code`, `feed::sql_word`, `feed::bad_date`, `feed::dedup_too_short`, `feed::explode_not_in_id`,
/// `feed::part_not_in_id`, `feed::personal_shown`, `feed::id_not_filename`.
#[must_use]
pub fn check(path: &Path, source: &str, zone: &Zone) -> (Option<FeedSpec>, Vec<Diagnostic>) {
    let mut reader = Reader::default();
    let mut spec = None;
    match Node::parse(source) {
        Ok(root) => {
            reader.findings = FEED.check(&root);
            // With a wrong structure there is nothing sure to say about meaning.
            if !has_errors(&reader.findings) {
                spec = reader.feed(path, &root, zone);
            }
        }
        Err(findings) => reader.findings = findings,
    }
    let mut findings = reader.findings;
    for finding in &mut findings {
        finding.file = path.to_owned();
    }
    findings.sort_by_key(|f| f.span.start);
    (spec.filter(|_| !has_errors(&findings)), findings)
}

/// The feeds of the `*.yaml` files in `dir`, in the order of their names, and all findings.
#[must_use]
pub fn load_dir(dir: &Path, zone: &Zone) -> (Vec<FeedSpec>, Vec<Diagnostic>) {
    let unreadable = |path: &Path, e: &std::io::Error| {
        let mut finding =
            Diagnostic::error("feed::unreadable", 0..0, format!("cannot be read: {e}"));
        finding.file = path.to_owned();
        finding
    };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) => return (Vec::new(), vec![unreadable(dir, &e)]),
    };
    let is_yaml = |p: &PathBuf| p.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).filter(is_yaml).collect();
    paths.sort();
    let (mut specs, mut findings) = (Vec::new(), Vec::new());
    for path in &paths {
        match fs::read_to_string(path) {
            Ok(source) => {
                let (spec, found) = check(path, &source, zone);
                specs.extend(spec);
                findings.extend(found);
            }
            Err(e) => findings.push(unreadable(path, &e)),
        }
    }
    (specs, findings)
}

fn has_errors(findings: &[Diagnostic]) -> bool {
    findings.iter().any(|f| f.level == Level::Error)
}

#[cfg(test)]
mod tests {
    use super::{super::read::OPS, *};
    use crate::model::{
        schema::{ColumnType, Invalid},
        time::{DAY_MS, HOUR_MS, MINUTE_MS},
    };

    fn zone() -> Zone {
        Zone::parse("Asia/Shanghai").unwrap()
    }

    const GOOD: &str = "\
feed: complaints
title: {zh: 投诉举报, en: Complaints}
record_id: [order_no]
event_time: registered_at
op: op
out_of_order: 1h
allowed_lateness: 7d
dedup_for: 30d
history_from: 2024-01-01
names: {ucc: respondent_name}
delays: {occurred_on: 60d}
columns:
  order_no: {type: text, from: [工单编号, 登记编号]}
  registered_at: {type: timestamp, from: 登记时间, formats: ['%Y年%m月%d日', '%Y/%m/%d']}
  occurred_on: date
  ucc: {type: ucc, invalid: reject}
  respondent_name: text
  kind: {type: text, codes: [TS, JB], map: {投诉: TS, 举报: JB}, default: TS}
  amount_yuan: {type: decimal, scale: 2, from: 金额(万元), times: {金额(万元): 10000}, min: 0}
  phone: {type: text, personal: true}
  op: {type: text, map: {撤回: withdraw}}
";

    #[test]
    fn a_good_file() {
        let spec = parse(Path::new("rules/feeds/complaints.yaml"), GOOD, &zone()).unwrap();
        let schema = &spec.schema;
        assert_eq!(
            (spec.name(), spec.title.0.as_str(), spec.title.1.as_str()),
            ("complaints", "投诉举报", "Complaints")
        );
        assert_eq!(
            (spec.out_of_order_ms, spec.allowed_lateness_ms, spec.dedup_for_ms),
            (HOUR_MS, 7 * DAY_MS, 30 * DAY_MS)
        );
        assert_eq!((spec.idle_after_ms, spec.max_skew_ms), (5 * MINUTE_MS, HOUR_MS));
        assert_eq!(spec.history_from_ms, zone().parse_instant("2024-01-01"));
        assert_eq!(
            (schema.record_id.as_slice(), schema.event_time, schema.op),
            (&[0][..], 1, Some(8))
        );
        assert_eq!(
            (schema.names.as_slice(), schema.delays.as_slice()),
            (&[(3, 4)][..], &[(2, 60 * DAY_MS)][..])
        );
        assert!(schema.columns[0].required && !schema.columns[4].required);
        assert_eq!(schema.columns[1].from, ["登记时间"]);
        assert_eq!(schema.columns[3].invalid, Invalid::Reject);
        assert_eq!(schema.columns[6].kind, ColumnType::Decimal { scale: 2 });
        assert_eq!(
            (schema.columns[6].times.as_slice(), schema.columns[6].min),
            (&[("金额(万元)".to_owned(), 10_000)][..], Some(0.0))
        );
        assert_eq!(schema.columns[8].codes, OPS);
        assert!(schema.has_personal());
    }

    #[test]
    fn findings_with_their_places() {
        for (from, to, code, at) in [
            (
                "event_time: registered_at",
                "event_time: registred_at",
                "feed::unknown_column",
                "registred_at",
            ),
            ("event_time: registered_at", "event_time: ucc", "feed::wrong_type", "ucc"),
            ("[order_no]", "[order_no, orde_no]", "feed::unknown_column", "orde_no"),
            ("op: op\n", "op: nop\n", "feed::unknown_column", "nop"),
            ("op: op\n", "op: kind\n", "feed::unknown_code", "kind"),
            ("op: op\n", "version: op\n", "feed::wrong_type", "op"),
            ("撤回: withdraw", "撤回: withdrawn", "feed::unknown_code", "withdrawn"),
            ("举报: JB", "举报: BJ", "feed::unknown_code", "BJ"),
            ("default: TS", "default: XX", "feed::unknown_code", "XX"),
            ("{ucc: respondent_name}", "{ucc: phone}", "feed::personal_shown", "phone"),
            ("{ucc: respondent_name}", "{uc: respondent_name}", "feed::unknown_column", "uc"),
            ("{occurred_on: 60d}", "{ucc: 60d}", "feed::wrong_type", "ucc"),
            ("dedup_for: 30d", "dedup_for: 7d", "feed::dedup_too_short", "7d"),
            (
                "history_from: 2024-01-01",
                "history_from: 2024-02-30",
                "feed::bad_date",
                "2024-02-30",
            ),
            ("'%Y/%m/%d'", "'yyyy/mm/dd'", "feed::bad_format", "'yyyy/mm/dd'"),
            (
                "respondent_name: text",
                "respondent_name: {type: text, min: 10}",
                "feed::no_effect",
                "10",
            ),
            (
                "occurred_on: date",
                "occurred_on: {type: date, split: ','}",
                "feed::no_effect",
                "','",
            ),
            ("personal: true", "personal: true, codes: [a]", "feed::no_effect", "[a]"),
            ("scale: 2", "scale: 19", "feed::wrong_type", "19"),
            (
                "  respondent_name: text",
                "  respondent_name: text\n  order: text",
                "feed::sql_word",
                "order",
            ),
            ("op: op\n", "explode: [kind]\n", "feed::explode_not_in_id", "[kind]"),
            ("op: op\n", "parts: [kind]\n", "feed::part_not_in_id", "kind"),
            ("feed: complaints", "feed: complaint", "feed::id_not_filename", "complaint"),
            ("out_of_order: 1h", "out_of_order: soon", "yaml::wrong_type", "soon"),
            ("occurred_on: date", "occurred_on: day", "yaml::wrong_type", "day"),
            ("occurred_on: date", "ucc: text", "yaml::duplicate_key", "ucc"),
            ("from: 登记时间", "form: 登记时间", "yaml::unknown_field", "form"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let source = GOOD.replacen(from, to, 1);
            let (spec, findings) = check(Path::new("complaints.yaml"), &source, &zone());
            assert!(spec.is_none(), "{to}");
            let found: Vec<_> =
                findings.iter().map(|f| (f.code, &source[f.span.clone()])).collect();
            assert!(found.contains(&(code, at)), "{to}: {found:?}");
        }
    }

    #[test]
    fn all_findings_at_once() {
        let source = GOOD
            .replace("event_time: registered_at", "event_time: nix")
            .replace("举报: JB", "举报: BJ")
            .replace("dedup_for: 30d", "dedup_for: 1d");
        let findings = parse(Path::new("complaints.yaml"), &source, &zone()).unwrap_err();
        let codes: Vec<_> = findings.iter().map(|f| f.code).collect();
        assert!(
            codes.contains(&"feed::unknown_column") && codes.contains(&"feed::unknown_code"),
            "{codes:?}"
        );
        assert!(findings.iter().all(|f| f.file == Path::new("complaints.yaml")));
    }

    #[test]
    fn the_schema_for_editors_knows_the_fields() {
        let schema = super::super::fields::json_schema().to_string();
        for word in ["allowed_lateness", "record_id", "gb18030", "personal"] {
            assert!(schema.contains(word), "{word}");
        }
    }
}
