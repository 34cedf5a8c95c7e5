//! `forewarn test`: runs the tests inside rule files; one line a test, the differences below those that fail.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use forewarn::{
    engine::rule_test::{self, Verdict},
    feed::{FeedSpec, spec},
    model::{diagnostic::Diagnostic, time::Zone},
    rule::{self, file::RuleFile},
};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

/// Run the tests inside rule files
#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// Rule files, or directories whose rule files are all tested
    #[arg(default_value = "rules", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Directory of the feed files; without it the nearest `feeds` beside or above each path
    #[arg(long, value_name = "DIR")]
    feeds: Option<PathBuf>,
    /// Run only the tests whose rule or name holds this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Write the result as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Zone in which days begin
    #[arg(long, default_value = "Asia/Shanghai")]
    zone: String,
}

/// Runs the tests; exit code 1 when one fails or a file has errors.
pub(crate) fn run(args: &Test) -> anyhow::Result<ExitCode> {
    let zone = Zone::parse(&args.zone)?;
    let mut report = Report::new("forewarn test");
    let mut out = io::stdout().lock();
    let (mut passed, mut failed) = (0, 0);
    let mut errors = Vec::new();
    for path in &args.paths {
        let (feeds, home) = match &args.feeds {
            Some(dir) => (dir.clone(), path.clone()),
            None => {
                let feeds = feeds_near(path)?;
                let home = feeds.parent().unwrap_or(path).to_owned();
                (feeds, home)
            }
        };
        let (rules, specs) = load(path, &feeds, &home, &zone, &mut errors)?;
        for mut rule in rules {
            rule.tests.retain(|t| {
                args.only
                    .as_ref()
                    .is_none_or(|o| rule.id.value.contains(o) || t.name.value.contains(o))
            });
            if rule.tests.is_empty() {
                continue;
            }
            let mut suite = TestSuite::new(rule.id.value.as_str());
            for verdict in rule_test::run(&rule, &specs, &zone) {
                let told = told(&verdict);
                let (count, word) =
                    if verdict.passed() { (&mut passed, "ok  ") } else { (&mut failed, "FAIL") };
                *count += 1;
                writeln!(out, "{word} {}: {}", rule.id.value, verdict.name)?;
                out.write_all(told.as_bytes())?;
                suite.add_test_case(case(&verdict, &told));
            }
            report.add_test_suite(suite);
        }
    }
    if let Some(path) = &args.junit {
        let failed = || format!("{} cannot be written", path.display());
        fs::write(path, report.to_string().with_context(failed)?).with_context(failed)?;
    }
    if !errors.is_empty() {
        super::print_findings(&errors);
    }
    writeln!(out, "\n{passed} passed, {failed} failed")?;
    if passed + failed == 0 && errors.is_empty() {
        bail!(
            "there are no tests to run in {}",
            args.paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
        );
    }
    Ok(if failed == 0 && errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Rules under `path`, checked beside those under `home`, and the feeds they read; errors of either are added to `errors`.
fn load(
    path: &Path,
    feeds: &Path,
    home: &Path,
    zone: &Zone,
    errors: &mut Vec<Diagnostic>,
) -> anyhow::Result<(Vec<RuleFile>, Vec<FeedSpec>)> {
    let files = rule::rule_paths(path)
        .with_context(|| format!("rules {} cannot be read", path.display()))?;
    let (specs, found) = spec::load_dir(feeds, zone);
    let (rules, more) = super::checked(&files, home, &specs);
    errors.extend(
        found.into_iter().filter(super::stops).chain(more.into_iter().filter(super::stops)),
    );
    Ok((rules, specs))
}

/// The `feeds` directory in `path` or the nearest one above it.
fn feeds_near(path: &Path) -> anyhow::Result<PathBuf> {
    let mut at = Some(path);
    while let Some(dir) = at {
        let feeds = dir.join("feeds");
        if feeds.is_dir() {
            return Ok(feeds);
        }
        at = dir.parent();
    }
    bail!("there is no directory \"feeds\" in or above {}, name it with --feeds", path.display())
}

/// What a failed test has to say, indented; empty for one that passed.
fn told(verdict: &Verdict) -> String {
    let mut text = String::new();
    for finding in &verdict.findings {
        let label =
            if finding.label.is_empty() { String::new() } else { format!(" ({})", finding.label) };
        let _ =
            writeln!(text, "  {}: {}{label} [{}]", place(finding), finding.message, finding.code);
    }
    for difference in &verdict.differences {
        for line in difference.lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

/// `file:line` of a finding.
fn place(finding: &Diagnostic) -> String {
    let source = fs::read_to_string(&finding.file).unwrap_or_default();
    let before = source.get(..finding.span.start).unwrap_or_default();
    format!("{}:{}", finding.file.display(), before.matches('\n').count() + 1)
}

fn case(verdict: &Verdict, told: &str) -> TestCase {
    let mut status = TestCaseStatus::success();
    if !verdict.passed() {
        let kind = if verdict.findings.is_empty() {
            NonSuccessKind::Failure
        } else {
            NonSuccessKind::Error
        };
        status = TestCaseStatus::non_success(kind);
        status.set_message(told.lines().next().unwrap_or_default().trim()).set_description(told);
    }
    TestCase::new(verdict.name.as_str(), status)
}
