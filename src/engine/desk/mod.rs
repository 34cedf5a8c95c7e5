//! Desk: answers readers. Everything here may wait for the disk and runs beside the engine, never in its way.
//!
//! In: what a reader asks for. Out: views, made from the alert store, the index, the log, and the rules and feeds in use.
//! The engine hands over what it logged and stored (`took`, `stored`); readers take the rest from disk.
//! Not here: HTTP and HTML — see `api`.

mod alerts;
mod definition;
mod disk;
mod feeds;
mod records;
mod rules;
mod series;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
};

pub use alerts::AlertQuery;
use disk::Backlogs;
pub use feeds::DeadLetterQuery;
pub(super) use rules::finding;
use serde_json::Value;

use super::{
    index::{Index, Logged},
    pipeline::{Pipeline, Step},
    stream::Stream,
    view::{Series, Text},
};
use crate::{
    feed::FeedSpec,
    model::{alert::Alert, reference::ucc, secret::Secret, time::Zone},
    rule::{
        file::{Bilingual, RuleFile},
        plan::{Plan, RulePlan},
    },
    store::{
        alerts::{self as store, AlertReader, Mark, Subject},
        dead_letters, log,
    },
};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The alert store does not answer, or was given a wrong cursor.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// Dead letters cannot be read.
    #[error(transparent)]
    DeadLetters(#[from] dead_letters::Error),
    /// The reading thread was stopped.
    #[error("reading was interrupted, the server is shutting down")]
    Interrupted,
}

/// What answers are made of.
pub struct Desk {
    data: PathBuf,
    zone: Zone,
    secret: Secret,
    specs: Arc<[FeedSpec]>,
    plan: Arc<Plan>,
    rules: Vec<RuleFile>,
    rules_dir: PathBuf,
    by_id: BTreeMap<String, usize>,
    index: RwLock<Index>,
    backlogs: Backlogs,
    stream: Stream,
    /// Open connections that nobody uses at the moment.
    readers: Mutex<Vec<AlertReader>>,
    /// Series that were made, by alert.
    series: Mutex<HashMap<String, MadeSeries>>,
}

/// A series and what it was made of.
struct MadeSeries {
    /// Of the alert.
    revision: u32,
    /// Arrival number behind the last row in the log.
    end: u64,
    series: Option<Series>,
}

impl Desk {
    /// A desk over the data directory `data`, for the rules and feeds of `pipeline`.
    #[must_use]
    pub fn new(
        data: &Path,
        pipeline: &Pipeline,
        rules: Vec<RuleFile>,
        rules_dir: &Path,
        secret: Secret,
    ) -> Self {
        let specs: Arc<[FeedSpec]> = pipeline.specs().into();
        let plan = Arc::clone(pipeline.plan());
        let zone = pipeline.zone().clone();
        let index = Index::new(&specs, plan.rules.len(), zone.clone());
        let backlogs = Backlogs::new(data, &specs);
        let by_id = rules.iter().enumerate().map(|(i, r)| (r.id.value.clone(), i)).collect();
        Self {
            data: data.to_owned(),
            zone,
            secret,
            specs,
            plan,
            rules,
            rules_dir: rules_dir.to_owned(),
            by_id,
            index: RwLock::new(index),
            backlogs,
            stream: Stream::default(),
            readers: Mutex::default(),
            series: Mutex::default(),
        }
    }

    /// The zone in which instants are shown.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Revisions as they come.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The engine walked a logged request.
    pub(super) fn took(&self, logged: &Logged<'_>, step: &Step, watermarks: Vec<Option<i64>>) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.take(&self.specs[logged.feed], logged, step);
        index.set_watermarks(watermarks);
    }

    /// The engine declared a partition silent.
    pub(super) fn went_idle(
        &self,
        feed: usize,
        partition: &str,
        step: &Step,
        watermarks: Vec<Option<i64>>,
    ) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.idle(feed, partition, step);
        index.set_watermarks(watermarks);
    }

    /// The engine stored revisions.
    pub(super) fn stored(&self, marks: impl IntoIterator<Item = Mark>) {
        self.stream.add(marks);
    }

    /// Whom and where an alert is about: what its key says, else the record that fired, else the latest record of the
    /// business.
    pub(super) fn subject(&self, alert: &Alert) -> Subject {
        let key = alert.key.values();
        let both = || key.iter().chain(&alert.context);
        let text = |wanted: &dyn Fn(&str, &str) -> bool| {
            both().find_map(|(name, value)| {
                let text = value.as_str().filter(|t| wanted(name, t))?;
                Some((name.clone(), text.to_owned()))
            })
        };
        let code = text(&|_, value| ucc::check(value).is_ok());
        let called = {
            let index = self.index();
            code.as_ref().and_then(|(_, code)| index.called(code).cloned()).unwrap_or_default()
        };
        let shown = code.as_ref().and_then(|(column, _)| {
            alert.context.get(&format!("{column}_name")).and_then(Value::as_str).map(str::to_owned)
        });
        let region = text(&|name, _| name == "region");
        let region = region.or_else(|| text(&|name, _| name.ends_with("_region")));
        Subject {
            ucc: code.map(|(_, code)| code),
            name: shown.or_else(|| called.name.map(Into::into)),
            region: region.map(|(_, code)| code).or_else(|| called.region.map(Into::into)),
        }
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_dir(&self) -> PathBuf {
        self.data.join("log")
    }

    /// Reads alerts on a connection of one's own.
    fn read<T>(
        &self,
        read: impl FnOnce(&AlertReader) -> Result<T, store::Error>,
    ) -> Result<T, Error> {
        let idle = || self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let open = idle().pop();
        let reader = match open {
            Some(reader) => reader,
            None => AlertReader::open(&self.data.join("forewarn.db"))?,
        };
        let answer = read(&reader);
        idle().push(reader);
        Ok(answer?)
    }

    fn rule(&self, id: &str) -> Option<&RuleFile> {
        self.by_id.get(id).map(|i| &self.rules[*i])
    }

    /// Position and plan of a rule that runs.
    fn planned(&self, id: &str) -> Option<(usize, &RulePlan)> {
        self.plan.rules.iter().enumerate().find(|(_, r)| r.id == id)
    }

    /// Directory of a rule below that of all rules: `food`.
    fn domain(&self, rule: &RuleFile) -> Option<String> {
        let mut parts = self.path_of(rule).components();
        let first = parts.next()?.as_os_str().to_str()?;
        parts.next().map(|_| first.to_owned())
    }

    /// Path of a rule below the directory of all rules.
    fn path_of<'a>(&self, rule: &'a RuleFile) -> &'a Path {
        rule.path.strip_prefix(&self.rules_dir).unwrap_or(&rule.path)
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Desk({}, {} feeds, {} rules)",
            self.data.display(),
            self.specs.len(),
            self.rules.len()
        )
    }
}

fn text_of(text: &Bilingual) -> Text {
    let part = |p: &Option<crate::model::yaml::Spanned<String>>| {
        p.as_ref().map_or_else(String::new, |t| t.value.clone())
    };
    Text { zh: part(&text.zh), en: part(&text.en) }
}
