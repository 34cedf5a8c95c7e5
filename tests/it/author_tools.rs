//! What authors do with rules besides writing them: look a set over, compare two, tune one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::program::{copy, forewarn, says};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A directory with the shipped rules and the bundled samples.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    copy(&repository("rules"), &home.path().join("rules"));
    for sample in ["complaints.ndjson", "penalties.csv", "sampling.csv"] {
        fs::copy(repository("samples").join(sample), home.path().join(sample)).unwrap();
    }
    home
}

const INPUTS: [&str; 6] = [
    "--input",
    "complaints=complaints.ndjson",
    "--input",
    "penalties=penalties.csv",
    "--input",
    "sampling=sampling.csv",
];

fn json(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", says(output)))
}

/// The text of a file with one part replaced.
fn edited(path: &Path, from: &str, to: &str) -> String {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from:?} is not in {}", path.display());
    text.replacen(from, to, 1)
}

#[test]
fn hygiene_tells_what_a_replay_showed() {
    let home = home();
    let exceptions = "exceptions:\n\
        \x20 - {id: old, rules: [severe_penalty], reason: x, approved_by: y, until: 2020-01-01}\n\
        \x20 - {id: new, rules: [severe_penalty], reason: x, approved_by: y, until: 2999-01-01}\n";
    fs::write(home.path().join("rules/exceptions.yaml"), exceptions).unwrap();
    let mut arguments = vec!["replay", "--out", "out", "--quiet"];
    arguments.extend(INPUTS);
    let replayed = forewarn(home.path(), &arguments);
    assert!(replayed.status.success(), "{}", says(&replayed));
    let arguments = ["hygiene", "rules", "--replay", "out", "--format", "json"];
    let looked = forewarn(home.path(), &arguments);
    assert!(looked.status.success(), "{}", says(&looked));
    let report = json(&looked);
    let findings = report["findings"].as_array().unwrap();
    let with =
        |code: &str| -> Vec<&Value> { findings.iter().filter(|f| f["code"] == code).collect() };
    let summary: Value =
        serde_json::from_str(&fs::read_to_string(home.path().join("out/summary.json")).unwrap())
            .unwrap();
    let rules = summary["rules"].as_object().unwrap();
    let silent = rules.values().filter(|r| r["signals"] == 0).count();
    let said = with("hygiene::silent").len() + with("hygiene::never_ready").len();
    assert!(silent > 0 && silent == said, "{silent} silent, {said} said");
    let over = with("hygiene::expired");
    assert_eq!(over.len(), 1);
    assert_eq!((&over[0]["file"], &over[0]["line"]), (&"rules/exceptions.yaml".into(), &2.into()));
    assert!(findings.iter().all(|f| f["help"].is_string() || f["code"] == "rule::duplicate_of"));
    let strict = forewarn(home.path(), &["hygiene", "--strict"]);
    assert_eq!(strict.status.code(), Some(1), "{}", says(&strict));
}

#[test]
fn a_diff_tells_what_another_threshold_changes() {
    let home = home();
    let old = home.path().join("rules/complaints/complaint_surge_business.yaml");
    let new = home.path().join("next.yaml");
    fs::write(&new, edited(&old, "min_people: 10", "min_people: 6")).unwrap();
    let compare = |old: &str, new: &str, format: &str| {
        let mut arguments = vec!["replay", "--diff", old, new, "--format", format, "--quiet"];
        arguments.extend(INPUTS);
        forewarn(home.path(), &arguments)
    };
    let rule = "rules/complaints/complaint_surge_business.yaml";
    let same = compare(rule, rule, "human");
    assert!(same.status.success() && says(&same).ends_with("no difference\n"), "{}", says(&same));
    let changed = compare(rule, "next.yaml", "json");
    assert_eq!(changed.status.code(), Some(1), "{}", says(&changed));
    let report = json(&changed);
    let sum = |name: &str| report["sum"][name].as_u64().unwrap();
    // A lower threshold tells all that the higher one told, no later, and more.
    assert!(sum("appear") + sum("earlier") > 0, "{report:#}");
    assert_eq!((sum("vanish"), sum("later")), (0, 0), "{report:#}");
    assert_eq!(sum("old") + sum("appear"), sum("new"));
    assert_eq!(report["appear"].as_array().unwrap().len() as u64, sum("appear"));
    let reverse = json(&compare("next.yaml", rule, "json"));
    assert_eq!(reverse["sum"]["vanish"], report["sum"]["appear"]);
    assert_eq!(reverse["sum"]["later"], report["sum"]["earlier"]);
}

#[test]
fn a_diff_of_directories_tells_which_rules_changed() {
    let home = home();
    copy(&home.path().join("rules"), &home.path().join("next"));
    let rule = home.path().join("next/enforcement/severe_penalty.yaml");
    fs::write(
        &rule,
        edited(&rule, "severity: {high: severity >= 6, else: medium}", "severity: low"),
    )
    .unwrap();
    let mut arguments = vec!["replay", "--diff", "rules", "next", "--quiet", "--format", "json"];
    arguments.extend(INPUTS);
    let changed = forewarn(home.path(), &arguments);
    assert_eq!(changed.status.code(), Some(1), "{}", says(&changed));
    let report = json(&changed);
    let alerts = report["rules"]["severe_penalty"]["old"].as_u64().unwrap();
    assert!(alerts > 0);
    assert_eq!(report["sum"]["severity"], alerts, "{report:#}");
    assert_eq!(report["moved"].as_array().unwrap().len() as u64, alerts);
}

#[test]
fn a_curve_falls_with_the_threshold_and_keeps_what_was_confirmed() {
    let home = home();
    let tune = |more: &[&str]| {
        let mut arguments = vec!["tune", "complaint_surge_business", "--param", "min_people"];
        arguments.extend(["--quiet", "--format", "json"]);
        arguments.extend(&INPUTS[..2]);
        arguments.extend(more);
        forewarn(home.path(), &arguments)
    };
    let plain = tune(&["--from", "2", "--to", "18", "--steps", "5"]);
    assert!(plain.status.success(), "{}", says(&plain));
    let curve = json(&plain);
    let of = |curve: &Value, name: &str| -> Vec<u64> {
        let points = curve["points"].as_array().unwrap();
        points.iter().map(|p| p[name].as_u64().unwrap()).collect()
    };
    assert_eq!(of(&curve, "value"), [2, 6, 10, 14, 18]);
    let alerts = of(&curve, "keys");
    assert!(alerts.is_sorted_by(|a, b| a >= b) && alerts[0] > alerts[4], "{curve:#}");
    assert!(curve["proposed"].is_null());
    // What the rule says alone it says beside its variants.
    let mut arguments = vec!["replay", "--out", "out", "--quiet"];
    arguments.extend(INPUTS);
    assert!(forewarn(home.path(), &arguments).status.success());
    let lines = fs::read_to_string(home.path().join("out/alerts.ndjson")).unwrap();
    let mine: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|alert| alert["rule"] == "complaint_surge_business")
        .collect();
    assert!(!mine.is_empty());
    assert_eq!(of(&curve, "alerts")[2], mine.len() as u64);
    // The one that was confirmed has so many people; no higher threshold would have found it.
    let confirmed = mine.iter().find(|a| a["state"] != "retracted").unwrap();
    let label = format!(
        "rule,ucc,from\ncomplaint_surge_business,{},{}\n",
        confirmed["key"]["ucc"].as_str().unwrap(),
        confirmed["began_at"].as_str().unwrap()
    );
    fs::write(home.path().join("labels.csv"), label).unwrap();
    let labelled =
        json(&tune(&["--from", "2", "--to", "40", "--steps", "39", "--labels", "labels.csv"]));
    let (kept, alerts) = (of(&labelled, "confirmed_kept"), of(&labelled, "alerts"));
    let proposed = labelled["proposed"].as_u64().unwrap() as usize;
    assert_eq!(kept[proposed - 2], 1, "{labelled:#}");
    let fewest = kept.iter().zip(&alerts).filter(|(k, _)| **k == 1).map(|(_, a)| *a).min();
    assert_eq!(Some(alerts[proposed - 2]), fewest);
    let arguments =
        ["tune", "severe_penalty", "--param", "min_fine", "--input", "penalties=penalties.csv"];
    let unknown = forewarn(home.path(), &arguments);
    assert!(says(&unknown).contains("it has min_severity, large_fine"), "{}", says(&unknown));
}
