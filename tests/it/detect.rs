//! `forewarn detect` as a user runs it.

use std::{fmt::Write as _, fs, process::Command};

fn forewarn(args: &[&str]) -> (bool, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_forewarn")).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.success(), text(out.stdout), text(out.stderr))
}

#[test]
fn a_series_is_judged_and_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let mut series = "date,value,population\n".to_owned();
    for day in 1..=28 {
        let value = if day == 28 { 30 } else { 4 + day % 3 };
        writeln!(series, "2031-02-{day:02},{value},1000").unwrap();
    }
    fs::write(path("series.csv"), series).unwrap();
    fs::write(path("c2.yaml"), "kind: ears\nmethod: c2\nalpha: 0.01\n").unwrap();
    fs::write(path("bayes.json"), r#"{"kind": "bayes_predictive", "history": 14}"#).unwrap();
    for detector in ["c2.yaml", "bayes.json"] {
        let (ok, out, err) = forewarn(&[
            "detect",
            &path("series.csv"),
            "--detector",
            &path(detector),
            "--svg",
            &path("drawing.svg"),
        ]);
        assert!(ok, "{detector}: {err}");
        let rows: Vec<&str> = out.lines().collect();
        assert_eq!(rows[0], "date,value,expected,upper_bound,score,p_value,alarm,verdict");
        assert_eq!((rows.len(), rows[1]), (29, "2031-02-01,5,,,,,,too_early"));
        let alarms: Vec<&str> =
            rows.iter().copied().filter(|r| r.ends_with(",true,judged")).collect();
        assert_eq!(alarms.len(), 1, "{detector}: {out}");
        assert!(alarms[0].starts_with("2031-02-28,30,"));
        let drawing = fs::read_to_string(path("drawing.svg")).unwrap();
        assert_eq!(drawing.matches("class=\"alarm\"").count(), 1);
    }
    fs::write(path("bad.yaml"), "kind: ears\nalpha: 3\n").unwrap();
    let (ok, _, err) = forewarn(&["detect", &path("series.csv"), "--detector", &path("bad.yaml")]);
    assert!(!ok && err.contains("alpha is 3, it must be between 0 and 0.5"), "{err}");
    fs::write(path("unknown.yaml"), "kind: tea_leaves\n").unwrap();
    let (ok, _, err) =
        forewarn(&["detect", &path("series.csv"), "--detector", &path("unknown.yaml")]);
    assert!(!ok && err.contains("farrington_flexible"), "{err}");
}

#[test]
fn the_catalogue_is_made_from_the_detectors_docs() {
    let (ok, out, err) = forewarn(&["detect", "--list"]);
    assert!(ok, "{err}");
    for kind in forewarn::detect::catalogue::KINDS {
        assert!(out.lines().any(|line| line == kind.name), "{}", kind.name);
    }
    assert!(out.contains("- `min_sigma` — smallest standard deviation"));
    assert!(out.contains("misleads: ") && out.contains("source: "));
}
