//! Candidates: the detectors that are compared, and R's figures for the same.

use forewarn::detect::{Series, SeriesDetector, Verdict, catalogue, math::negative_binomial};
use serde_json::{Value, json};

use crate::world::{JUDGED, Run, Scenario};

/// One detector with its settings.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    judge: Judge,
    /// The level it promises, where it promises one.
    pub(crate) alpha: Option<f64>,
    /// R's algorithm of the same kind.
    pub(crate) of_r: Option<&'static str>,
}

#[derive(Debug)]
enum Judge {
    Detector(Box<dyn SeriesDetector>),
    /// Knows mean and variation of each week: no detector can do better with one week alone, at the same level.
    Oracle {
        alpha: f64,
    },
}

impl Candidate {
    /// Whether each week judged is an alarm.
    pub(crate) fn alarms(&self, scenario: &Scenario, run: &Run) -> Vec<bool> {
        match &self.judge {
            Judge::Detector(detector) => {
                let verdicts = detector.evaluate(&Series::new(&run.values), JUDGED);
                verdicts.expect("counts").iter().map(Verdict::alarm).collect()
            }
            Judge::Oracle { alpha } => JUDGED
                .map(|week| {
                    let (count, mean) = (run.values[week], scenario.means[week]);
                    negative_binomial::upper(count, mean, scenario.phi).p <= *alpha
                })
                .collect(),
        }
    }
}

/// The level that a test of one week's count attains, at most `alpha`, where mean and variation are known: counts are whole.
pub(crate) fn attainable(scenario: &Scenario, alpha: f64) -> f64 {
    let level = |mean: f64| {
        let bound = negative_binomial::upper_quantile(alpha, mean, scenario.phi).expect("small");
        negative_binomial::upper(bound + 1.0, mean, scenario.phi).p
    };
    JUDGED.map(|week| level(scenario.means[week])).sum::<f64>() / JUDGED.len() as f64
}

/// R's algorithms on the same scenarios, four runs in each: POD has a standard error of .04.
pub(crate) const OF_R: [(&str, &str); 11] = [
    ("ff_nbplugin", ".009 | .576 | .723 | .461 | .288 | .991 | .670 | .407 | .200"),
    ("ff_delta", ".013 | .600 | .759 | .491 | .300 | .987 | .605 | .409 | .182"),
    ("farrington_classic", ".034 | .655 | .830 | .558 | .359 | .966 | .395 | .372 | .148"),
    ("bayes3", ".052 | .703 | .884 | .618 | .396 | .949 | .334 | .367 | .155"),
    ("bayes1", ".056 | .594 | .750 | .539 | .295 | .948 | .261 | .275 | .092"),
    ("ears_c1", ".069 | .636 | .786 | .570 | .279 | .937 | .206 | .230 | .105"),
    ("ears_c3", ".077 | .570 | .670 | .091 | .337 | .926 | .233 | .282 | 1.053"),
    ("rki1", ".083 | .679 | .821 | .606 | .322 | .923 | .208 | .253 | .134"),
    ("ears_c2", ".083 | .667 | .777 | .606 | .397 | .925 | .240 | .293 | .091"),
    ("cusum_rossi_glm", ".388 | .800 | .911 | .691 | .732 | .578 | .100 | .176 | .136"),
    ("cusum_std", ".423 | .788 | .902 | .721 | .740 | .538 | .092 | .163 | .085"),
];

/// The detectors compared, those of R with R's settings first.
pub(crate) fn all() -> Vec<Candidate> {
    let r = |method: &str| {
        json!({"kind": "farrington_flexible", "compat": "r",
            "threshold": {"method": method, "alpha": 0.01}})
    };
    vec![
        oracle("oracle", 0.01),
        candidate("ff_nbplugin_r", r("nb_plugin"), None, Some("ff_nbplugin")),
        candidate("ff_delta_r", r("delta"), None, Some("ff_delta")),
        candidate(
            "ff_nbplugin",
            json!({"kind": "farrington_flexible",
                "threshold": {"method": "nb_plugin", "alpha": 0.01}}),
            Some(0.01),
            None,
        ),
        candidate("ff_onset", onset(0.0115, json!({})), Some(0.0115), None),
        candidate(
            "ff_onset_10y",
            onset(0.012, json!({"years": 10, "half_window": 4})),
            Some(0.012),
            None,
        ),
        candidate(
            "ff_onset_10y_waves",
            onset(0.0115, json!({"years": 10, "waves": 2})),
            Some(0.0115),
            None,
        ),
        candidate(
            "ff_delta",
            json!({"kind": "farrington_flexible", "threshold": {"method": "delta", "alpha": 0.01}}),
            Some(0.01),
            None,
        ),
        candidate(
            "ff_muan",
            json!({"kind": "farrington_flexible", "threshold": {"method": "muan", "alpha": 0.01}}),
            Some(0.01),
            None,
        ),
        candidate(
            "farrington_classic_r",
            json!({"kind": "farrington_classic", "alpha": 0.02, "compat": "r"}),
            None,
            Some("farrington_classic"),
        ),
        candidate(
            "bayes1",
            json!({"kind": "bayes_predictive", "history": 6, "alpha": 0.01}),
            None,
            Some("bayes1"),
        ),
        candidate(
            "bayes3",
            json!({"kind": "bayes_predictive", "history": 0, "years": 2, "half_window": 4,
                "alpha": 0.01}),
            None,
            Some("bayes3"),
        ),
        candidate("ears_c1", ears("c1"), None, Some("ears_c1")),
        candidate("ears_c2", ears("c2"), None, Some("ears_c2")),
        candidate("ears_c3_r", ears("c3"), None, Some("ears_c3")),
        candidate("rki1", json!({"kind": "rki"}), None, Some("rki1")),
        candidate(
            "cusum_rossi_glm_r",
            json!({"kind": "cusum", "transform": "rossi", "mean": "season", "compat": "r"}),
            None,
            Some("cusum_rossi_glm"),
        ),
        candidate(
            "cusum_std_r",
            json!({"kind": "cusum", "transform": "standard", "compat": "r"}),
            None,
            Some("cusum_std"),
        ),
        candidate(
            "count_exceedance",
            json!({"kind": "count_exceedance", "alpha": 0.01}),
            None,
            None,
        ),
        candidate("glr", json!({"kind": "glr", "alpha": null}), None, None),
    ]
}

fn ears(method: &str) -> Value {
    json!({"kind": "ears", "method": method, "c3": "r", "alpha": 0.01, "min_sigma": 0,
        "min_count": 0})
}

fn onset(alpha: f64, more: Value) -> Value {
    let mut all = json!({"kind": "farrington_flexible",
        "threshold": {"method": "onset", "alpha": alpha}, "reweight_above": 3, "min_cases": {"cases": 0, "periods": 1}});
    for (name, value) in more.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    all
}

fn oracle(name: &str, alpha: f64) -> Candidate {
    let judge = Judge::Oracle { alpha };
    Candidate { name: name.to_owned(), judge, alpha: Some(alpha), of_r: None }
}

fn candidate(
    name: &str,
    parameters: Value,
    alpha: Option<f64>,
    of_r: Option<&'static str>,
) -> Candidate {
    let Value::Object(map) = parameters else { unreachable!("an object") };
    let detector = catalogue::build(map).unwrap_or_else(|e| panic!("{name}: {e}"));
    Candidate { name: name.to_owned(), judge: Judge::Detector(detector), alpha, of_r }
}
