//! R: scanstatistics on the last `max_duration` periods.

use std::collections::HashMap;

use forewarn::detect::cluster::{
    Place,
    space_time::{Events, Model, SpaceTime, ranked, scan},
};

use super::{case::Case, check::Check, kulldorff::by_chance, table::Table};

pub(super) fn run(case: &Case, check: &mut Check) -> Result<(), String> {
    let coords = case.side("coords")?.ok_or("no coords")?;
    let ids: Vec<&str> = coords.text("id")?;
    let [x, y] = coords.columns(["x", "y"])?;
    let places: Vec<Place> = x.iter().zip(&y).map(|(&x, &y)| Place { x, y }).collect();
    let max_duration: usize = case.setting("max_duration")?;
    let (counts, expected) = recent(case, &ids, max_duration)?;
    case.ignore(&["baseline_pb_and_permutation"]);

    let zone_table = case.side("zones")?.ok_or("no zones")?;
    let numbers = zone_table.counts("zone")?;
    let zones: HashMap<u64, String> =
        numbers.into_iter().zip(zone_table.text("members")?).map(|(n, m)| (n, sorted(m))).collect();
    let clusters = case.side("clusters")?.ok_or("no clusters")?;
    clusters.ignore(&["zone_number", "gumbel_p"]);
    let top = case.side("top_zones")?.ok_or("no top zones")?;
    top.ignore(&["rank"]);

    let replicates: u32 = case.setting("n_mcsim")?;
    for (row, name) in clusters.text("model")?.into_iter().enumerate() {
        let model = match name {
            "expectation_based_poisson" => Model::Expectation,
            "space_time_permutation" => Model::Permutation,
            "population_based_poisson" => Model::Population,
            other => return Err(format!("model is {other:?}")),
        };
        let with = SpaceTime {
            model,
            neighbours: case.setting("k_nearest")?,
            max_duration,
            replicates: 1_999, // More than R's, so that only R's chance counts.
            ..Default::default()
        };
        let given = (model == Model::Expectation).then_some(expected.as_slice());
        let events = Events { places: &places, counts: &counts, expected: given };
        let got = scan(&events, &with).map_err(|e| e.to_string())?;
        check.equal("n_zones", row, got.zones, case.setting("n_zones")?);
        let best = got.clusters.first().ok_or("no cluster was found")?;
        let named = |members: &[usize]| {
            sorted(&members.iter().map(|&m| ids[m]).collect::<Vec<_>>().join(";"))
        };
        check.equal("members", row, named(&best.members), sorted(clusters.text("members")?[row]));
        for (column, value) in [
            ("duration", best.duration as f64),
            ("score", best.score),
            ("relrisk", best.events / best.expected),
        ] {
            check.near(column, row, value, clusters.numbers(column)?[row]);
        }
        let p = clusters.numbers("mc_p")?[row];
        check.within(by_chance(p, replicates), "mc_p", row, best.p.unwrap_or(f64::NAN), p);

        let all = ranked(&events, &with, usize::MAX).map_err(|e| e.to_string())?;
        let scores: HashMap<(String, usize), f64> =
            all.iter().map(|z| ((named(&z.members), z.duration), z.score)).collect();
        top_zones(check, &top, name, &zones, &scores, |rank| all[rank].score)?;
    }
    Ok(())
}

/// Equal scores stand in any order: a zone is looked up, and the scores are compared by rank.
fn top_zones(
    check: &mut Check,
    top: &Table,
    model: &str,
    zones: &HashMap<u64, String>,
    scores: &HashMap<(String, usize), f64>,
    by_rank: impl Fn(usize) -> f64,
) -> Result<(), String> {
    let (models, numbers) = (top.text("model")?, top.counts("zone")?);
    let [durations, want] = top.columns(["duration", "score"])?;
    let rows = (0..top.len()).filter(|&row| models[row] == model);
    for (rank, row) in rows.enumerate() {
        check.near("score by rank", row, by_rank(rank), want[row]);
        let zone = (zones[&numbers[row]].clone(), durations[row] as usize);
        check.near_or_none("score of zone", row, scores.get(&zone).copied(), want[row]);
    }
    Ok(())
}

/// Counts and baselines of the last periods, one period after the other.
fn recent(case: &Case, ids: &[&str], max_duration: usize) -> Result<(Vec<u64>, Vec<f64>), String> {
    let (time, place) = (case.table.counts("t")?, case.table.text("id")?);
    let (count, baseline) = (case.table.counts("count")?, case.table.numbers("baseline")?);
    let first = time.iter().max().copied().unwrap_or(0) as usize + 1 - max_duration;
    let at: HashMap<&str, usize> = ids.iter().enumerate().map(|(i, id)| (*id, i)).collect();
    let mut counts = vec![0; max_duration * ids.len()];
    let mut expected = vec![0.0; counts.len()];
    for row in 0..time.len() {
        if let Some(period) = (time[row] as usize).checked_sub(first) {
            let cell = period * ids.len() + at[place[row]];
            counts[cell] = count[row];
            expected[cell] = baseline[row];
        }
    }
    Ok((counts, expected))
}

/// Members in one order, whatever the centre.
fn sorted(members: &str) -> String {
    let mut members: Vec<&str> = members.split(';').collect();
    members.sort_unstable();
    members.join(";")
}
