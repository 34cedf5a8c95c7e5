//! Reload: what `forewarn run` runs, read on start and again when it is told to: by SIGHUP, or `POST
//! /api/v1/rules/reload`.

use std::path::{Path, PathBuf};

use forewarn::{
    engine::{
        config::Config,
        handle::Handle,
        pipeline::{Options, Pipeline},
        reload::{Asked, Loaded, NotLoaded},
    },
    feed::FeedSpec,
    model::diagnostic::Diagnostic,
    rule::file::RuleFile,
};

/// Rules and feeds that can be run.
pub(super) struct Set {
    pub(super) pipeline: Pipeline,
    pub(super) rules: Vec<RuleFile>,
    pub(super) hash: String,
}

/// Where they are read from.
#[derive(Debug, Clone)]
pub(super) struct Home {
    pub(super) config: Config,
    pub(super) feeds: PathBuf,
}

impl Home {
    /// The set that lies there now; its findings where it cannot be run.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub(super) fn read(&self) -> anyhow::Result<Result<Set, Vec<Diagnostic>>> {
        let config = &self.config;
        let (specs, rules) = match super::found(&config.rules, &self.feeds, &config.zone)? {
            Ok((specs, rules, _)) => (specs, rules),
            Err(findings) => return Ok(Err(findings)),
        };
        let hash = hash(&specs, &rules);
        let options = Options { zone: config.zone.clone(), shards: config.shards, eager: true };
        let pipeline = Pipeline::try_new(specs, &rules, options);
        Ok(pipeline.map(|pipeline| Set { pipeline, rules, hash }))
    }

    /// Waits until another set shall take over from that of hash `running`; a set that cannot be run is refused meanwhile.
    pub(super) async fn other(self, handle: Handle, running: String) -> Set {
        let Some(mut asked) = handle.reloads() else { return std::future::pending().await };
        let mut hangups = Hangups::new();
        loop {
            let answer = tokio::select! {
                Some(answer) = asked.recv() => Some(answer),
                () = hangups.next() => None,
            };
            match self.look(&running).await {
                Ok((set, loaded)) => {
                    tracing::info!(
                        rules = loaded.rules,
                        changed = loaded.changed,
                        "rules were read anew"
                    );
                    let changed = loaded.changed;
                    tell(answer, Ok(loaded));
                    if changed {
                        return set;
                    }
                }
                Err(why) => {
                    tracing::error!(%why, "what runs stays as it is");
                    if let NotLoaded::Findings(findings) = &why {
                        super::print_findings(findings);
                    }
                    tell(answer, Err(why));
                }
            }
        }
    }

    async fn look(&self, running: &str) -> Result<(Set, Loaded), NotLoaded> {
        if self.config.stdin.is_some() {
            let why = "a run that reads standard input keeps its rules: what was read and not yet taken would be lost";
            return Err(NotLoaded::Refused(why.into()));
        }
        let home = self.clone();
        let read = tokio::task::spawn_blocking(move || home.read()).await;
        match read {
            Ok(Ok(Ok(set))) => {
                let (rules, hash) = (set.rules.len(), set.hash.clone());
                let changed = hash != running;
                Ok((set, Loaded { rules, hash, changed }))
            }
            Ok(Ok(Err(findings))) => Err(NotLoaded::Findings(findings)),
            Ok(Err(error)) => Err(NotLoaded::Refused(format!("{error:#}"))),
            Err(_) => Err(NotLoaded::Refused("reading was interrupted".into())),
        }
    }
}

/// Whoever asked may be gone.
fn tell(answer: Option<Asked>, with: Result<Loaded, NotLoaded>) {
    if let Some(answer) = answer {
        let _ = answer.send(with);
    }
}

/// Hash over everything that decides what alerts are raised.
pub(super) fn hash(specs: &[FeedSpec], rules: &[RuleFile]) -> String {
    let mut text = String::new();
    let file = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    for spec in specs {
        text.push_str(spec.name());
        text.push_str(&file(&spec.path));
        text.push('\0');
    }
    let mut exceptions: Vec<&Path> = Vec::new();
    for rule in rules {
        text.push_str(&rule.source);
        text.push_str(&format!("\0{:032x}", rule.lists.version()));
        let path = rule.exceptions.path.as_path();
        if !path.as_os_str().is_empty() && !exceptions.contains(&path) {
            exceptions.push(path);
        }
    }
    for path in exceptions {
        text.push('\0');
        text.push_str(&file(path));
    }
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
}

/// SIGHUP, as often as it comes.
struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    #[cfg(unix)]
    fn new() -> Self {
        let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
        if let Err(error) = &signal {
            tracing::error!(%error, "SIGHUP cannot be waited for");
        }
        Self { signal: signal.ok() }
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        let told = match &mut self.signal {
            Some(signal) => signal.recv().await,
            None => None,
        };
        if told.is_none() {
            std::future::pending::<()>().await;
        }
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        Self {}
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        std::future::pending::<()>().await;
    }
}
