//! `forewarn test`: runs the tests inside rule files; one line a test, the differences below the ones that fail.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use forewarn::{
    engine::rule_test::{self, Verdict},
    feed::spec::{self, FeedSpec},
    model::{diagnostic::Diagnostic, time::Zone},
    rule::file::RuleFile,
};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::report;

/// Run the tests inside rule files
#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// Rule files, or directories whose rule files are all tested
    #[arg(default_value = "rules", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Directory of the feed files; without it the nearest `feeds` beside or above each rule
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
