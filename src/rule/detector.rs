//! Detector: the parts of a `detect` rule that others have not, as its author wrote them.
//!
//! In: the fields `series`, `detector`, `fallback`, `exclude` of a checked tree. Out: [`DetectFile`] with detectors built
//! from their parameters, by the same catalogue as `forewarn detect`; or findings at the very parameter that is wrong.
//! Not here: what the series' expressions mean (`scope`), whether the parts suit each other (`check`).

use std::{ops::Range, sync::Arc};

use arrow::datatypes::DataType;
use serde_json::Map;

use super::{
    file::MeasureFile,
    joint,
    nowcast::{NOWCAST, NowcastFile},
    period::Period,
    scan::{CLUSTER, ScanFile},
    table::PairsFile,
};
use crate::{
    detect::{self, SeriesDetector, catalogue},
    model::{
        diagnostic::{Diagnostic, did_you_mean},
        time::days_from_civil,
        window::PaneGrid,
        yaml::{Node, Spanned},
    },
};

/// Names that conditions and messages may use beside the series' own: what a detector tells of a period.
pub const TOLD: [&str; 5] = ["expected", "upper_bound", "score", "p_value", "alarm"];
/// Positions among these.
pub(super) const P_VALUE: usize = 3;
pub(super) const ALARM: usize = 4;
/// And what the control of false discoveries adds.
pub const ADJUSTED: &str = "q_value";

/// What makes a `detect` rule.
#[derive(Debug, Clone)]
pub struct DetectFile {
    /// `series.period`
    pub period: Spanned<Period>,
    /// Whether a period without records has the value 0; else it has none.
    pub fill_zero: bool,
    /// Whether the second measure is the population behind the first.
    pub population: Option<Range<usize>>,
    /// `series.calendar`: whose days off are taken into account; where it stands.
    pub calendar: Option<Range<usize>>,
    /// `series.baseline`: periods that a chart is set to, or that a method which fits all there is gets.
    pub baseline: Option<Spanned<usize>>,
    /// `series.run`: periods that a chart is drawn over.
    pub run: Option<Spanned<usize>>,
    /// `detector`
    pub detector: MethodFile,
    /// `fallback`: who judges while the detector has no answer.
    pub fallback: Option<MethodFile>,
    /// `nowcast`: what the newest periods will be.
    pub nowcast: Option<NowcastFile>,
    /// `exclude`: first and last local day of periods that are no part of any baseline.
    pub exclude: Vec<(i32, i32)>,
}

impl DetectFile {
    /// The grid of the periods, where they are as long as each other and judged once.
    #[must_use]
    pub fn periods(&self) -> Option<PaneGrid> {
        self.period.value.grid()
    }
}

/// A detector with its name.
#[derive(Debug, Clone)]
pub struct MethodFile {
    /// Its name and where it stands.
    pub name: Spanned<String>,
    /// The method.
    pub method: Method,
    /// What its author wrote, for readers.
    pub parameters: Map<String, serde_json::Value>,
}

/// What a detector looks at.
#[derive(Debug, Clone)]
pub enum Method {
    /// One series, against its own past.
    Series(Arc<dyn SeriesDetector>),
    /// The pairs of a table, beside each other.
    Pairs(PairsFile),
    /// All places, beside each other and their past.
    Scan(ScanFile),
}

impl MethodFile {
    /// The detector, where it judges one series.
    #[must_use]
    pub fn series(&self) -> Option<&Arc<dyn SeriesDetector>> {
        match &self.method {
            Method::Series(detector) => Some(detector),
            Method::Pairs(_) | Method::Scan(_) => None,
        }
    }

    /// Names and types of what it tells beside [`TOLD`].
    #[must_use]
    pub fn told(&self) -> Vec<(&'static str, DataType)> {
        match &self.method {
            Method::Series(_) => Vec::new(),
            Method::Pairs(pairs) => pairs.told().collect(),
            Method::Scan(_) => CLUSTER.into(),
        }
    }
}

impl DetectFile {
    /// Whether the detector tells something of this name, so that no value may be called so.
    #[must_use]
    pub fn tells(&self, name: &str) -> bool {
        let own = self.detector.told();
        TOLD.contains(&name)
            || name == ADJUSTED
            || (self.nowcast.is_some() && NOWCAST.contains(&name))
            || own.iter().any(|(told, _)| *told == name)
    }
}

/// `control:`
#[derive(Debug, Clone)]
pub struct ControlFile {
    /// `fdr`: the share of false alarms among all of a family and period.
    pub fdr: f64,
    /// `over`: key columns that a family ranges over; empty: all.
    pub over: Vec<Spanned<String>>,
    /// Where it stands.
    pub span: Range<usize>,
}

/// The series' measures: the value, and the population behind it where there is one.
pub(super) fn measures(series: Option<&Node>) -> Vec<MeasureFile> {
    let Some(series) = series else { return Vec::new() };
    let of = |field: &str, name: &str| {
        let node = series.get(field)?;
        let name = Spanned { value: name.to_owned(), span: node.span() };
        super::read::measure(&(name, node.clone()))
    };
    let value = of("value", "value").or_else(|| of("numerator", "value"));
    let population = of("exposure", "exposure").or_else(|| of("denominator", "denominator"));
    value.into_iter().chain(population).collect()
}

/// The parts of a rule whose tree is `root`; what is wrong with them goes to `findings`.
pub(super) fn read(root: &Node, findings: &mut Vec<Diagnostic>) -> Option<DetectFile> {
    let series = root.get("series")?;
    let period = period(series, findings);
    let detector = root.get("detector").and_then(|node| method(node, "detector", findings));
    let fallback = root.get("fallback").and_then(|node| method(node, "fallback", findings));
    let periods = period.as_ref().and_then(|period| period.value.grid());
    let nowcast = root.get("nowcast");
    let nowcast = nowcast.and_then(|node| NowcastFile::read(node, periods, findings));
    let exclude = root.get("exclude").map_or(&[][..], Node::items);
    let exclude = exclude.iter().filter_map(|node| excluded(node, findings)).collect();
    let count = |name: &str| {
        let node = series.get(name)?;
        Some(Spanned { value: usize::try_from(node.int()?).ok()?, span: node.span() })
    };
    let population = series.get("exposure").or_else(|| series.get("denominator"));
    for (one, other) in [("numerator", "denominator"), ("denominator", "numerator")] {
        if let (Some(node), None) = (series.get(one), series.get(other)) {
            let message = format!("the series has a {one} and no {other}");
            let finding = Diagnostic::error("yaml::missing_field", node.span(), message);
            findings.push(finding.label(format!("add {other}: …")));
        }
    }
    if series.get("value").is_some() && series.get("numerator").is_some() {
        let at = series.get("numerator").map_or(series.span(), Node::span);
        let message = "the series has a value and a numerator: only one can be judged";
        findings.push(
            Diagnostic::error("rule::impossible", at, message).label("write value: or numerator:"),
        );
    }
    Some(DetectFile {
        period: period?,
        fill_zero: series.get("fill").and_then(Node::text).is_none_or(|fill| fill.value != "none"),
        population: population.map(Node::span),
        calendar: series.get("calendar").map(Node::span),
        baseline: count("baseline"),
        run: count("run"),
        detector: detector?,
        fallback,
        nowcast,
        exclude,
    })
}

fn period(series: &Node, findings: &mut Vec<Diagnostic>) -> Option<Spanned<Period>> {
    let period = series.get("period").and_then(Node::text)?;
    let span = |name: &str| series.get(name).and_then(Node::span_ms);
    match Period::parse(&period.value, span("every"), span("around")) {
        Ok(value) => Some(Spanned { value, span: period.span }),
        Err((name, why)) => {
            let at = series.get(name).and_then(Node::text).unwrap_or(period);
            let message = format!("{name} is {:?}: {why}", at.value);
            findings.push(Diagnostic::error("yaml::wrong_type", at.span, message));
            None
        }
    }
}

/// `control:` of `alert:`.
pub(super) fn control(node: &Node, findings: &mut Vec<Diagnostic>) -> Option<ControlFile> {
    let fdr = node.get("fdr")?;
    let value = fdr.scalar().and_then(|s| s.value().as_f64())?;
    if !(value > 0.0 && value < 1.0) {
        let message = format!("fdr is {value}, it must be between 0 and 1");
        let finding = Diagnostic::error("rule::impossible", fdr.span(), message);
        findings.push(finding.label("the share of alarms that may be false, like 0.05"));
        return None;
    }
    let over = node.get("over").map(Node::texts).unwrap_or_default();
    Some(ControlFile { fdr: value, over, span: node.span() })
}

fn excluded(node: &Node, findings: &mut Vec<Diagnostic>) -> Option<(i32, i32)> {
    let mut day = |name: &str| {
        let text = node.get(name).and_then(Node::text)?;
        let parts: Vec<u32> = text.value.split('-').filter_map(|p| p.parse().ok()).collect();
        let day = match parts.as_slice() {
            [y, m, d] if text.value.len() == 10 => days_from_civil(*y as i32, *m, *d),
            _ => None,
        };
        if day.is_none() {
            let message = format!("{name} is {:?}, not a date like 2026-02-17", text.value);
            findings.push(Diagnostic::error("yaml::wrong_type", text.span, message));
        }
        day
    };
    let (from, to) = (day("from")?, day("to")?);
    if to < from {
        let message = "these periods end before they begin";
        findings.push(Diagnostic::error("rule::impossible", node.span(), message));
        return None;
    }
    Some((from, to))
}

/// The one detector that a map names.
fn method(node: &Node, what: &str, findings: &mut Vec<Diagnostic>) -> Option<MethodFile> {
    let [(name, parameters)] = node.entries() else {
        let message = format!("{what} names {} detectors, one judges", node.entries().len());
        let finding = Diagnostic::error("yaml::wrong_type", node.span(), message);
        findings.push(finding.label("write one, like {ears: {method: c2}}"));
        return None;
    };
    // A name that is none has its finding from the table of fields.
    let build: Build = match name.value.as_str() {
        "disproportionality" => joint::disproportionality,
        "gamma_poisson" => joint::gamma_poisson,
        "space_time_scan" => joint::space_time_scan,
        _ => {
            catalogue::series_kinds().find(|kind| kind.name == name.value)?;
            of_series
        }
    };
    match build(&name.value, parameters.object()) {
        Ok(method) => Some(MethodFile {
            name: name.clone(),
            method: joint::placed(method, parameters),
            parameters: parameters.object(),
        }),
        Err(error) => {
            findings.extend(wrong_parameters((name, build), parameters, &error));
            None
        }
    }
}

/// How a method is built from its parameters.
type Build = fn(&str, Map<String, serde_json::Value>) -> Result<Method, catalogue::Error>;

fn of_series(
    name: &str,
    parameters: Map<String, serde_json::Value>,
) -> Result<Method, catalogue::Error> {
    Ok(Method::Series(Arc::from(catalogue::of_series(name, parameters)?)))
}

/// Code of what is wrong with a detector's parameters.
const PARAMETER: &str = "rule::detector_parameter";

/// What is wrong with a detector's parameters, each at its place.
fn wrong_parameters(
    (name, build): (&Spanned<String>, Build),
    parameters: &Node,
    error: &catalogue::Error,
) -> Vec<Diagnostic> {
    let detector = &name.value;
    match error {
        catalogue::Error::Range {
            source: detect::Error::Parameter { name: of, value, range },
            ..
        } => {
            let mut found = Some(parameters);
            for part in of.split('.') {
                found = found.and_then(|node| node.get(part).or(Some(node)));
            }
            let at = found.filter(|node| *node != parameters).map_or(name.span.clone(), Node::span);
            let message = format!("{of} of {detector} is {value}, it must be {range}");
            vec![Diagnostic::error(PARAMETER, at, message)]
        }
        catalogue::Error::Parameters { .. } => {
            let wrong = |(key, node): &(Spanned<String>, Node)| {
                // Each alone, so that one does not hide the next.
                let alone = Map::from_iter([(key.value.clone(), node.value())]);
                match build(detector, alone) {
                    Err(catalogue::Error::Parameters { source, .. }) => {
                        Some(unreadable(detector, key, node, &source.to_string()))
                    }
                    _ => None,
                }
            };
            parameters.entries().iter().filter_map(wrong).collect()
        }
        other => {
            let message = format!("{detector}: {other}");
            vec![Diagnostic::error(PARAMETER, name.span.clone(), message)]
        }
    }
}

/// One parameter that cannot be read, for the reason that serde gives.
fn unreadable(detector: &str, key: &Spanned<String>, node: &Node, reason: &str) -> Diagnostic {
    let quoted: Vec<&str> = reason.split('`').skip(1).step_by(2).collect();
    let (word, known) = quoted.split_first().map_or(("", &[][..]), |(word, known)| (*word, known));
    let near = did_you_mean(word, known.iter().copied());
    let finding = if reason.starts_with("unknown field") {
        let inside = || key_named(node, word);
        let at = if key.value == word { Some(key.span.clone()) } else { inside() };
        let message = format!("{detector} has no parameter {word:?}");
        let finding = Diagnostic::error(PARAMETER, at.unwrap_or(node.span()), message);
        match near {
            Some(_) => finding,
            None => finding.help(format!("parameters here: {}", known.join(", "))),
        }
    } else {
        let message = format!("{} of {detector} cannot be read: {reason}", key.value);
        Diagnostic::error(PARAMETER, node.span(), message)
    };
    finding.label(near.map_or_else(String::new, |near| format!("did you mean {near:?}?")))
}

/// Where a key of this name stands, however deep.
fn key_named(node: &Node, name: &str) -> Option<Range<usize>> {
    let entries = node.entries();
    let here = entries.iter().find(|(key, _)| key.value == name).map(|(key, _)| key.span.clone());
    here.or_else(|| entries.iter().find_map(|(_, inner)| key_named(inner, name)))
}
