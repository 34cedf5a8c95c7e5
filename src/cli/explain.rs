//! `forewarn explain`: why an alert fired, term by term, and that the log says the same today.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, bail};
use forewarn::{
    engine::{
        inspect::Inspection,
        pipeline::{Options, Pipeline},
        recount::recount,
    },
    model::{alert::Alert, signal::Truth, time::Zone, value::value_at},
    rule::file::{RuleFile, Status},
    store::alerts::AlertReader,
};
use serde_json::{Map, Value};

/// Explain an alert: every term with its value, the records behind it, and a recount from the log
#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// Id of the alert, as alerts and the API name it
    #[arg(value_name = "ALERT", required_unless_present = "rule")]
    alert: Option<String>,
    /// Instead of an alert: a rule …
    #[arg(long, requires_all = ["key", "at"], value_name = "RULE")]
    rule: Option<String>,
    /// … its key as JSON, {"ucc":"9143…"} …
    #[arg(long, value_name = "JSON")]
    key: Option<String>,
    /// … and an instant inside the window, or its end
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Directory of log and alerts
    #[arg(long, default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// Directory of rules, with feed files in its `feeds`
    #[arg(long, default_value = "rules", value_name = "DIR")]
    rules: PathBuf,
    /// Zone in which days begin
    #[arg(long, default_value = "Asia/Shanghai")]
    zone: String,
}

pub(crate) fn run(args: &Explain) -> anyhow::Result<ExitCode> {
    let zone = Zone::parse(&args.zone)?;
    let Some((specs, rules)) = super::load(&args.rules, &args.rules.join("feeds"), &zone)? else {
        return Ok(ExitCode::from(2));
    };
    let told = match &args.alert {
        Some(id) => Some(stored(args, id)?),
        None => None,
    };
    let text =
        |field: &str| told.as_ref().and_then(|a| a[field].as_str()).unwrap_or_default().to_owned();
    let rule_id = args.rule.clone().unwrap_or_else(|| text("rule"));
    let Some(mut rule) = rules.into_iter().find(|r| r.id.value == rule_id) else {
        bail!(
            "there is no rule {rule_id:?} under {}; it may have been removed since",
            args.rules.display()
        );
    };
    rule.status.value = Status::Live;
    let mut pipeline = pipeline(specs, rule, &zone)?;
    let up_to = told.as_ref().and_then(|a| a["changed_by"].as_u64()).unwrap_or(u64::MAX - 1);
    let revisions = recount(&mut pipeline, &args.data.join("log"), up_to)?;
    let mut out = String::new();
    let (key, at_ms) = match &told {
        Some(alert) => {
            let end = alert["window"]["end"].as_str().unwrap_or_default();
            (alert["key"].to_string(), zone.parse_instant(end).unwrap_or(0))
        }
        None => {
            let at = args.at.as_deref().unwrap_or_default();
            let at_ms = zone
                .parse_instant(at)
                .with_context(|| format!("--at {at:?} is neither a date nor an instant"))?;
            let key: Map<String, Value> =
                serde_json::from_str(args.key.as_deref().unwrap_or_default())
                    .context("--key must be a JSON object like {\"ucc\":\"91430100MADEMO001X\"}")?;
            (Value::Object(key).to_string(), at_ms)
        }
    };
    out.push_str(&format!("rule {rule_id}, key {key}\n"));
    match pipeline.inspect(0, &key, at_ms) {
        Some(i) => {
            show(&mut out, &i, &pipeline, &zone);
            show_periods(&mut out, &key, &i, &mut pipeline, &zone);
        }
        None if pipeline.plan().rules[0].sequence.is_some() => {
            show_steps(&mut out, &key, at_ms, &revisions, &zone);
        }
        None if told.as_ref().is_some_and(|a| a.get("record").is_some()) => {
            out.push_str(&format!(
                "record {}\n",
                told.as_ref().map_or(&Value::Null, |a| &a["record"])
            ));
        }
        None => out.push_str("no record of this key is in a window that is still kept\n"),
    }
    let mut agrees = true;
    if let Some(alert) = &told {
        let id = alert["id"].as_str().unwrap_or_default();
        let revision = alert["revision"].as_u64().unwrap_or(0);
        let again = revisions.iter().find(|a| a.id == id && u64::from(a.revision) == revision);
        let differences = match again {
            Some(again) => differences(alert, &again.to_json(&rule_id, &zone)),
            None => vec![format!("the log does not lead to revision {revision} of this alert")],
        };
        agrees = differences.is_empty();
        if agrees {
            out.push_str(&format!(
                "\nrecount from the log: revision {revision} agrees in every value\n"
            ));
        } else {
            out.push_str("\nrecount from the log DIFFERS:\n");
            differences.iter().for_each(|d| out.push_str(&format!("  {d}\n")));
        }
    }
    io::stdout().write_all(out.as_bytes())?;
    Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn stored(args: &Explain, id: &str) -> anyhow::Result<Value> {
    let path = args.data.join("forewarn.db");
    if !path.exists() {
        bail!("there is no alert store {}: name its directory with --data", path.display());
    }
    let reader =
        AlertReader::open(&path).with_context(|| format!("alert store {}", path.display()))?;
    match reader.alert(id)? {
        Some(alert) => Ok(Value::Object(alert)),
        None => {
            bail!("there is no alert {id:?} in {}; GET /api/v1/alerts lists them", path.display())
        }
    }
}

fn pipeline(
    specs: Vec<forewarn::feed::FeedSpec>,
    rule: RuleFile,
    zone: &Zone,
) -> anyhow::Result<Pipeline> {
    let options = Options { zone: zone.clone(), shards: 1, eager: true };
    Pipeline::try_new(specs, &[rule], options).map_err(|findings| {
        super::print_findings(&findings);
        anyhow::anyhow!("the rule does not compile")
    })
}

fn show(out: &mut String, i: &Inspection, pipeline: &Pipeline, zone: &Zone) {
    let state = if i.closed { "closed" } else { "open" };
    out.push_str(&format!(
        "window [{}, {}), {state}\n\n",
        zone.format(i.window.start_ms),
        zone.format(i.window.end_ms)
    ));
    for (name, value) in &i.values {
        out.push_str(&format!("  {name:<24} {value}\n"));
    }
    out.push_str("\nwhen\n");
    for (term, holds) in &i.terms {
        let word = match holds {
            Some(true) => "PASS",
            Some(false) => "FAIL",
            None => "NULL",
        };
        out.push_str(&format!("  {word}  {term}\n"));
    }
    let verdict = match i.truth {
        Truth::Fire => format!("fires, severity {}", i.severity.word()),
        Truth::Clear => "clear".to_owned(),
        Truth::Hold => "holds what was (neither `when` nor `clear`)".to_owned(),
    };
    out.push_str(&format!("\n=> {verdict}\n\n{} records in the window\n", i.records.len()));
    for (id, at_ms, feed) in i.records.iter().take(20) {
        out.push_str(&format!(
            "  {}  {}  {id}\n",
            zone.format(*at_ms),
            pipeline.specs()[*feed].name()
        ));
    }
    if i.records.len() > 20 {
        out.push_str(&format!("  … and {} more\n", i.records.len() - 20));
    }
}

/// The sequences of a key that hold an instant, as they were told last: which records met which step, in order of time.
fn show_steps(out: &mut String, key: &str, at_ms: i64, revisions: &[Alert], zone: &Zone) {
    let mut latest: BTreeMap<&str, &Alert> = BTreeMap::new();
    let here = |a: &&Alert| {
        *a.key.canonical == *key && a.window.start_ms <= at_ms && at_ms <= a.window.end_ms
    };
    latest.extend(revisions.iter().filter(here).map(|a| (a.id.as_str(), a)));
    if latest.is_empty() {
        out.push_str("nothing of this key came about around that time\n");
    }
    for alert in latest.values() {
        let (start, end) = (zone.format(alert.window.start_ms), zone.format(alert.window.end_ms));
        let what = if alert.steps.len() > 1 { "sequence" } else { "first seen" };
        out.push_str(&format!("{what} from {start} to {end}, {}\n\n", alert.state.word()));
        for step in &alert.steps {
            let (name, feed) = (&step.name, &step.feed);
            match (step.absent_until_ms, step.at_ms) {
                (Some(until), _) => out.push_str(&format!(
                    "  {name:<16} nothing of {feed} until {}\n",
                    zone.format(until)
                )),
                (None, at_ms) => out.push_str(&format!(
                    "  {name:<16} {}  {feed}  {}\n",
                    at_ms.map_or_else(String::new, |ms| zone.format(ms)),
                    step.records.join(", ")
                )),
            }
        }
        out.push('\n');
        for (name, value) in &alert.values {
            out.push_str(&format!("  {name:<24} {value}\n"));
        }
        out.push_str(&format!("\n=> severity {}\n", alert.severity.word()));
    }
}

/// The series up to the window, of a rule with a detector: what was there, what was expected, how much is ordinary.
fn show_periods(
    out: &mut String,
    key: &str,
    inspection: &Inspection,
    pipeline: &mut Pipeline,
    zone: &Zone,
) {
    let plan = pipeline.plan().clone();
    let Some(detect) = &plan.rules[0].detect else { return };
    let end = zone.to_local(inspection.window.end_ms);
    let periods = (0..=detect.explained()).rev().filter_map(|back| detect.period.before(end, back));
    let periods: Vec<_> = periods.collect();
    let ends: Vec<i64> = periods.iter().map(|period| period.end).collect();
    let Some(course) = pipeline.course(0, key, &ends) else { return };
    out.push_str("\nperiod        value   expected  upper_bound  alarm\n");
    for (row, period) in periods.iter().enumerate() {
        let start = zone.format(zone.to_utc(period.start));
        let cell = |name: &str| match course.values.column_by_name(name) {
            Some(column) => match value_at(column, row) {
                Value::Number(n) if n.is_f64() => format!("{:.2}", n.as_f64().unwrap_or(0.0)),
                Value::Null => "-".to_owned(),
                other => other.to_string(),
            },
            None => "-".to_owned(),
        };
        out.push_str(&format!(
            "{}  {:>7}  {:>9}  {:>11}  {}\n",
            &start[..start.len().min(10)],
            cell("value"),
            cell("expected"),
            cell("upper_bound"),
            cell("alarm")
        ));
    }
}

/// Fields of the stored alert that the recount says otherwise.
fn differences(stored: &Value, again: &Map<String, Value>) -> Vec<String> {
    // Read from text as the stored one was: reading a float may cost its last bit.
    let text = Value::Object(again.clone()).to_string();
    let again: Map<String, Value> = serde_json::from_str(&text).unwrap_or_else(|_| again.clone());
    again
        .iter()
        .filter(|(field, value)| stored.get(field.as_str()) != Some(value))
        .map(|(field, value)| {
            format!(
                "{field}: stored {}, recounted {value}",
                stored.get(field.as_str()).unwrap_or(&Value::Null)
            )
        })
        .collect()
}
