//! `forewarn new`: a first rule to change, with columns of the feed at hand and two tests that pass.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use forewarn::{
    feed::{FeedSpec, spec},
    model::{
        diagnostic::{did_you_mean, list_names},
        shape::is_name,
        time::Zone,
    },
    rule::{
        self,
        file::{Kind, RuleFile},
        skeleton,
    },
};

/// Write a commented first rule with two tests, for an author to change
#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// The rule's id, like many_complaints_one_shop; the file is named after it
    #[arg(value_name = "RULE")]
    id: String,
    /// What the rule looks at: instant (one record), window (aggregates over days), detect (a series and a detector),
    /// sequence (one thing after another, or its absence)
    #[arg(long, value_name = "KIND")]
    kind: String,
    /// The feed whose records it looks at; may be left out where there is only one
    #[arg(long, value_name = "FEED")]
    feed: Option<String>,
    /// Directory for the file; where left out, where most rules over this feed are
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Directory of all rules, with feed files in its `feeds`
    #[arg(long, default_value = "rules", value_name = "DIR")]
    rules: PathBuf,
    /// Directory of the feed files, if not `feeds` in the rules' directory
    #[arg(long, value_name = "DIR")]
    feeds: Option<PathBuf>,
}

/// Writes the file; never over one that is there.
pub(crate) fn run(args: &New) -> anyhow::Result<ExitCode> {
    let id = &args.id;
    if !is_name(id) {
        bail!("rule {id:?}: write a name of a–z, 0–9 and _, starting with a letter");
    }
    let kind = kind(&args.kind)?;
    let feeds_dir = args.feeds.clone().unwrap_or_else(|| args.rules.join("feeds"));
    if !feeds_dir.is_dir() {
        bail!(
            "there is no directory of feeds at {}; name it with --feeds, or the rules' with --rules",
            feeds_dir.display()
        );
    }
    let (specs, findings) = spec::load_dir(&feeds_dir, &Zone::utc());
    if findings.iter().any(super::stops) {
        super::print_findings(&findings);
        return Ok(ExitCode::from(2));
    }
    let feed = feed(args.feed.as_deref(), &specs)?;
    let (rules, _) = rule::load_dir(&args.rules);
    if let Some(other) = rules.iter().find(|r| r.id.value == *id) {
        bail!("rule {id:?} is already in {}; ids are unique", other.path.display());
    }
    let dir = args.dir.clone().unwrap_or_else(|| home(&args.rules, feed.name(), &rules));
    fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    let text = skeleton::skeleton(kind, id, &feed.schema, schema(&dir, &args.rules).as_deref())?;
    let path = dir.join(format!("{id}.yaml"));
    let mut file = match File::create_new(&path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} is already there, and stays as it is", path.display())
        }
        made => made.with_context(|| format!("{} cannot be written", path.display()))?,
    };
    file.write_all(text.as_bytes())
        .with_context(|| format!("{} cannot be written", path.display()))?;
    let at = path.display();
    writeln!(io::stdout().lock(), "{at}\nnext: forewarn check {at}; forewarn test {at}")?;
    Ok(ExitCode::SUCCESS)
}

fn kind(word: &str) -> anyhow::Result<Kind> {
    let words = || Kind::ALL.into_iter().map(Kind::word);
    if let Some(kind) = Kind::ALL.into_iter().find(|k| k.word() == word) {
        return Ok(kind);
    }
    bail!("there is no kind {word:?}{}; kinds: {}", meant(word, words()), list_names(words()))
}

fn feed<'a>(name: Option<&str>, specs: &'a [FeedSpec]) -> anyhow::Result<&'a FeedSpec> {
    let names = || specs.iter().map(FeedSpec::name);
    match (name, specs) {
        (Some(name), _) => specs.iter().find(|s| s.name() == name).with_context(|| {
            format!(
                "there is no feed {name:?}{}; feeds: {}",
                meant(name, names()),
                list_names(names())
            )
        }),
        (None, [only]) => Ok(only),
        (None, _) => bail!("name a feed with --feed; feeds: {}", list_names(names())),
    }
}

fn meant<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    did_you_mean(word, known).map_or_else(String::new, |near| format!(", did you mean {near:?}?"))
}

/// Where most rules over a feed are, else a directory of the feed's name.
fn home(rules_dir: &Path, feed: &str, rules: &[RuleFile]) -> PathBuf {
    let mut dirs: Vec<&Path> =
        rules.iter().filter(|r| r.feed.value == feed).filter_map(|r| r.path.parent()).collect();
    dirs.sort_unstable();
    let runs = dirs.chunk_by(|a, b| a == b);
    // Of directories with equally many the first.
    let most = runs.rev().max_by_key(|run| run.len()).map(|run| run[0].to_owned());
    most.unwrap_or_else(|| rules_dir.join(feed))
}

/// The way from a file in `dir` to the schema of rules, where there is one.
fn schema(dir: &Path, rules: &Path) -> Option<String> {
    let schema = rules.join("schema").join("rule.schema.json").canonicalize().ok()?;
    let (rules, dir) = (rules.canonicalize().ok()?, dir.canonicalize().ok()?);
    let below = dir.strip_prefix(&rules).ok()?;
    let way = schema.strip_prefix(&rules).ok()?;
    Some("../".repeat(below.components().count()) + &way.to_string_lossy())
}
