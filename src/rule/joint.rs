//! Joint: the parameters of detectors that judge the keys of a period beside each other.
//!
//! In: what an author wrote below the detector's name. Out: the method, or the catalogue's error about a parameter. They are
//! those of the detectors in `detect`, and which columns of the key they read.
//! Not here: whether the key has such columns (`check`).

use serde_json::Map;

use super::{detector::Method, scan::ScanFile, table::PairsFile};
use crate::{
    detect::{
        self, catalogue,
        cluster::{Metric, SpaceTime},
        ratio::disproportionality::{Disproportionality, Measure},
    },
    model::yaml::{Node, Spanned},
};

/// Parameters of `disproportionality`: the measure's, and which key columns are the margins.
#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PairsParameters {
    margins: Vec<String>,
    measure: Measure,
    min_count: u64,
    lower_limit_above: Option<f64>,
}

impl Default for PairsParameters {
    fn default() -> Self {
        let Disproportionality { measure, min_count, lower_limit_above } =
            Disproportionality::default();
        Self { margins: Vec::new(), measure, min_count, lower_limit_above }
    }
}

pub(super) fn disproportionality(
    _: &str,
    parameters: Map<String, serde_json::Value>,
) -> Result<Method, catalogue::Error> {
    let name = "disproportionality";
    let PairsParameters { margins, measure, min_count, lower_limit_above } =
        parsed(name, parameters)?;
    let with = Disproportionality { measure, min_count, lower_limit_above };
    with.check().map_err(|source| catalogue::Error::Range { name, source })?;
    Ok(Method::Pairs(PairsFile { with, margins: unplaced(margins) }))
}

/// Parameters of `gamma_poisson`: the same with the one measure that is its own.
#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ShrunkParameters {
    margins: Vec<String>,
    min_count: u64,
    lower_limit_above: Option<f64>,
}

impl Default for ShrunkParameters {
    fn default() -> Self {
        let PairsParameters { margins, min_count, lower_limit_above, .. } =
            PairsParameters::default();
        Self { margins, min_count, lower_limit_above }
    }
}

pub(super) fn gamma_poisson(
    _: &str,
    parameters: Map<String, serde_json::Value>,
) -> Result<Method, catalogue::Error> {
    let name = "gamma_poisson";
    let ShrunkParameters { margins, min_count, lower_limit_above } = parsed(name, parameters)?;
    let with = Disproportionality { measure: Measure::Ebgm, min_count, lower_limit_above };
    with.check().map_err(|source| catalogue::Error::Range { name, source })?;
    Ok(Method::Pairs(PairsFile { with, margins: unplaced(margins) }))
}

/// Parameters of `space_time_scan`; the model is that of permutations, and distances are along the sphere.
#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ScanParameters {
    place: Option<String>,
    history: usize,
    neighbours: usize,
    max_duration: usize,
    replicates: u32,
    alpha: f64,
    seed: u64,
}

impl Default for ScanParameters {
    fn default() -> Self {
        let SpaceTime { neighbours, max_duration, replicates, alpha, seed, .. } =
            SpaceTime::default();
        Self { place: None, history: 26, neighbours, max_duration, replicates, alpha, seed }
    }
}

pub(super) fn space_time_scan(
    _: &str,
    parameters: Map<String, serde_json::Value>,
) -> Result<Method, catalogue::Error> {
    let name = "space_time_scan";
    let p: ScanParameters = parsed(name, parameters)?;
    let with = SpaceTime {
        neighbours: p.neighbours,
        max_duration: p.max_duration,
        replicates: p.replicates,
        alpha: p.alpha,
        seed: p.seed,
        metric: Metric::Sphere,
        ..SpaceTime::default()
    };
    let out = |name, value: f64, range| detect::Error::Parameter {
        name,
        value: value.to_string(),
        range,
    };
    let in_range = |source| catalogue::Error::Range { name, source };
    with.check().map_err(in_range)?;
    if !(2..=520).contains(&p.history) {
        return Err(in_range(out("history", p.history as f64, "between 2 and 520")));
    }
    if p.max_duration >= p.history {
        let range = "less than history, 26 where left out";
        return Err(in_range(out("max_duration", p.max_duration as f64, range)));
    }
    if f64::from(p.replicates + 1) * p.alpha < 1.0 {
        let range = "so many that 1 / (replicates + 1) is no more than alpha";
        return Err(in_range(out("replicates", f64::from(p.replicates), range)));
    }
    let place = unplaced(p.place.into_iter().collect()).pop();
    Ok(Method::Scan(ScanFile { with, place, history: p.history }))
}

fn parsed<T: serde::de::DeserializeOwned>(
    name: &'static str,
    parameters: Map<String, serde_json::Value>,
) -> Result<T, catalogue::Error> {
    let value = serde_json::Value::Object(parameters);
    serde_json::from_value(value).map_err(|source| catalogue::Error::Parameters { name, source })
}

/// Names that do not know yet where they stand.
fn unplaced(names: Vec<String>) -> Vec<Spanned<String>> {
    names.into_iter().map(|value| Spanned { value, span: 0..0 }).collect()
}

/// The method whose key columns know where they stand.
pub(super) fn placed(method: Method, parameters: &Node) -> Method {
    match method {
        Method::Pairs(pairs) => {
            let margins = parameters.get("margins").map(Node::texts).unwrap_or_default();
            Method::Pairs(PairsFile { margins, ..pairs })
        }
        Method::Scan(scan) => {
            let place = parameters.get("place").and_then(Node::text);
            Method::Scan(ScanFile { place, ..scan })
        }
        series @ Method::Series(_) => series,
    }
}
