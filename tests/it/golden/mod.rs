//! Golden: every case of every family of reference output, with the settings and the tolerance of its JSON.
//!
//! The directory is `FOREWARN_GOLDEN_DIR`, or `../shared/golden` beside the repository where there is one; without it the
//! cases in `tests/golden` run, whose input is simulated. A case is `<family>/<case>.json` with `<case>.csv` and side tables
//! `<case>.<table>.csv`. What a runner does not read — a setting, a column, a side table — fails its case, so that nothing is
//! skipped in silence. One line a family prints cases and values passed; `-- --nocapture` shows them.

mod case;
mod check;
mod table;

// outbreak
mod bayes;
mod cdc;
mod count_tails;
mod ears;
mod farrington_classic;
mod farrington_flexible;
mod nowcast;
mod outbreakp;
mod rki;
// chart
mod adwin;
mod cusum;
mod ewma_shewhart;
mod glr;
mod page_hinkley;
// season
mod ets;
mod holt_winters;
mod mann_kendall;
mod s_h_esd;
mod stl;
// ratio
mod benford;
mod beta_binomial;
mod disproportionality;
mod funnel;
mod gamma_poisson_eb;
mod multiplicity;
mod proportions;
// cluster
mod kulldorff;
mod space_time_scan;

use std::{collections::BTreeSet, env, fs, path::Path};

use case::Case;
use check::Check;

/// Runs one case; an error is what keeps it from being run at all.
type Runner = fn(&Case, &mut Check) -> Result<(), String>;

/// Family → its runner.
const FAMILIES: &[(&str, Runner)] = &[
    // outbreak
    ("bayes", bayes::run),
    ("cdc", cdc::run),
    ("count_tails", count_tails::run),
    ("ears", ears::run),
    ("farrington_classic", farrington_classic::run),
    ("farrington_flexible", farrington_flexible::run),
    ("nowcast", nowcast::run),
    ("outbreakp", outbreakp::run),
    ("rki", rki::run),
    // chart
    ("adwin", adwin::run),
    ("cusum", cusum::run),
    ("ewma_shewhart", ewma_shewhart::run),
    ("glr", glr::run),
    ("page_hinkley", page_hinkley::run),
    // season
    ("ets", ets::run),
    ("holt_winters", holt_winters::run),
    ("mann_kendall", mann_kendall::run),
    ("s_h_esd", s_h_esd::run),
    ("stl", stl::run),
    // ratio
    ("benford", benford::run),
    ("beta_binomial", beta_binomial::run),
    ("disproportionality", disproportionality::run),
    ("funnel", funnel::run),
    ("gamma_poisson_eb", gamma_poisson_eb::run),
    ("multiplicity", multiplicity::run),
    ("proportions", proportions::run),
    // cluster
    ("kulldorff", kulldorff::run),
    ("space_time_scan", space_time_scan::run),
];

#[test]
fn detectors_equal_the_references() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden");
    match env::var_os("FOREWARN_GOLDEN_DIR") {
        Some(dir) => run_all(Path::new(&dir)),
        None if beside.is_dir() => run_all(&beside),
        None => println!("skipped: FOREWARN_GOLDEN_DIR is not set and ../shared/golden is absent"),
    }
}

#[test]
fn detectors_equal_the_references_on_simulated_input() {
    run_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
}

/// Runs all cases under `dir`, prints a line a family, and fails with all that went wrong.
fn run_all(dir: &Path) {
    let families = names(dir, |path| path.is_dir());
    assert!(!families.is_empty(), "no families under {}", dir.display());
    let mut wrong = Vec::new();
    for family in &families {
        match FAMILIES.iter().find(|(name, _)| name == family) {
            Some((_, runner)) => wrong.extend(run_family(dir, family, *runner)),
            None => wrong.push(format!("{family}: no runner")),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Runs the cases of a family and prints its line; what went wrong, by case.
fn run_family(dir: &Path, family: &str, runner: Runner) -> Vec<String> {
    let dir = dir.join(family);
    let cases = names(&dir, |path| path.extension().is_some_and(|e| e == "json"));
    let (mut passed, mut right, mut all, mut wrong) = (0, 0, 0, Vec::new());
    for name in &cases {
        let mut check = Check::default();
        let outcome = Case::open(&dir, family, name.trim_end_matches(".json")).and_then(|case| {
            check.tolerance = case.tolerance();
            runner(&case, &mut check)?;
            case.all_read()
        });
        if let Err(why) = outcome {
            check.fail(why);
        }
        right += check.passed;
        all += check.passed + check.wrong;
        match check.failures() {
            None => passed += 1,
            Some(failures) => wrong.push(format!("{family}/{name}: {failures}")),
        }
    }
    println!("{family:20} cases {passed} of {}, values {right} of {all}", cases.len());
    if cases.is_empty() || all == 0 {
        wrong.push(format!("{family}: nothing was compared"));
    }
    wrong
}

/// Names in a directory that satisfy `which`, sorted.
fn names(dir: &Path, which: impl Fn(&Path) -> bool) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| which(path))
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect()
}
