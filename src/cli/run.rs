//! `forewarn run`: the engine with its sources, HTTP and sinks, until it is told to stop.

use std::{io::Write, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use forewarn::{
    api,
    engine::{
        clock::Clock,
        config::{Config, FileSource, StdinSource},
        handle::{Handle, Health},
        run::{self, Parts},
        sources::Sources,
    },
};
use tokio::net::TcpListener;

use super::reload::{Home, Set};

/// How often it is looked whether the engine has stopped by itself.
const WATCH: Duration = Duration::from_millis(500);

/// What `forewarn run` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Configuration; forewarn.yaml where there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of rules and feeds
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Directory of feeds; RULES/feeds by default
    #[arg(long, value_name = "DIR")]
    feeds: Option<PathBuf>,
    /// Directory of log, alerts and dead letters
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address and port of HTTP, port 0 for a free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// File or directory to read for a feed; may be repeated. FEED=- is standard input as NDJSON, FEED=-:csv.gz says its format
    #[arg(long = "input", value_name = "FEED=PATH")]
    inputs: Vec<String>,
    /// Feed to read from standard input, as NDJSON or as said: FEED:csv, FEED:arrow, FEED:ndjson.gz
    #[arg(long, value_name = "FEED[:FORMAT]")]
    stdin: Option<String>,
    /// File that gets every revision of every alert; may be repeated
    #[arg(long = "alerts", value_name = "FILE")]
    alerts: Vec<PathBuf>,
    /// Threads that share the keys
    #[arg(long, value_name = "N")]
    shards: Option<usize>,
}

pub(crate) fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let config = config(&args)?;
    let feeds = args.feeds.clone().unwrap_or_else(|| config.rules.join("feeds"));
    let home = Home { config, feeds };
    let set = match home.read()? {
        Ok(set) => set,
        Err(findings) => {
            super::print_findings(&findings);
            return Ok(ExitCode::from(2));
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(serve(&home, set));
    // A source may still wait for standard input; it has nothing that could be lost.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done.map(|()| ExitCode::SUCCESS)
}

/// What the engine is made of.
fn parts(config: &Config, set: Set) -> anyhow::Result<Parts> {
    Ok(Parts {
        pipeline: set.pipeline,
        rules: set.rules,
        rules_dir: config.rules.clone(),
        rules_hash: set.hash,
        secret: super::local_key(&config.data)?,
        data: config.data.clone(),
        sinks: config.sinks.clone(),
        outlets: config.outlets.clone(),
        public_url: config.public_url(),
        limits: config.limits,
        clock: Clock::default(),
    })
}

/// File, environment, then arguments.
fn config(args: &RunArgs) -> anyhow::Result<Config> {
    let mut config = super::config(args.config.as_deref())?;
    let set = |to: &mut PathBuf, from: &Option<PathBuf>| {
        if let Some(from) = from {
            to.clone_from(from);
        }
    };
    set(&mut config.rules, &args.rules);
    set(&mut config.data, &args.data);
    config.listen = args.listen.unwrap_or(config.listen);
    config.shards = args.shards.unwrap_or(config.shards).max(1);
    if let Some(text) = &args.stdin {
        config.stdin = Some(StdinSource::parse(text).map_err(anyhow::Error::msg)?);
    }
    config.sinks.extend(args.alerts.iter().cloned());
    for input in &args.inputs {
        let Some((feed, path)) = input.split_once('=') else {
            bail!("--input {input:?}: write FEED=PATH, like complaints=orders.csv");
        };
        if path == "-" || path.starts_with("-:") {
            let text = format!("{feed}{}", &path[1..]);
            config.stdin = Some(StdinSource::parse(&text).map_err(anyhow::Error::msg)?);
            continue;
        }
        config.sources.push(FileSource { feed: feed.to_owned(), path: path.into(), once: false });
    }
    config.check_listen()?;
    Ok(config)
}

/// Serves one set of rules after the other, until told to stop. The socket stays open all the while: requests that come
/// while one takes over from another wait.
async fn serve(home: &Home, mut set: Set) -> anyhow::Result<()> {
    let listen = home.config.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("listen address {listen} cannot be used, --listen takes another")
    })?;
    let mut address = Some(listener.local_addr()?);
    let socket = listener.into_std()?;
    loop {
        let listener = TcpListener::from_std(socket.try_clone()?)?;
        match serve_one(home, set, listener, address.take()).await? {
            Some(next) => set = next,
            None => return Ok(()),
        }
    }
}

/// Serves a set of rules; returns the one that takes over, if any does. Where it listens is told once.
async fn serve_one(
    home: &Home,
    set: Set,
    listener: TcpListener,
    address: Option<SocketAddr>,
) -> anyhow::Result<Option<Set>> {
    let config = &home.config;
    let hash = set.hash.clone();
    let (handle, mut running) = run::start(parts(config, set)?, tokio::runtime::Handle::current())?;
    let stdin = config.stdin.as_ref().map(|s| s.feed.as_str());
    for feed in config.sources.iter().map(|s| s.feed.as_str()).chain(stdin) {
        handle.intake().feed(feed)?;
    }
    // For scripts that asked for a free port.
    if let Some(address) = address {
        writeln!(std::io::stdout(), "listening on http://{address}")?;
    }
    let (next, mut taken) = tokio::sync::oneshot::channel();
    let other = home.clone().other(handle.clone(), hash);
    let told = stop(handle.clone());
    let stop = async move {
        tokio::select! {
            () = told => {}
            set = other => {
                let _ = next.send(set);
            }
        }
    };
    let limit = config.limits.body_bytes_max;
    let mut server = tokio::spawn(api::serve(listener, handle.clone(), limit, stop));
    let sources = tokio::select! {
        positions = super::recovery::recovered(&handle, &mut running, false) => match positions {
            Some(positions) => {
                let stdin = config.stdin.as_ref();
                Some(Sources::start(&handle, &config.sources, stdin, &positions)?)
            }
            // The engine has stopped; why is told by joining it.
            None => None,
        },
        served = &mut server => {
            // Told to stop while the log was walked: nothing was taken that could be lost.
            served??;
            let Ok(set) = taken.try_recv() else { return Ok(None) };
            handle.close();
            drop(handle);
            tokio::task::spawn_blocking(move || running.join()).await??;
            return Ok(Some(set));
        }
    };
    server.await??;
    let next = taken.try_recv().ok();
    tracing::info!("{}", if next.is_some() { "other rules take over" } else { "stopping" });
    let end = move || {
        if let Some(sources) = sources {
            sources.stop();
        }
        // Requests that wait are still taken, then the queue is closed.
        handle.close();
        drop(handle);
        running.join()
    };
    tokio::task::spawn_blocking(end).await??;
    Ok(next)
}

/// Done when the process shall end: SIGTERM, Ctrl-C, or the engine has stopped.
pub(super) async fn stop(handle: Handle) {
    let stopped = async {
        while !matches!(handle.health(), Health::Stopped(_)) {
            tokio::time::sleep(WATCH).await;
        }
    };
    tokio::select! {
        () = stopped => tracing::error!("the engine has stopped"),
        () = terminated() => {}
        told = tokio::signal::ctrl_c() => {
            if let Err(error) = told {
                tracing::error!(%error, "Ctrl-C cannot be waited for");
            }
        }
    }
}

#[cfg(unix)]
async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(error) => {
            tracing::error!(%error, "SIGTERM cannot be waited for");
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending::<()>().await;
}
