//! Reload: other rules, lists and feeds for an engine that runs.
//!
//! In: whoever asks for it over HTTP. Out: an answer, from whoever runs the engine (`cli/reload`): what is loaded now, or why
//! what runs stays as it is. A new set takes over by walking the log, as on a start: what it says is a function of the log, so
//! what did not change says what it said, is not told again, and alerts of what did change are told now. Every set that runs
//! is an entry of the log.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::{desk::finding, view::Finding};
use crate::model::diagnostic::Diagnostic;

/// Requests that wait while another one is looked at.
const WAITING_MAX: usize = 8;

/// A set of rules that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Rules in it.
    pub rules: usize,
    /// Hash over feeds, rules, lists and exceptions.
    pub hash: String,
    /// Whether it is another one than that which ran: then it takes over.
    pub changed: bool,
}

/// Why what runs stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotLoaded {
    /// The new set has errors.
    #[error("the new rules have errors, those that run stay as they are")]
    Findings(Vec<Diagnostic>),
    /// It cannot be read, or this engine takes no other.
    #[error("{0}")]
    Refused(String),
}

/// Where the answer goes.
pub type Asked = oneshot::Sender<Result<Loaded, NotLoaded>>;

/// The way from those who ask to the one who answers.
#[derive(Debug)]
pub(super) struct Reloads {
    ask: mpsc::Sender<Asked>,
    asked: Mutex<Option<mpsc::Receiver<Asked>>>,
}

impl Default for Reloads {
    fn default() -> Self {
        let (ask, asked) = mpsc::channel(WAITING_MAX);
        Self { ask, asked: Mutex::new(Some(asked)) }
    }
}

impl Reloads {
    /// The requests, for the one who answers them; `None` for any further one.
    pub(super) fn requests(&self) -> Option<mpsc::Receiver<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self) -> Result<Loaded, NotLoaded> {
        let nobody =
            || NotLoaded::Refused("this engine runs with the rules it was started with".into());
        if self.asked.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Err(nobody());
        }
        let (answer, answered) = oneshot::channel();
        self.ask.send(answer).await.map_err(|_| nobody())?;
        let stopped = |_| NotLoaded::Refused("the server is shutting down".into());
        answered.await.unwrap_or_else(|e| Err(stopped(e)))
    }
}

/// A finding as readers of the API see it: its file, and the place there.
#[must_use]
pub fn shown(found: &Diagnostic) -> (String, Finding) {
    let text = std::fs::read_to_string(&found.file).unwrap_or_default();
    (found.file.display().to_string(), finding(found, &text))
}
