//! Dashboards, alerting rules and metrics hold together: what is shown is exported, what is exported is shown, and Debian's
//! Prometheus and Alertmanager agree.
//!
//! The dashboards are generated: `FOREWARN_WRITE_DASHBOARDS=1 cargo test --test it dashboards` writes them anew.

mod lint;
mod live;
mod source;

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

/// Metrics that no dashboard and no rule shows, for looking around.
const EXPLORE_ONLY: [&str; 2] = ["process_virtual_memory_bytes", "process_threads"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn committed(name: &str, language: &str) -> PathBuf {
    root().join("dashboards/grafana").join(language).join(format!("{name}.json"))
}

/// All dashboards as they are committed, with their files.
fn all() -> Vec<(PathBuf, Value)> {
    let names = source::dashboards().into_iter().map(|d| d.name);
    names
        .flat_map(|name| source::LANGUAGES.map(|l| committed(name, l)))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let json = serde_json::from_str(&text).unwrap();
            (path, json)
        })
        .collect()
}

fn rules_text() -> String {
    fs::read_to_string(root().join("dashboards/prometheus/rules/forewarn.rules.yml")).unwrap()
}

/// Metric names of a text, without the suffixes of histograms.
fn names_in(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_name(c));
    let ours = words.filter(|w| w.starts_with("forewarn_") || w.starts_with("process_"));
    ours.map(base).collect()
}

fn base(name: &str) -> String {
    let bare = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    bare.unwrap_or(name).to_owned()
}

/// Names that the source of the metrics registers.
fn declared() -> BTreeSet<String> {
    let engine = root().join("src/engine");
    let files = fs::read_dir(engine.join("metrics")).unwrap().map(|e| e.unwrap().path());
    let files = files.chain([engine.join("process.rs")]);
    let code: String = files.map(|file| fs::read_to_string(file).unwrap()).collect();
    let texts = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let quoted = texts.flat_map(|line| line.split('"').skip(1).step_by(2));
    quoted
        .filter(|t| t.starts_with("forewarn_") || t.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

fn used() -> BTreeSet<String> {
    let dashboards = all();
    let expressions = dashboards.iter().flat_map(|(_, json)| source::expressions(json));
    let mut used: BTreeSet<String> =
        expressions.flat_map(|(_, expression, _)| names_in(&expression)).collect();
    used.extend(names_in(&rules_text()));
    used
}

/// Whether a program of Debian's packages is there.
fn has(program: &str) -> bool {
    let mut asked = Command::new(program);
    asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    let found = asked.status().is_ok_and(|s| s.success());
    if !found {
        println!("SKIPPED: {program} is not installed");
    }
    found
}

fn run(program: &str, arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn the_committed_dashboards_are_those_of_the_source() {
    let write = std::env::var_os("FOREWARN_WRITE_DASHBOARDS").is_some();
    let mut stale = Vec::new();
    for dashboard in source::dashboards() {
        for (l, language) in source::LANGUAGES.iter().enumerate() {
            let path = committed(dashboard.name, language);
            let mut text = serde_json::to_string_pretty(&source::to_json(&dashboard, l)).unwrap();
            text.push('\n');
            if write {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &text).unwrap();
            } else if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
                stale.push(path);
            }
        }
    }
    assert!(stale.is_empty(), "run with FOREWARN_WRITE_DASHBOARDS=1: {stale:?}");
    let files = source::LANGUAGES.iter().map(|l| root().join("dashboards/grafana").join(l));
    let files = files.flat_map(|dir| fs::read_dir(dir).unwrap()).count();
    assert_eq!(files, all().len(), "a file that no source makes");
}

#[test]
fn dashboards_keep_the_conventions() {
    let mut uids = BTreeSet::new();
    for (path, json) in all() {
        let faults = lint::faults(&json);
        assert!(faults.is_empty(), "{}:\n{}", path.display(), faults.join("\n"));
        assert!(uids.insert(json["uid"].to_string()), "uid twice: {}", json["uid"]);
    }
    // The two languages differ in their words only.
    let bare =
        |text: &Value| source::expressions(text).into_iter().map(|(_, e, _)| e).collect::<Vec<_>>();
    for pair in all().chunks(2) {
        assert_eq!(bare(&pair[0].1), bare(&pair[1].1));
        assert_ne!(pair[0].1["title"], pair[1].1["title"]);
    }
}

#[test]
fn what_is_shown_is_exported_and_what_is_exported_is_shown() {
    let (declared, used) = (declared(), used());
    assert!(declared.len() > 40, "{declared:?}");
    let explore: BTreeSet<String> = EXPLORE_ONLY.map(str::to_owned).into();
    let unknown: Vec<_> = used.difference(&declared).collect();
    assert!(unknown.is_empty(), "shown, not exported: {unknown:?}");
    let shown: BTreeSet<_> = used.union(&explore).cloned().collect();
    let unseen: Vec<_> = declared.difference(&shown).collect();
    assert!(unseen.is_empty(), "exported, not shown, not explore-only: {unseen:?}");
}

#[test]
fn prometheus_takes_rules_and_configuration() {
    if !has("promtool") {
        return;
    }
    let at = "dashboards/prometheus";
    for arguments in [
        ["check", "rules", &format!("{at}/rules/forewarn.rules.yml")],
        ["test", "rules", &format!("{at}/rules/forewarn.test.yml")],
        ["check", "config", &format!("{at}/prometheus.yml")],
    ] {
        let (good, text) = run("promtool", &arguments, "");
        assert!(good, "promtool {arguments:?}: {text}");
    }
    // Every alert has a test that makes it fire, and words in both languages.
    let rules = rules_text();
    let tests = fs::read_to_string(root().join(at).join("rules/forewarn.test.yml")).unwrap();
    let names: Vec<&str> =
        rules.lines().filter_map(|l| l.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 8, "{names:?}");
    for name in &names {
        assert!(tests.contains(&format!("alertname: {name}\n        exp_alerts:\n")), "{name}");
    }
    for words in ["summary_zh:", "summary_en:", "description:"] {
        assert_eq!(rules.matches(words).count(), names.len(), "{words}");
    }
}

#[test]
fn alertmanager_takes_its_configuration() {
    if !has("amtool") {
        return;
    }
    let file = "dashboards/alertmanager/alertmanager.yml";
    let (good, text) = run("amtool", &["check-config", file], "");
    assert!(good, "{text}");
}
