//! Outlets: a thread for each sink on the network.
//!
//! In: the outbox, and a nudge when something was put there. Out: deliveries, tried again until they are taken — with waits
//! that grow, differ by chance and obey `Retry-After` — or refused for good, and what became of them as metrics.
//! Promise: the engine never waits for a receiver. Nothing leaves the outbox before the receiver has it, so a crash delivers
//! again and loses nothing.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    clock::machine_ms as now_ms,
    config::{Outlet, OutletKind},
    metrics::{Delivered, Metrics},
};
use crate::{
    model::time::DAY_MS,
    rule::file::RuleFile,
    sink::{
        alertmanager::{Alertmanager, RESEND_MS, RuleFacts, Verdict},
        http::{Backoff, Reply},
        webhook::Webhook,
    },
    store::{
        alerts::Error,
        outbox::{Outbox, Waiting},
    },
};

/// Revisions taken from the outbox at once.
const AT_ONCE: usize = 1_000;
/// A webhook that did not take a revision for so long does not get it any more.
const GIVE_UP_MS: i64 = DAY_MS;
/// How long a stop waits for requests that are under way.
const STOP: Duration = Duration::from_secs(2);

/// The threads; they end when this is dropped.
pub(super) struct Outlets {
    stop: Arc<AtomicBool>,
    threads: Vec<(mpsc::SyncSender<()>, JoinHandle<()>)>,
}

/// One sink's thread.
struct Courier {
    name: String,
    outbox: Outbox,
    metrics: Arc<Metrics>,
    backoff: Backoff,
    /// Not before this instant, ms.
    not_before_ms: i64,
}

impl Outlets {
    /// Starts a thread for each of `outlets`, over the store at `store`.
    ///
    /// # Errors
    /// [`Error`] of opening the outbox.
    pub(super) fn start(
        outlets: Vec<Outlet>,
        console: &str,
        facts: &BTreeMap<String, RuleFacts>,
        store: &Path,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for outlet in outlets {
            let mut courier = Courier {
                name: outlet.name,
                outbox: Outbox::open(store)?,
                metrics: Arc::clone(metrics),
                backoff: Backoff::default(),
                not_before_ms: 0,
            };
            let (nudge, nudged) = mpsc::sync_channel(1);
            let stop = Arc::clone(&stop);
            let body: Box<dyn FnOnce() + Send> = match outlet.kind {
                OutletKind::Alertmanager { url } => {
                    let mut to = Alertmanager::new(&url, console, facts.clone());
                    Box::new(move || {
                        let mut again_ms = 0;
                        courier.run(&nudged, &stop, |courier, now_ms| {
                            courier.post_alerts(&mut to, &mut again_ms, now_ms)
                        });
                    })
                }
                OutletKind::Webhook { url, secrets, guard } => {
                    let to = Webhook::new(&url, secrets, guard);
                    Box::new(move || {
                        courier.run(&nudged, &stop, |courier, _| courier.post_revisions(&to));
                    })
                }
            };
            match thread::Builder::new().name("outlet".into()).spawn(body) {
                Ok(thread) => threads.push((nudge, thread)),
                Err(error) => tracing::error!(%error, "a sink has no thread and gets nothing"),
            }
        }
        Ok(Self { stop, threads })
    }

    /// Something was put in the outbox.
    pub(super) fn nudge(&self) {
        for (nudge, _) in &self.threads {
            // A thread that is nudged already will look.
            let _ = nudge.try_send(());
        }
    }
}

impl Drop for Outlets {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.nudge();
        let step = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        // What is under way and not known to be delivered is delivered again after the next start.
        while self.threads.iter().any(|(_, t)| !t.is_finished()) && waited < STOP {
            thread::sleep(step);
            waited += step;
        }
    }
}

impl Courier {
    /// Delivers at every nudge and when a wait is over. `deliver` returns after how many milliseconds there is something to
    /// do without a nudge.
    fn run(
        &mut self,
        nudged: &mpsc::Receiver<()>,
        stop: &AtomicBool,
        mut deliver: impl FnMut(&mut Self, i64) -> Result<i64, Error>,
    ) {
        while !stop.load(Ordering::Relaxed) {
            let now = now_ms();
            let mut due_ms = now;
            if now >= self.not_before_ms {
                match deliver(self, now) {
                    Ok(after_ms) => due_ms = now + after_ms,
                    Err(error) => self.later(&chain(&error), None, now),
                }
            }
            match self.outbox.backlog(&self.name) {
                Ok((n, since_ms)) => self.metrics.undelivered(&self.name, n, since_ms),
                Err(error) => tracing::error!(sink = self.name, error = chain(&error), "outbox"),
            }
            let wait_ms = due_ms.max(self.not_before_ms) - now_ms();
            let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
            if matches!(nudged.recv_timeout(wait), Err(RecvTimeoutError::Disconnected)) {
                return;
            }
        }
    }

    /// Sends what changed, and once a minute everything that fires.
    fn post_alerts(
        &mut self,
        to: &mut Alertmanager,
        again_ms: &mut i64,
        now_ms: i64,
    ) -> Result<i64, Error> {
        let waiting = self.outbox.waiting(&self.name, AT_ONCE)?;
        let mut by_alert: BTreeMap<&str, (u32, Vec<i64>)> = BTreeMap::new();
        for one in &waiting {
            by_alert.entry(&one.id).or_insert((one.revision, Vec::new())).1.push(one.seq);
        }
        let (mut alerts, mut seqs) = (Vec::new(), Vec::new());
        for (id, (first, numbers)) in by_alert {
            // With the one before, whose label set Alertmanager knows.
            let revisions = self.outbox.revisions(id, first.saturating_sub(1))?;
            alerts.push(to.changed(&revisions, now_ms));
            seqs.push(numbers);
        }
        let resend = now_ms >= *again_ms;
        if resend {
            let again = to.again(&self.outbox.firing()?, now_ms);
            alerts.extend(again.into_iter().map(|item| vec![item]));
        }
        let verdicts = if alerts.is_empty() {
            Vec::new()
        } else {
            let _timer = self.metrics.delivery_timer(&self.name);
            to.send(&alerts, now_ms)
        };
        let mut taken = Vec::new();
        let mut away = None;
        for (i, verdict) in verdicts.into_iter().enumerate() {
            let numbers = seqs.get(i).map_or(&[][..], Vec::as_slice);
            // An alert that only pends has nothing to send.
            let sent = u64::from(!alerts[i].is_empty());
            match verdict {
                Verdict::Delivered => {
                    self.metrics.delivered(&self.name, Delivered::Delivered, sent);
                    taken.extend_from_slice(numbers);
                }
                Verdict::Refused(why) => {
                    self.metrics.delivered(&self.name, Delivered::Refused, sent);
                    tracing::error!(sink = self.name, why, "an alert was refused");
                    self.outbox.refuse(&self.name, numbers, &why)?;
                }
                Verdict::Later(why, after) => {
                    self.metrics.delivered(&self.name, Delivered::Retried, sent);
                    away = Some((why, after));
                }
            }
        }
        self.outbox.done(&taken)?;
        match away {
            Some((why, after)) => {
                self.later(&why, after, now_ms);
                Ok(0)
            }
            None => {
                if resend {
                    *again_ms = now_ms + RESEND_MS;
                }
                self.backoff.reset();
                Ok(if waiting.len() == AT_ONCE { 0 } else { *again_ms - now_ms })
            }
        }
    }

    /// Sends what waits, one by one, in order.
    fn post_revisions(&mut self, to: &Webhook) -> Result<i64, Error> {
        let waiting = self.outbox.waiting(&self.name, AT_ONCE)?;
        for one in &waiting {
            let Waiting { seq, id, revision, put_ms } = one;
            let Some(body) = self.outbox.body(id, *revision)? else {
                self.outbox.done(&[*seq])?;
                continue;
            };
            let now_ms = now_ms();
            let timer = self.metrics.delivery_timer(&self.name);
            let reply = to.send(&format!("{id}:{revision}:{}", self.name), &body, now_ms);
            timer.observe_duration();
            match reply {
                Reply::Done => {
                    self.metrics.delivered(&self.name, Delivered::Delivered, 1);
                    self.outbox.done(&[*seq])?;
                    self.backoff.reset();
                }
                Reply::Refused { status, text } => {
                    self.refused(*seq, &format!("status {status} {text}"))?;
                }
                Reply::Later { why, .. } if now_ms - put_ms > GIVE_UP_MS => {
                    self.refused(*seq, &format!("not taken within a day: {why}"))?;
                }
                Reply::Later { why, after } => {
                    self.metrics.delivered(&self.name, Delivered::Retried, 1);
                    self.later(&why, after, now_ms);
                    return Ok(0);
                }
            }
        }
        Ok(if waiting.len() == AT_ONCE { 0 } else { DAY_MS })
    }

    fn refused(&mut self, seq: i64, why: &str) -> Result<(), Error> {
        self.metrics.delivered(&self.name, Delivered::Refused, 1);
        tracing::error!(sink = self.name, why, "a revision was refused");
        self.outbox.refuse(&self.name, &[seq], why)
    }

    fn later(&mut self, why: &str, after: Option<Duration>, now_ms: i64) {
        let wait = self.backoff.wait(after);
        tracing::warn!(sink = self.name, why, ?wait, "alerts are not delivered yet");
        self.not_before_ms = now_ms + i64::try_from(wait.as_millis()).unwrap_or(DAY_MS);
    }
}

/// What Alertmanager is told about the rules.
pub(super) fn facts(rules: &[RuleFile]) -> BTreeMap<String, RuleFacts> {
    let of_rule = |rule: &RuleFile| {
        let title = |t: &Option<crate::model::yaml::Spanned<String>>| {
            t.as_ref().map_or_else(String::new, |t| t.value.clone())
        };
        let assign = |name: &str| rule.alert.assign.get(name)?.as_str().map(str::to_owned);
        let facts = RuleFacts {
            title: (title(&rule.title.zh), title(&rule.title.en)),
            department: assign("department"),
            respond_in: assign("respond_in"),
            handle_in: assign("handle_in"),
        };
        (rule.id.value.clone(), facts)
    };
    rules.iter().map(of_rule).collect()
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    super::run::chain(error)
}
