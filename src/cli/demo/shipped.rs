//! Shipped: the feeds and rules of `rules/`, in the binary, so that it runs anywhere.

use std::{fs, io, path::Path};

macro_rules! shipped {
    ($($path:literal,)*) => {
        [$(($path, include_str!(concat!("../../../rules/", $path)))),*]
    };
}

/// Path below the directory of rules, and text.
const FILES: [(&str, &str); 32] = shipped![
    "complaints/business_slow_drift.yaml",
    "complaints/category_week_surge.yaml",
    "complaints/chain_cross_region.yaml",
    "complaints/complaint_excess_region.yaml",
    "complaints/complaint_surge_business.yaml",
    "complaints/lift_trapping.yaml",
    "complaints/new_business_burst.yaml",
    "complaints/prepaid_keywords.yaml",
    "complaints/report_multi_source.yaml",
    "drugs/cosmetics_reaction.yaml",
    "enforcement/inspection_over_frequency.yaml",
    "enforcement/inspection_refusal.yaml",
    "enforcement/problem_rate_outlier.yaml",
    "enforcement/severe_penalty.yaml",
    "feeds/abnormal.yaml",
    "feeds/accidents.yaml",
    "feeds/adverse_events.yaml",
    "feeds/commitments.yaml",
    "feeds/complaints.yaml",
    "feeds/court.yaml",
    "feeds/inspections.yaml",
    "feeds/penalties.yaml",
    "feeds/recalls.yaml",
    "feeds/registry.yaml",
    "feeds/sampling.yaml",
    "food/food_banned_substance.yaml",
    "food/food_complaint_cluster.yaml",
    "food/food_fail_repeat.yaml",
    "food/food_item_cluster.yaml",
    "food/sampling_failure_rate.yaml",
    "schema/feed.schema.json",
    "schema/rule.schema.json",
];

/// Writes the files that are not there below `dir`; others may have been changed and stay.
pub(super) fn write(dir: &Path) -> io::Result<()> {
    for (path, text) in FILES {
        let path = dir.join(path);
        if path.exists() {
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path, below: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, below, found);
            } else {
                found.push(path.strip_prefix(below).unwrap().to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_feed_and_rule_is_shipped_and_changed_ones_stay() {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let mut there = Vec::new();
        files(&rules, &rules, &mut there);
        // Lists are compiled in.
        there.retain(|path| !path.starts_with("lists"));
        there.sort();
        assert_eq!(FILES.map(|(path, _)| path.to_owned()).to_vec(), there);

        let dir = tempfile::tempdir().unwrap();
        let changed = dir.path().join("food/food_fail_repeat.yaml");
        fs::create_dir_all(changed.parent().unwrap()).unwrap();
        fs::write(&changed, "mine").unwrap();
        write(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(changed).unwrap(), "mine");
        let mut written = Vec::new();
        files(dir.path(), dir.path(), &mut written);
        assert_eq!(written.len(), FILES.len());
    }
}
