//! `forewarn feeds lateness` on published records: check K11, fixed beforehand. Skips, saying so, where they are absent.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

const DAY_S: i64 = 24 * 3_600;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn k11_delays_of_published_records() {
    let shared =
        env::var_os("FOREWARN_SHARED_DIR").map_or_else(|| repository("../shared"), PathBuf::from);
    let days = |n: i64| Value::from(n * DAY_S);
    // From what to what, the quantiles 50, 75, 90, 99 % in days as far as they are published, the longest.
    for (feed, file, from, to, quantiles, longest) in [
        (
            "vehicle_complaints",
            "nhtsa_vehicle_defects/complaints.parquet",
            "occurred_on",
            "received_on",
            &[("p50", 11), ("p75", 59), ("p90", 241), ("p99", 1_069)][..],
            37_015,
        ),
        (
            "food_enforcement",
            "fda_food_enforcement_sample/enforcement.parquet",
            "initiated_on",
            "reported_on",
            &[("p50", 38)],
            212,
        ),
    ] {
        let file = shared.join("data").join(file);
        if !file.is_file() {
            println!("skipped: {} is absent", file.display());
            continue;
        }
        let output = Command::new(env!("CARGO_BIN_EXE_forewarn"))
            .args(["feeds", "lateness", feed, "--json", "--feeds"])
            .arg(repository("tests/real/feeds"))
            .arg("--input")
            .arg(format!("{feed}={}", file.display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let delays = report["feeds"][0]["delays"].as_array().unwrap();
        let found = delays.iter().find(|d| d["from"] == from && d["to"] == to).unwrap();
        for (name, expect) in quantiles {
            assert_eq!(found[format!("{name}_seconds")], days(*expect), "{feed} {name}: {found}");
        }
        assert_eq!(found["max_seconds"], days(longest), "{found}");
    }
}
