//! `forewarn tune`: the curve of one parameter over history, all values in one pass.

use std::{
    fmt::Write as _,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use forewarn::{
    engine::{
        collect::Collected,
        disorder::Disorder,
        labels::{self, Finder},
        pipeline::{Options, Pipeline},
        replay::{self, ReplayOptions},
        tune::{self, Point},
    },
    model::{
        alert::Alert,
        diagnostic::{did_you_mean, list_names},
        time::{DAY_MS, Zone},
    },
    rule::file::RuleFile,
};
use serde_json::{Value, json};

use super::diff::Format;

/// Width of the longest bar of the curve.
const BAR: usize = 30;

/// Replay history for a grid of values of one parameter: alerts a week, keys, confirmed incidents kept and lost
#[derive(Debug, clap::Args)]
pub(crate) struct Tune {
    /// The rule: its id, or its file
    #[arg(value_name = "RULE")]
    rule: String,
    /// The parameter, like min_people
    #[arg(long, value_name = "PARAM")]
    param: String,
    /// Least value [default: half of what it is]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    from: Option<f64>,
    /// Greatest value [default: double of what it is]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    to: Option<f64>,
    /// How many values; the present one is added
    #[arg(long, default_value_t = 9, value_name = "N")]
    steps: usize,
    /// A file or directory of a feed, as for `forewarn replay`; may be given many times
    #[arg(long = "input", value_name = "FEED=PATH", required = true)]
    inputs: Vec<String>,
    /// Incidents that were confirmed: truth.ndjson of `forewarn simulate`, or a table of rule, its key columns, from, until
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Leave out events before this date or instant
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Leave out events from this date or instant on
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Directory of rules, with feed files in its `feeds`
    #[arg(long, default_value = "rules", value_name = "DIR")]
    rules: PathBuf,
    /// Directory of the feed files, if not `feeds` in the rules' directory
    #[arg(long, value_name = "DIR")]
    feeds: Option<PathBuf>,
    /// Directory with the local key of pseudonyms
    #[arg(long, default_value = "data", value_name = "DIR")]
    data: PathBuf,
    /// How the curve is written
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Zone in which days begin
    #[arg(long, default_value = "Asia/Shanghai")]
    zone: String,
    /// No progress bar
    #[arg(long, short)]
    quiet: bool,
}

/// The curve and what it was made of.
struct Curve {
    rule: String,
    param: String,
    points: Vec<Point>,
    /// Position of the present value.
    now: usize,
    weeks: f64,
    proposed: Option<usize>,
}

/// Exit code 0; 2 where the rules cannot be read.
pub(crate) fn run(args: &Tune) -> anyhow::Result<ExitCode> {
    let zone = Zone::parse(&args.zone)?;
    let feeds = args.feeds.clone().unwrap_or_else(|| args.rules.join("feeds"));
    let Some((specs, rules)) = super::load_quietly(&args.rules, &feeds, &zone)? else {
        return Ok(ExitCode::from(2));
    };
    let rule = find(&args.rule, &rules)?;
    let present = present(rule, &args.param)?;
    let values = tune::grid(&args.param, present, args.from, args.to, args.steps)?;
    let inputs = super::replay::inputs(&args.inputs, &specs)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options { zone: zone.clone(), shards: cores, ..Options::default() };
    let variants = tune::variants(rule, &args.param, &values);
    let mut pipeline = match Pipeline::try_new(specs, &variants, options) {
        Ok(pipeline) => pipeline,
        Err(findings) => {
            super::print_findings(&findings);
            return Ok(ExitCode::from(2));
        }
    };
    let incidents = match &args.labels {
        Some(path) => {
            let finder = |r: &RuleFile| Finder {
                rule: r.id.value.clone(),
                key: r.key_names().map(str::to_owned).collect(),
            };
            let all = labels::read(path, &rules.iter().map(finder).collect::<Vec<_>>(), &zone)?;
            let of_rule: Vec<_> = all.into_iter().filter(|i| i.rule == rule.id.value).collect();
            if of_rule.is_empty() {
                bail!("labels {} hold no incident of rule {:?}", path.display(), rule.id.value);
            }
            Some(of_rule)
        }
        None => None,
    };
    let instant = |text: &Option<String>, option: &str| match text {
        Some(text) => super::instant(text, option, &zone).map(Some),
        None => Ok(None),
    };
    let how = ReplayOptions {
        from_ms: instant(&args.since, "--since")?,
        to_ms: instant(&args.until, "--until")?,
        now_ms: super::now_ms(),
        close_open: false,
        batch_rows: 65_536,
        disorder: Disorder::default(),
        secret: super::replay::secret(&pipeline, &args.data)?,
    };
    let bar = super::bar(super::replay::bytes(&inputs), args.quiet);
    let mut found = Collected::new(|bytes| bar.set_position(bytes));
    let done = replay::replay(&mut pipeline, &inputs, &how, &mut found)?;
    let told = found.told();
    bar.finish_and_clear();
    let until_ms = done.until_ms.unwrap_or(0);
    let span_ms = until_ms - how.from_ms.or(done.first_event_ms).unwrap_or(until_ms);
    let of_variant = |i: usize| -> Vec<&Alert> {
        let id = tune::variant_id(&rule.id.value, i);
        told.iter().filter(|a| pipeline.plan().rules[a.rule].id == id).collect()
    };
    let points = values.iter().enumerate().map(|(i, value)| {
        let alerts = of_variant(i);
        Point::of(&rule.id.value, value.clone(), &alerts, incidents.as_deref(), until_ms)
    });
    let points: Vec<Point> = points.collect();
    let now = values.iter().position(|v| v.as_f64() == present.as_f64()).unwrap_or(0);
    let curve = Curve {
        rule: rule.id.value.clone(),
        param: args.param.clone(),
        proposed: tune::propose(&points, now),
        points,
        now,
        weeks: (span_ms as f64 / (7 * DAY_MS) as f64).max(1.0),
    };
    let text = match args.format {
        Format::Json => format!("{:#}\n", curve.to_json()),
        Format::Human => curve.for_people(),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The rule of an id or a file.
fn find<'a>(named: &str, rules: &'a [RuleFile]) -> anyhow::Result<&'a RuleFile> {
    let file = Path::new(named).canonicalize().ok();
    let is = |r: &&RuleFile| {
        r.id.value == named || (file.is_some() && r.path.canonicalize().ok() == file)
    };
    let ids = || rules.iter().map(|r| r.id.value.as_str());
    rules.iter().find(is).with_context(|| {
        let near = did_you_mean(named, ids()).map(|near| format!(", did you mean {near:?}?"));
        format!(
            "there is no rule {named:?}{}; rules: {}",
            near.unwrap_or_default(),
            list_names(ids())
        )
    })
}

/// The value a parameter has.
fn present<'a>(rule: &'a RuleFile, param: &str) -> anyhow::Result<&'a Value> {
    let names = || rule.params.iter().map(|(name, _)| name.value.as_str());
    let found = rule.params.iter().find(|(name, _)| name.value == param);
    found.map(|(_, value)| value).with_context(|| match rule.params.is_empty() {
        true => format!("rule {:?} has no params; name the number to tune there", rule.id.value),
        false => format!(
            "rule {:?} has no parameter {param:?}; it has {}",
            rule.id.value,
            list_names(names())
        ),
    })
}

impl Curve {
    fn per_week(&self, point: &Point) -> f64 {
        point.alerts as f64 / self.weeks
    }

    fn to_json(&self) -> Value {
        let points = self.points.iter().map(|p| {
            let mut out = json!({
                "value": p.value, "alerts": p.alerts, "per_week": self.per_week(p), "keys": p.keys,
                "severe": p.severe, "taken_back": p.taken_back,
            });
            if let Some((kept, lost)) = p.kept(&self.points[self.now]) {
                out["confirmed_kept"] = kept.into();
                out["confirmed_lost"] = lost.into();
                out["found"] = p.found.as_ref().map_or(0, |f| f.len()).into();
            }
            out
        });
        json!({
            "rule": self.rule, "param": self.param, "weeks": self.weeks,
            "now": self.points[self.now].value,
            "points": points.collect::<Vec<_>>(),
            "proposed": self.proposed.map(|i| self.points[i].value.clone()),
        })
    }

    fn for_people(&self) -> String {
        let mut out = format!(
            "rule {}, parameter {} over {:.1} weeks; now {}\n\n",
            self.rule, self.param, self.weeks, self.points[self.now].value
        );
        let labelled = self.points[self.now].found.is_some();
        let head = if labelled { "  confirmed kept/lost" } else { "" };
        let _ = writeln!(
            out,
            "  {:>12} {:>8} {:>9} {:>7} {:>7} {:>11}{head}",
            self.param, "alerts", "per week", "keys", "severe", "taken back"
        );
        let most = self.points.iter().map(|p| p.alerts).max().unwrap_or(0).max(1);
        for (i, p) in self.points.iter().enumerate() {
            let mark = match (i == self.now, Some(i) == self.proposed) {
                (true, true) => '=',
                (true, false) => '*',
                (false, true) => '>',
                (false, false) => ' ',
            };
            let _ = write!(
                out,
                "{mark} {:>12} {:>8} {:>9.1} {:>7} {:>7} {:>11}",
                p.value.to_string(),
                p.alerts,
                self.per_week(p),
                p.keys,
                p.severe,
                p.taken_back
            );
            if let Some((kept, lost)) = p.kept(&self.points[self.now]) {
                let _ = write!(out, "  {:>21}", format!("{kept}/{lost}"));
            }
            let _ = writeln!(out, "  {}", "#".repeat((p.alerts * BAR).div_ceil(most)));
        }
        let _ = writeln!(out, "\n* now, > proposed, = both");
        out.push_str(&match (self.proposed, labelled) {
            (Some(i), _) if i == self.now => {
                "proposed: as it is; no other value keeps all confirmed incidents with fewer alerts\n"
                    .to_owned()
            }
            (Some(i), _) => format!(
                "proposed: {} = {}: keeps all confirmed incidents with {} alerts instead of {}\n",
                self.param,
                self.points[i].value,
                self.points[i].alerts,
                self.points[self.now].alerts
            ),
            (None, true) => {
                "nothing proposed: the rule as it is finds none of the confirmed incidents\n"
                    .to_owned()
            }
            (None, false) => {
                "nothing proposed: without --labels it is not known which alerts were confirmed\n"
                    .to_owned()
            }
        });
        out
    }
}
