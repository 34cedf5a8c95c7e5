//! Shipped: the feeds, rules and lists of `rules/`, in the binary, so that it runs anywhere.

use std::{fs, io, path::Path};

macro_rules! shipped {
    ($($path:literal,)*) => {
        [$(($path, include_str!(concat!("../../../rules/", $path)))),*]
    };
}

/// Path below the directory of rules, and text.
const FILES: &[(&str, &str)] = &shipped![
    "complaints/business_slow_drift.yaml",
    "complaints/category_week_surge.yaml",
    "complaints/chain_cross_region.yaml",
    "complaints/claim_for_profit.yaml",
    "complaints/complaint_excess_region.yaml",
    "complaints/complaint_surge_business.yaml",
    "complaints/deadline_missed.yaml",
    "complaints/defaulter_prepaid.yaml",
    "complaints/elderly_care_prepaid.yaml",
    "complaints/essential_price.yaml",
    "complaints/fundraising_smoke.yaml",
    "complaints/holiday_price.yaml",
    "complaints/lift_trapping.yaml",
    "complaints/live_commerce.yaml",
    "complaints/media_burst.yaml",
    "complaints/new_business_burst.yaml",
    "complaints/online_unreachable.yaml",
    "complaints/prepaid_keywords.yaml",
    "complaints/prepaid_runaway.yaml",
    "complaints/report_multi_source.yaml",
    "complaints/unlicensed_place.yaml",
    "drug/cosmetics_reaction.yaml",
    "drug/drug_online_rx.yaml",
    "drug/elderly_health_fraud.yaml",
    "drug/elderly_health_fraud_new.yaml",
    "drug/vaccine_any.yaml",
    "enforcement/abnormal_still_active.yaml",
    "enforcement/annual_report_missing.yaml",
    "enforcement/commitment_breach.yaml",
    "enforcement/criminal_referral_gap.yaml",
    "enforcement/insider_lead.yaml",
    "enforcement/inspection_over_frequency.yaml",
    "enforcement/inspection_refusal.yaml",
    "enforcement/penalty_no_recheck.yaml",
    "enforcement/problem_rate_outlier.yaml",
    "enforcement/repeat_offender.yaml",
    "enforcement/revoked_new_shell.yaml",
    "enforcement/severe_penalty.yaml",
    "feeds/abnormal.yaml",
    "feeds/accidents.yaml",
    "feeds/adverse_events.yaml",
    "feeds/annual_reports.yaml",
    "feeds/commitments.yaml",
    "feeds/complaints.yaml",
    "feeds/court.yaml",
    "feeds/equipment.yaml",
    "feeds/insider_leads.yaml",
    "feeds/inspections.yaml",
    "feeds/media.yaml",
    "feeds/open_orders.yaml",
    "feeds/penalties.yaml",
    "feeds/quality_sampling.yaml",
    "feeds/recalls.yaml",
    "feeds/registry.yaml",
    "feeds/sampling.yaml",
    "food/canteen_cluster.yaml",
    "food/fake_maker.yaml",
    "food/food_banned_substance.yaml",
    "food/food_complaint_cluster.yaml",
    "food/food_fail_repeat.yaml",
    "food/food_fail_then_complaints.yaml",
    "food/food_item_cluster.yaml",
    "food/new_hazard_in_class.yaml",
    "food/sampling_failure_rate.yaml",
    "lists/README.md",
    "lists/banned_substances.csv",
    "lists/canteen_words.csv",
    "lists/closing_words.csv",
    "lists/counterfeit_drug_words.csv",
    "lists/crime_words.csv",
    "lists/elderly_fraud_words.csv",
    "lists/essential_goods_words.csv",
    "lists/foodborne_pathogens.csv",
    "lists/fundraising_words.csv",
    "lists/hazchem_words.csv",
    "lists/health_product_words.csv",
    "lists/holidays_cn.csv",
    "lists/illness_words.csv",
    "lists/lift_trapping_words.csv",
    "lists/live_selling_words.csv",
    "lists/lpg_words.csv",
    "lists/places.csv",
    "lists/rectification_words.csv",
    "lists/regions.csv",
    "lists/regions_retired.csv",
    "lists/unreachable_words.csv",
    "lists/vaccine_trouble_words.csv",
    "lists/vaccine_words.csv",
    "lists/yield_words.csv",
    "safety/accident_late_report.yaml",
    "safety/equipment_overdue.yaml",
    "safety/gas_appliance_model.yaml",
    "safety/hazchem_unlicensed.yaml",
    "safety/lpg_cylinder.yaml",
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
    fn every_feed_rule_and_list_is_shipped_and_changed_ones_stay() {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let mut there = Vec::new();
        files(&rules, &rules, &mut there);
        there.sort();
        assert_eq!(FILES.iter().map(|(path, _)| *path).collect::<Vec<_>>(), there);

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
