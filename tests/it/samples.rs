//! The bundled samples against the shipped rules: what README's first command finds.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use forewarn::{
    engine::{
        disorder::Disorder,
        pipeline::{Options, Pipeline, Step},
        replay::{self, Input, ReplayOptions, Sink},
    },
    feed::spec,
    model::{
        alert::{Alert, State},
        batch::DeadLetter,
        secret::Secret,
        time::Zone,
    },
    rule,
};

/// Keeps what a replay finds.
#[derive(Default)]
pub(crate) struct Found {
    /// Latest revision of each alert.
    pub(crate) alerts: BTreeMap<String, Alert>,
    /// Dead letters by class.
    pub(crate) dead: BTreeMap<&'static str, u32>,
}

impl Sink for Found {
    fn take(&mut self, step: Step) -> io::Result<()> {
        for alert in step.alerts {
            self.alerts.insert(alert.id.clone(), alert);
        }
        for (_, _, letter) in step.dead {
            *self.dead.entry(letter.class.word()).or_default() += 1;
        }
        Ok(())
    }

    fn dead(&mut self, _feed: usize, _partition: &str, letter: DeadLetter) -> io::Result<()> {
        *self.dead.entry(letter.class.word()).or_default() += 1;
        Ok(())
    }

    fn progress(&mut self, _bytes: u64) {}
}

#[test]
fn all_six_rules_fire_and_two_alerts_are_taken_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let zone = Zone::parse("Asia/Shanghai").unwrap();
    let (specs, findings) = spec::load_dir(&root.join("rules/feeds"), &zone);
    assert!(findings.is_empty(), "{findings:?}");
    let (rules, findings) = rule::load_dir(&root.join("rules"));
    assert!(findings.is_empty(), "{findings:?}");
    let inputs: Vec<Input> = [
        ("complaints", "samples/complaints.ndjson"),
        ("sampling", "samples/sampling.csv"),
        ("penalties", "samples/penalties.csv"),
    ]
    .iter()
    .map(|(feed, path)| Input {
        feed: specs.iter().position(|s| s.name() == *feed).unwrap(),
        path: root.join(path),
    })
    .collect();
    let options = Options { zone: zone.clone(), shards: 2, eager: false };
    let mut pipeline = Pipeline::try_new(specs, &rules, options).unwrap();
    let how = ReplayOptions {
        close_open: false,
        from_ms: None,
        to_ms: None,
        now_ms: zone.parse_instant("2026-11-01").unwrap(),
        batch_rows: 16_384,
        disorder: Disorder::default(),
        secret: Secret::new([7; 32]),
    };
    let mut found = Found::default();
    let done = replay::replay(&mut pipeline, &inputs, &how, &mut found).unwrap();

    let count = |rule: &str| {
        let of_rule = |a: &&Alert| pipeline.plan().rules[a.rule].id == rule;
        found.alerts.values().filter(of_rule).count()
    };
    let counts: Vec<usize> = [
        "category_week_surge",
        "complaint_surge_business",
        "food_fail_repeat",
        "report_multi_source",
        "sampling_failure_rate",
        "severe_penalty",
    ]
    .iter()
    .map(|rule| count(rule))
    .collect();
    assert_eq!(counts, [2, 2, 3, 2, 1, 3]);
    let retracted = found.alerts.values().filter(|a| a.state == State::Retracted);
    let rules: BTreeSet<&str> =
        retracted.map(|a| pipeline.plan().rules[a.rule].id.as_str()).collect();
    assert_eq!(rules, BTreeSet::from(["food_fail_repeat", "report_multi_source"]));
    let classes = ["bad_time", "bad_value", "future", "late", "syntax"];
    assert_eq!(found.dead, classes.iter().map(|c| (*c, 1)).collect());
    let complaints = done.counts[inputs[0].feed];
    assert_eq!((complaints.duplicates, complaints.corrections), (30, 2));
    for alert in found.alerts.values() {
        let (zh, en) = &alert.message;
        assert!(!zh.is_empty() && !en.is_empty() && !zh.contains('{'), "{} {zh} {en}", alert.id);
        assert!(alert.evidence_total > 0, "{} has no evidence", alert.id);
    }
}
