//! `forewarn replay --diff OLD NEW`: what two rule sets tell otherwise over the same input.

use std::{
    fmt::Write as _,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use forewarn::{
    engine::{
        collect::Collected,
        difference::{Counts, Difference, Told},
        pipeline::Pipeline,
        replay,
    },
    feed::{FeedSpec, spec},
    model::time::Zone,
    rule::{
        file::{RuleFile, Status},
        rule_paths,
    },
};

use super::replay::Replay;

/// Alerts that people are shown, of each sort.
const SHOWN: usize = 40;

/// How a difference is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A table and the first alerts of each sort, for people
    Human,
    /// Everything, for programs
    Json,
}

/// What is compared, and where feeds and key are if nothing else says so.
pub(super) struct Compared<'a> {
    pub(super) old: &'a Path,
    pub(super) new: &'a Path,
    pub(super) rules: &'a Path,
    pub(super) data: &'a Path,
}

/// Exit code 0 where both tell the same, 1 where not, 2 where one cannot be run.
pub(super) fn run(args: &Replay, compared: &Compared<'_>, zone: &Zone) -> anyhow::Result<ExitCode> {
    let feeds = args.feeds.clone().unwrap_or_else(|| {
        let above = [compared.old, compared.new].into_iter().flat_map(Path::ancestors);
        let near = above.map(|dir| dir.join("feeds")).find(|dir| dir.is_dir());
        near.unwrap_or_else(|| compared.rules.join("feeds"))
    });
    let mut told = Vec::new();
    for rules in [compared.old, compared.new] {
        let Some((specs, mut files)) = load(rules, &feeds, zone)? else {
            return Ok(ExitCode::from(2));
        };
        if rules.is_file() {
            files.iter_mut().for_each(|rule| rule.status.value = Status::Live);
        }
        let Some(alerts) = alerts(args, compared, specs, &files, zone)? else {
            return Ok(ExitCode::from(2));
        };
        told.push((files, alerts));
    }
    let (Some((new_files, new)), Some((old_files, mut old))) = (told.pop(), told.pop()) else {
        anyhow::bail!("name two rule files or directories");
    };
    // One rule against another is that rule against its next version, whatever it is called.
    if let ([_], [now]) = (&old_files[..], &new_files[..]) {
        old.iter_mut().for_each(|t| t.rule.clone_from(&now.id.value));
    }
    let difference = Difference::of(old, new);
    let text = match args.format {
        Format::Json => format!("{:#}\n", difference.to_json(zone)),
        Format::Human => for_people(&difference, zone),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(if difference.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The rules of a file or directory. They are judged by themselves: the other set holds rules of the same ids.
fn load(
    rules: &Path,
    feeds: &Path,
    zone: &Zone,
) -> anyhow::Result<Option<(Vec<FeedSpec>, Vec<RuleFile>)>> {
    if !feeds.is_dir() {
        anyhow::bail!(
            "there is no directory of feeds at {}; name it with --feeds",
            feeds.display()
        );
    }
    let (specs, mut findings) = spec::load_dir(feeds, zone);
    let paths = rule_paths(rules)
        .map_err(|e| anyhow::anyhow!("rules {} cannot be read: {e}", rules.display()))?;
    let (files, found) = super::checked(&paths, rules, &specs);
    findings.extend(found);
    // Its tests are not run here: files of them beside it may be missing or about others.
    findings.retain(|d| super::stops(d) && d.code != "rule::stray_case");
    if findings.is_empty() {
        return Ok(Some((specs, files)));
    }
    super::print_findings(&findings);
    Ok(None)
}

/// What rules tell over the input.
fn alerts(
    args: &Replay,
    compared: &Compared<'_>,
    specs: Vec<FeedSpec>,
    rules: &[RuleFile],
    zone: &Zone,
) -> anyhow::Result<Option<Vec<Told>>> {
    let inputs = super::replay::inputs(&args.inputs, &specs)?;
    let mut pipeline = match Pipeline::try_new(specs, rules, args.options(zone)) {
        Ok(pipeline) => pipeline,
        Err(findings) => {
            super::print_findings(&findings);
            return Ok(None);
        }
    };
    let how = args.how(zone, super::replay::secret(&pipeline, compared.data)?)?;
    let bar = super::bar(super::replay::bytes(&inputs), args.quiet);
    let mut found = Collected::new(|bytes| bar.set_position(bytes));
    replay::replay(&mut pipeline, &inputs, &how, &mut found)?;
    let told = found.told();
    bar.finish_and_clear();
    let rules = &pipeline.plan().rules;
    Ok(Some(told.iter().map(|alert| Told::new(&rules[alert.rule].id, alert)).collect()))
}

fn for_people(difference: &Difference, zone: &Zone) -> String {
    let mut out = String::new();
    let head = ["old", "new", "appear", "vanish", "earlier", "later", "severity", "end"];
    let mut line = |name: &str, cells: [String; 8]| {
        let _ = write!(out, "{name:<32}");
        cells.iter().for_each(|cell| {
            let _ = write!(out, " {cell:>8}");
        });
        out.push('\n');
    };
    line("rule", head.map(str::to_owned));
    let row = |c: &Counts| {
        [c.old, c.new, c.appear, c.vanish, c.earlier, c.later, c.severity, c.end]
            .map(|n| n.to_string())
    };
    let mut same = 0;
    for (rule, counts) in &difference.rules {
        let still = Counts { old: counts.old, new: counts.new, ..Counts::default() } == *counts;
        if still {
            same += 1;
        } else {
            line(rule, row(counts));
        }
    }
    if difference.rules.len() > 1 {
        line("all", row(&difference.sum()));
    }
    if same > 0 {
        let _ = writeln!(out, "{same} rules tell the same");
    }
    let at = |t: &Told| {
        let record = t.record.as_ref().map_or_else(String::new, |r| format!(" record {r:?}"));
        format!("{} {}{record}", t.rule, t.key.canonical)
    };
    let one = |t: &Told| {
        let back = if t.retracted { ", taken back" } else { "" };
        format!("{} fired {}, {}{back}", at(t), zone.format(t.fired_ms), t.severity.word())
    };
    listed(&mut out, "appear", difference.appear.iter().map(one));
    listed(&mut out, "vanish", difference.vanish.iter().map(one));
    let moved = difference
        .moved
        .iter()
        .map(|(old, new)| format!("{} {}", at(new), changes(old, new, zone).join(", ")));
    listed(&mut out, "moved", moved);
    if difference.is_empty() {
        out.push_str("no difference\n");
    }
    out
}

/// What moved, each as `what old → new`.
fn changes(old: &Told, new: &Told, zone: &Zone) -> Vec<String> {
    let end = |t: &Told| {
        let at = t.ended_ms.map_or_else(|| "open".to_owned(), |ms| zone.format(ms));
        if t.retracted { format!("taken back {at}") } else { at }
    };
    let pairs = [
        ("fired", zone.format(old.fired_ms), zone.format(new.fired_ms)),
        ("severity", old.severity.word().to_owned(), new.severity.word().to_owned()),
        ("end", end(old), end(new)),
    ];
    let moved = pairs.into_iter().filter(|(_, old, new)| old != new);
    moved.map(|(what, old, new)| format!("{what} {old} → {new}")).collect()
}

/// The first alerts of a sort, and how many more there are.
fn listed(out: &mut String, sort: &str, all: impl ExactSizeIterator<Item = String>) {
    let count = all.len();
    if count == 0 {
        return;
    }
    let _ = writeln!(out, "\n{sort}: {count}");
    for one in all.take(SHOWN) {
        let _ = writeln!(out, "  {one}");
    }
    if count > SHOWN {
        let _ = writeln!(out, "  … and {} more with --format json", count - SHOWN);
    }
}
