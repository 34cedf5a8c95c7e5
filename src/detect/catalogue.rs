//! Catalogue: what detectors there are, made from their own doc comments, and how one is built from what a user wrote.
//!
//! The text of each detector's file is part of the program; its doc comment has the fixed headings *What it finds*,
//! *Parameters*, *When it misleads* and *Source*. A test holds every detector to them.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{SeriesDetector, chart, outbreak, ratio, season};

/// One kind of detector.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its name in a rule.
    pub name: &'static str,
    /// The text of its file.
    text: &'static str,
    /// How it is built from its parameters; `None` for those that do not judge one series.
    build: Option<Build>,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).finish_non_exhaustive()
    }
}

type Build = fn(Value) -> Result<Box<dyn SeriesDetector>, serde_json::Error>;

/// A detector of one series.
macro_rules! series {
    ($name:literal, $detector:ty, $file:literal) => {
        Kind { name: $name, text: include_str!($file), build: Some(boxed::<$detector>) }
    };
}

/// A method with another input than one series.
macro_rules! other {
    ($name:literal, $file:literal) => {
        Kind { name: $name, text: include_str!($file), build: None }
    };
}

/// All kinds, by family.
pub const KINDS: &[Kind] = &[
    // outbreak
    series!("bayes_predictive", outbreak::BayesPredictive, "outbreak/bayes.rs"),
    series!("count_exceedance", outbreak::Exceedance, "outbreak/exceedance.rs"),
    series!("ears", outbreak::Ears, "outbreak/ears.rs"),
    series!("farrington_flexible", outbreak::Farrington, "outbreak/farrington/mod.rs"),
    series!("farrington_classic", outbreak::FarringtonClassic, "outbreak/farrington_classic.rs"),
    series!("rki", outbreak::Rki, "outbreak/rki.rs"),
    series!("cdc", outbreak::Cdc, "outbreak/cdc.rs"),
    series!("outbreak_p", outbreak::OutbreakP, "outbreak/outbreakp.rs"),
    other!("nowcast", "outbreak/nowcast.rs"),
    // chart
    series!("cusum", chart::Cusum, "chart/cusum.rs"),
    series!("ewma", chart::Ewma, "chart/ewma.rs"),
    series!("shewhart", chart::Shewhart, "chart/shewhart.rs"),
    series!("glr", chart::Glr, "chart/glr/mod.rs"),
    series!("moving_level", chart::MovingLevel, "chart/moving_level.rs"),
    series!("page_hinkley", chart::PageHinkley, "chart/page_hinkley.rs"),
    series!("adwin", chart::Adwin, "chart/adwin.rs"),
    // season
    series!("holt_winters", season::HoltWinters, "season/holt_winters.rs"),
    series!("ets", season::Ets, "season/ets.rs"),
    series!("stl", season::Stl, "season/stl.rs"),
    series!("s_h_esd", season::SHEsd, "season/s_h_esd.rs"),
    series!("mann_kendall", season::MannKendall, "season/mann_kendall.rs"),
    // ratio
    series!("proportion", ratio::Proportion, "ratio/proportion.rs"),
    other!("two_proportions", "ratio/two_proportions.rs"),
    other!("fisher", "ratio/fisher.rs"),
    other!("funnel", "ratio/funnel.rs"),
    other!("beta_binomial", "ratio/beta_binomial.rs"),
    other!("gamma_poisson", "ratio/gamma_poisson.rs"),
    other!("benford", "ratio/benford.rs"),
    other!("disproportionality", "ratio/disproportionality/mod.rs"),
    other!("multiplicity", "ratio/multiplicity.rs"),
    // cluster
    other!("kulldorff", "cluster/kulldorff.rs"),
    other!("space_time_scan", "cluster/space_time.rs"),
];

/// What a detector's doc comment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name in a rule.
    pub name: &'static str,
    /// One sentence.
    pub summary: String,
    /// What it finds.
    pub finds: String,
    /// Parameters with defaults and ranges, one a line.
    pub parameters: String,
    /// When it misleads.
    pub misleads: String,
    /// Publication, reference software, golden family.
    pub source: String,
}

/// Why a detector cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no `kind`.
    #[error("the detector has no kind, write one of: {known}")]
    NoKind {
        /// All names.
        known: String,
    },
    /// No kind has this name.
    #[error("there is no detector {name:?}, write one of: {known}")]
    UnknownKind {
        /// What was written.
        name: String,
        /// All names.
        known: String,
    },
    /// The kind does not judge a series.
    #[error("{name} does not judge a single series")]
    NotOfSeries {
        /// Its name.
        name: &'static str,
    },
    /// A parameter is unknown or of another type.
    #[error("the parameters of {name} cannot be read")]
    Parameters {
        /// Name of the kind.
        name: &'static str,
        /// What is wrong with them.
        source: serde_json::Error,
    },
    /// A parameter is out of its range.
    #[error("a parameter of {name} is out of its range")]
    Range {
        /// Name of the kind.
        name: &'static str,
        /// Which.
        source: super::Error,
    },
}

/// The detector that `{kind: …, parameters}` names.
///
/// # Errors
/// [`Error`], which tells what can be written instead.
pub fn build(mut parameters: Map<String, Value>) -> Result<Box<dyn SeriesDetector>, Error> {
    let name = match parameters.shift_remove("kind") {
        Some(Value::String(name)) => name,
        Some(other) => return Err(Error::UnknownKind { name: other.to_string(), known: known() }),
        None => return Err(Error::NoKind { known: known() }),
    };
    of_series(&name, parameters)
}

/// The detector of this name with these parameters.
///
/// # Errors
/// As [`build`].
pub fn of_series(
    name: &str,
    parameters: Map<String, Value>,
) -> Result<Box<dyn SeriesDetector>, Error> {
    let Some(kind) = KINDS.iter().find(|k| k.name == name) else {
        return Err(Error::UnknownKind { name: name.to_owned(), known: known() });
    };
    let name = kind.name;
    let build = kind.build.ok_or(Error::NotOfSeries { name })?;
    let detector =
        build(Value::Object(parameters)).map_err(|source| Error::Parameters { name, source })?;
    detector.check().map_err(|source| Error::Range { name, source })?;
    Ok(detector)
}

fn known() -> String {
    series_kinds().map(|k| k.name).collect::<Vec<_>>().join(", ")
}

/// The kinds that judge one series.
pub fn series_kinds() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(|k| k.build.is_some())
}

/// What the doc comments say, in the order of [`KINDS`].
#[must_use]
pub fn entries() -> Vec<Entry> {
    KINDS.iter().map(Kind::entry).collect()
}

impl Kind {
    /// What the detector's doc comment says; a heading that it lacks is empty.
    #[must_use]
    pub fn entry(&self) -> Entry {
        let doc = doc_with_headings(self.text);
        let part = |heading: &str| section(&doc, heading);
        Entry {
            name: self.name,
            summary: joined(doc.iter().take_while(|l| !l.starts_with('#')).copied()),
            finds: part("What it finds"),
            parameters: part("Parameters"),
            misleads: part("When it misleads"),
            source: part("Source"),
        }
    }
}

fn boxed<D: SeriesDetector + DeserializeOwned + 'static>(
    parameters: Value,
) -> Result<Box<dyn SeriesDetector>, serde_json::Error> {
    Ok(Box::new(serde_json::from_value::<D>(parameters)?))
}

/// The lines of the first doc comment that has the heading *What it finds*.
fn doc_with_headings(text: &str) -> Vec<&str> {
    let mut doc = Vec::new();
    for line in text.lines() {
        match line.trim_start().strip_prefix("///") {
            Some(rest) => doc.push(rest.trim()),
            None if doc.contains(&"# What it finds") => return doc,
            None => doc.clear(),
        }
    }
    doc
}

/// The text under a heading, up to the next.
fn section(doc: &[&str], heading: &str) -> String {
    let heading = format!("# {heading}");
    let lines = doc.iter().skip_while(|l| **l != heading).skip(1);
    joined(lines.take_while(|l| !l.starts_with("# ")).copied())
}

/// Lines as paragraphs: a list item or an empty line begins a new line, others go on.
fn joined<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut out = String::new();
    let mut begin = true;
    for line in lines {
        if line.is_empty() {
            begin = true;
            continue;
        }
        if begin || line.starts_with("- ") {
            out.push_str(if out.is_empty() { "" } else { "\n" });
        } else {
            out.push(' ');
        }
        out.push_str(line);
        begin = false;
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_detector_tells_all_headings() {
        for entry in entries() {
            for part in
                [&entry.summary, &entry.finds, &entry.parameters, &entry.misleads, &entry.source]
            {
                assert!(part.len() > 20, "{}: {entry:#?}", entry.name);
            }
            assert!(entry.parameters.starts_with("- `"), "{}: {}", entry.name, entry.parameters);
            let items = entry.parameters.lines().filter(|l| l.starts_with("- `"));
            for item in items {
                let said = item.to_lowercase().contains("default") || item.contains("see ");
                assert!(said, "{}: no default in {item:?}", entry.name);
            }
        }
    }

    /// An error with its causes, or nothing.
    fn told(parameters: Map<String, Value>) -> String {
        let Err(error) = build(parameters) else { return String::new() };
        let cause = std::error::Error::source(&error).map(|c| format!(": {c}"));
        format!("{error}{}", cause.unwrap_or_default())
    }

    #[test]
    fn every_parameter_of_the_doc_is_one_of_the_detector() {
        for kind in series_kinds() {
            for line in kind.entry().parameters.lines().filter(|l| l.starts_with("- `")) {
                let name = line[3..].split('`').next().unwrap_or_default();
                // An unknown name is refused before its value is looked at.
                let value = json!({ "kind": kind.name, name: [[]] });
                let Value::Object(parameters) = value else { panic!("an object") };
                let error = told(parameters);
                assert!(!error.contains("unknown field"), "{}: {error}", kind.name);
            }
        }
    }

    #[test]
    fn what_cannot_be_built_is_told() {
        let failed = |value: Value| {
            let Value::Object(parameters) = value else { panic!("an object") };
            told(parameters)
        };
        assert!(failed(json!({})).contains("bayes_predictive"));
        assert!(failed(json!({"kind": "crystal_ball"})).contains("farrington_flexible"));
        assert!(failed(json!({"kind": "nowcast"})).contains("single series"));
        assert!(failed(json!({"kind": "ears", "alhpa": 1})).contains("unknown field `alhpa`"));
        assert_eq!(
            failed(json!({"kind": "ears", "alpha": 2})),
            "a parameter of ears is out of its range: alpha is 2, it must be between 0 and 0.5"
        );
        assert_eq!(failed(json!({"kind": "ears", "method": "c3"})), "");
    }
}
