//! R: SpatialEpi. Scores and members must be equal, p-values within what chance allows.

use forewarn::detect::{
    Compat,
    cluster::{
        Place,
        kulldorff::{Kulldorff, Map, Model, ranked, scan},
    },
};

use super::{
    case::Case,
    check::{Check, Tolerance},
};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let ids = case.table.text("id")?;
    let [x, y] = case.table.columns(["x", "y"])?;
    let places: Vec<Place> = x.iter().zip(&y).map(|(&x, &y)| Place { x, y }).collect();
    let [cases, population, expected] = case.table.columns(["cases", "population", "expected"])?;
    let map =
        Map { places: &places, cases: &cases, population: &population, expected: Some(&expected) };
    let model = match case.setting::<String>("model")?.as_str() {
        "poisson" => Model::Poisson,
        "binomial" => Model::Binomial,
        other => return Err(format!("model is {other:?}")),
    };
    if !case.setting::<String>("distance")?.starts_with("planar Euclidean") {
        return Err("the distance is not planar".to_owned());
    }
    let replicates: u32 = case.setting("n_simulations")?;
    let with = Kulldorff {
        model,
        population_share_max: case.setting("pop_upper_bound")?,
        replicates,
        compat: Compat::R,
        ..Default::default()
    };
    let got = scan(&map, &with).map_err(|e| e.to_string())?;
    check.equal("n_zones", 0, got.circles, case.setting("n_zones")?);
    spread(case, check, &got.replicates)?;

    let table = case.side("clusters")?.ok_or("no clusters")?;
    table.ignore(&["mc_rank", "cluster"]);
    let (centres, members) = (table.text("center")?, table.text("members")?);
    let columns = ["n_locations", "cases", "expected", "smr", "llr"];
    let want = table.columns(columns)?;
    let p_values = table.numbers("p_value")?;
    check.equal("clusters", 0, got.clusters.len(), table.len());
    let mut labels = vec![0.0; ids.len()];
    for (row, cluster) in got.clusters.iter().enumerate().take(table.len()) {
        let named: Vec<&str> = cluster.members.iter().map(|&m| ids[m]).collect();
        check.equal("center", row, named[0], centres[row]);
        check.equal("members", row, named.join(";").as_str(), members[row]);
        let values = [
            named.len() as f64,
            cluster.cases,
            cluster.expected,
            cluster.cases / cluster.expected,
            cluster.score,
        ];
        for ((column, value), want) in columns.iter().zip(values).zip(&want) {
            check.near(column, row, value, want[row]);
        }
        check.within(
            by_chance(p_values[row], replicates),
            "p_value",
            row,
            cluster.p.unwrap_or(f64::NAN),
            p_values[row],
        );
        for &member in &cluster.members {
            labels[member] = row as f64 + 1.0;
        }
    }
    for (row, want) in case.table.numbers("cluster")?.into_iter().enumerate() {
        check.near("cluster", row, labels[row], want);
    }
    top_zones(case, check, &ids, &map, &with)
}

/// Equal scores stand in any order: a zone is looked up, and the scores are compared by rank.
fn top_zones(
    case: &Case,
    check: &mut Check,
    ids: &[&str],
    map: &Map<'_>,
    with: &Kulldorff,
) -> Result<(), String> {
    let table = case.side("top_zones")?.ok_or("no top zones")?;
    table.ignore(&["rank"]);
    let (centres, last) = (table.text("center")?, table.text("last_neighbour")?);
    let zones = ranked(map, with, usize::MAX).map_err(|e| e.to_string())?;
    for (row, want) in table.numbers("llr")?.into_iter().enumerate() {
        check.near("llr by rank", row, zones[row].1, want);
        let ends = |members: &[usize]| {
            ids[members[0]] == centres[row] && ids[members[members.len() - 1]] == last[row]
        };
        let same = zones.iter().find(|(members, _)| ends(members));
        check.near_or_none("llr of zone", row, same.map(|z| z.1), want);
    }
    Ok(())
}

/// The replicates' mean best score, within four standard errors of the difference.
fn spread(case: &Case, check: &mut Check, got: &[f64]) -> Result<(), String> {
    let want = case.side("sim_llr")?.ok_or("no replicates")?.numbers("sim_max_llr")?;
    let moments = |v: &[f64]| {
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        let square = v.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        (mean, square / (v.len() as f64 - 1.0) / v.len() as f64)
    };
    let ((ours, a), (theirs, b)) = (moments(got), moments(&want));
    let chance = Tolerance { relative: 0.0, absolute: 4.0 * (a + b).sqrt() };
    check.within(chance, "mean of replicates", 0, ours, theirs);
    Ok(())
}

/// As the tolerance's note says.
pub(super) fn by_chance(p: f64, replicates: u32) -> Tolerance {
    let n = f64::from(replicates) + 1.0;
    Tolerance { relative: 0.0, absolute: 3.0 * (p * (1.0 - p) / n).sqrt() + 1.0 / n }
}
