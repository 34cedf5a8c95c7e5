//! The conventions of dashboards, after Grafana's dashboard-linter, and what can be known of an expression without a server.

use std::collections::BTreeSet;

use serde_json::Value;

/// Everything wrong with a dashboard, each with where.
pub(super) fn faults(dashboard: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |good: bool, what: &str| {
        if !good {
            faults.push(what.to_owned());
        }
    };
    let text = |value: &Value| value.as_str().is_some_and(|t| !t.is_empty());
    check(dashboard["schemaVersion"] == 39, "schemaVersion is not 39");
    check(dashboard["editable"] == false, "it is editable");
    check(dashboard["refresh"] == "60s", "refresh is not 60s");
    check(text(&dashboard["uid"]), "no fixed uid");
    check(text(&dashboard["title"]) && text(&dashboard["description"]), "no title or description");
    let tags = dashboard["tags"].as_array().is_some_and(|t| t.contains(&"forewarn".into()));
    check(tags, "not tagged forewarn");
    for (name, what) in [("datasource", "datasource"), ("job", "query"), ("instance", "query")] {
        let list = dashboard["templating"]["list"].as_array().into_iter().flatten();
        let found: Vec<_> = list.filter(|v| v["name"] == name).collect();
        check(found.len() == 1 && found[0]["type"] == what, &format!("variable {name}"));
        let Some(variable) = found.first() else { continue };
        if what == "datasource" {
            let good = variable["label"] == "Data source" && variable["query"] == "prometheus";
            check(good, "datasource variable: label or query");
        } else {
            let good = variable["multi"] == true
                && variable["allValue"] == ".+"
                && variable["refresh"] == 2
                && variable["datasource"]["uid"] == "${datasource}"
                && variable["definition"]
                    .as_str()
                    .is_some_and(|d| d.contains("forewarn_build_info"));
            check(good, &format!("variable {name}: multi, allValue, refresh or query"));
        }
    }
    let panels = dashboard["panels"].as_array().cloned().unwrap_or_default();
    check(!panels.is_empty(), "no panels");
    let ids: BTreeSet<_> = panels.iter().map(|p| p["id"].as_u64()).collect();
    check(ids.len() == panels.len(), "ids of panels are not unique");
    for panel in &panels {
        let title = panel["title"].as_str().unwrap_or("a panel without title");
        let mut check = |good: bool, what: &str| check(good, &format!("{title}: {what}"));
        check(text(&panel["title"]) && text(&panel["description"]), "title or description");
        check(text(&panel["fieldConfig"]["defaults"]["unit"]), "no unit");
        check(panel["datasource"]["uid"] == "${datasource}", "its data source is fixed");
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        check(!targets.is_empty(), "no targets");
        for target in &targets {
            check(target["datasource"]["uid"] == "${datasource}", "a target's source is fixed");
            let expression = target["expr"].as_str().unwrap_or_default();
            for fault in expression_faults(expression) {
                check(false, &fault);
            }
        }
    }
    faults.extend(overlaps(&panels));
    faults
}

/// A selector in an expression: metric, what stands in braces, what stands in brackets, the function around it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) metric: String,
    pub(super) matchers: String,
    pub(super) range: Option<String>,
    pub(super) function: String,
}

pub(super) fn selectors(expression: &str) -> Vec<Selector> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut out = Vec::new();
    let mut from = 0;
    while let Some(at) = expression[from..].find(|c: char| is_name(c)) {
        let start = from + at;
        let length = expression[start..].find(|c| !is_name(c)).unwrap_or(expression.len() - start);
        let (name, rest) = (&expression[start..start + length], &expression[start + length..]);
        from = start + length;
        if !(name.starts_with("forewarn_") || name.starts_with("process_")) {
            continue;
        }
        let (matchers, rest) = match rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
            Some((matchers, behind)) => (matchers, behind),
            None => ("", rest),
        };
        let range =
            rest.strip_prefix('[').and_then(|r| r.split_once(']')).map(|(r, _)| r.to_owned());
        let before = expression[..start].trim_end_matches('(');
        let function = before.rsplit(|c: char| !is_name(c)).next().unwrap_or_default().to_owned();
        from = expression.len() - rest.len();
        out.push(Selector {
            metric: name.to_owned(),
            matchers: matchers.to_owned(),
            range,
            function,
        });
    }
    out
}

fn expression_faults(expression: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let found = selectors(expression);
    if found.is_empty() {
        faults.push(format!("no metric in {expression:?}"));
    }
    for s in found {
        let Selector { metric, matchers, range, function } = s;
        if !matchers.contains("job=~\"$job\", instance=~\"$instance\"") {
            faults.push(format!("{metric} does not match job and instance"));
        }
        let counted = matches!(function.as_str(), "rate" | "increase" | "irate");
        let is_counter =
            ["_total", "_bucket", "_sum", "_count"].iter().any(|end| metric.ends_with(end));
        if is_counter != counted {
            faults.push(format!("{metric} under {function:?}: counters and only they need a rate"));
        }
        if counted && !matches!(range.as_deref(), Some("$__rate_interval" | "$__range")) {
            faults.push(format!("{metric} over {range:?}, not $__rate_interval"));
        }
    }
    faults
}

fn overlaps(panels: &[Value]) -> Vec<String> {
    let mut cells = BTreeSet::new();
    let mut faults = Vec::new();
    for panel in panels {
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap_or(0);
        let of_panel = (at("x")..at("x") + at("w"))
            .flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)));
        if at("w") == 0 || at("x") + at("w") > 24 || of_panel.into_iter().any(|c| !cells.insert(c))
        {
            faults.push(format!("{}: lies over another panel or outside", panel["title"]));
        }
    }
    faults
}

#[test]
fn selectors_are_found() {
    let found =
        selectors("sum by (feed) (rate(forewarn_a_total{x=\"y\", $f}[5m])) / max(forewarn_b)");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(
        (found[0].metric.as_str(), found[0].function.as_str()),
        ("forewarn_a_total", "rate")
    );
    assert_eq!(
        (found[0].matchers.as_str(), found[0].range.as_deref()),
        ("x=\"y\", $f", Some("5m"))
    );
    assert_eq!((found[1].metric.as_str(), found[1].function.as_str()), ("forewarn_b", "max"));
}

#[test]
fn faults_are_found() {
    for (expression, faults) in [
        ("forewarn_alerts{job=~\"$job\", instance=~\"$instance\"}", 0),
        ("sum(forewarn_alerts)", 1),
        ("rate(forewarn_alerts{job=~\"$job\", instance=~\"$instance\"}[$__rate_interval])", 1),
        ("forewarn_a_total{job=~\"$job\", instance=~\"$instance\"}", 1),
        ("rate(forewarn_a_total{job=~\"$job\", instance=~\"$instance\"}[5m])", 1),
        ("time()", 1),
    ] {
        let found = expression_faults(expression);
        assert_eq!(found.len(), faults, "{expression}: {found:?}");
    }
    let good = super::source::to_json(&super::source::dashboards()[0], 0);
    for (path, value) in [
        ("/schemaVersion", Value::from(36)),
        ("/editable", true.into()),
        ("/uid", Value::Null),
        ("/templating/list/1/allValue", "".into()),
        ("/templating/list/0/label", "x".into()),
        ("/panels/0/description", "".into()),
        ("/panels/0/fieldConfig/defaults/unit", "".into()),
        ("/panels/1/gridPos/x", 0.into()),
        ("/panels/1/datasource/uid", "abc".into()),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap() = value;
        assert_eq!(faults(&bad).len(), 1, "{path}: {:?}", faults(&bad));
    }
}
