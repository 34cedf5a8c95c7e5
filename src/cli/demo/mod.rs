//! `forewarn demo`: the engine over a made-up province, two years at once and then live, with nothing to set up.

mod place;
mod shipped;
mod words;

use std::{
    collections::HashSet,
    io::{self, Write},
    net::SocketAddr,
    ops::Range,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use forewarn::{
    api,
    engine::{
        clock::Clock,
        config::{DEFAULT_LISTEN, Limits},
        demo::{Feeder, be_patient, report::Report},
        handle::{Handle, Health},
        pipeline::{Options, Pipeline},
        run::{self as engine, Parts, Running},
        stream::News,
    },
    model::{
        alert::State,
        time::{Zone, format_day},
    },
    source::demo::day_start,
};
use tokio::{net::TcpListener, sync::oneshot};

use self::place::Province;

/// Size of the province: as large as two years of it are walked in ten to twenty seconds.
const SCALE: f64 = 0.1;
/// The first day of its history.
const FROM: &str = "2024-01-01";
/// Seconds of the province in a second: a few alerts a minute.
const SPEED: f64 = 7_200.0;
/// A day that never comes.
const FOR_EVER: i32 = 400_000;
/// How often it is looked whether the demo shall stop.
const LOOK: Duration = Duration::from_millis(50);

/// Watch a made-up province: two years of its records in seconds, then live; needs nothing else
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Directory of the demo; a second start goes on with what is in it
    #[arg(long, value_name = "DIR", default_value_os_t = place::default_dir())]
    data: PathBuf,
    /// Begin anew: delete what an earlier demo left in the directory, rules aside
    #[arg(long)]
    fresh: bool,
    /// The same seed gives the same records and the same alerts [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Size of the province: 1 is about Hunan, two million records a year [default: 0.1]
    #[arg(long, value_name = "X")]
    scale: Option<f64>,
    /// First day of the history [default: 2024-01-01]
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// Length of the history [default: 2]
    #[arg(long, value_name = "YEARS")]
    years: Option<f64>,
    /// Seconds of the province in one second, once the history is over; 0: its clock stands still
    #[arg(long, value_name = "X", default_value_t = SPEED)]
    speed: f64,
    /// Let the province's clock stand still from this day on
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// Address and port of HTTP, port 0 for a free one [default: 127.0.0.1:8420, or a free port if that is taken]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// No progress bar, no new alerts on the terminal
    #[arg(long, short)]
    quiet: bool,
}

/// What is run.
struct Demo {
    args: DemoArgs,
    province: Province,
    is_new: bool,
    zone: Zone,
    until: Option<i32>,
}

pub(crate) fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    if !(args.speed >= 0.0 && args.speed.is_finite()) {
        bail!("--speed {}: a number of seconds, 0 or more", args.speed);
    }
    let until = match &args.until {
        Some(text) => {
            let day = place::day(text);
            Some(day.with_context(|| format!("--until {text:?} is no date, write 2026-02-01"))?)
        }
        None => None,
    };
    if let Some(address) = args.listen.filter(|a| !a.ip().is_loopback()) {
        bail!("--listen {address}: the demo is for this machine alone, take a loopback address");
    }
    let zone = Zone::parse("Asia/Shanghai")?;
    let (province, was_there) = place::prepare(&args)?;
    let demo = Demo { args, province, is_new: !was_there, zone, until };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(demo.serve());
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

impl Demo {
    async fn serve(self) -> anyhow::Result<ExitCode> {
        let listener = listen(self.args.listen).await?;
        let address = format!("http://{}", listener.local_addr()?);
        let Some(parts) = self.parts(&address)? else { return Ok(ExitCode::from(2)) };
        let files: Vec<_> =
            parts.rules.iter().map(|r| (r.id.value.clone(), r.path.clone())).collect();
        let (limit, zone) = (parts.limits.body_bytes_max, self.zone.clone());
        let (handle, running) = engine::start(parts, tokio::runtime::Handle::current())?;
        say(&words::greeting(
            &self.province,
            &address,
            &self.args.data,
            (self.is_new, files.len()),
        ))?;

        let stopping = Arc::new(AtomicBool::new(false));
        let (feeding, fed) = oneshot::channel::<()>();
        let stop = {
            let (handle, stopping) = (handle.clone(), Arc::clone(&stopping));
            async move {
                tokio::select! {
                    () = super::run::stop(handle) => {}
                    // Only a fault ends it before that.
                    _ = fed => {}
                }
                stopping.store(true, Ordering::Relaxed);
            }
        };
        let server = tokio::spawn(api::serve(listener, handle.clone(), limit, stop));
        let feed = self.feed(handle.clone(), running, address, files, stopping);
        let feed = tokio::spawn(async move {
            let done = feed.await;
            drop(feeding);
            done
        });
        server.await??;
        if matches!(handle.health(), Health::Recovering(_)) {
            // Told to stop while the log was walked: nothing was taken that could be lost.
            return Ok(ExitCode::SUCCESS);
        }
        let (running, fed) = feed.await?;
        let now_ms = handle.clock().now_ms();
        let end = move || {
            handle.close();
            drop(handle);
            running.join()
        };
        tokio::task::spawn_blocking(end).await??;
        fed?;
        say(&words::farewell(now_ms, &zone))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Engine and rules; `None` where the rules have findings that stop them, which were printed.
    fn parts(&self, address: &str) -> anyhow::Result<Option<Parts>> {
        let data = self.args.data.clone();
        let rules_dir = data.join("rules");
        let Some((mut specs, rules)) =
            super::load(&rules_dir, &rules_dir.join("feeds"), &self.zone)?
        else {
            return Ok(None);
        };
        be_patient(&mut specs);
        let rules_hash = super::reload::hash(&specs, &rules);
        let options = Options { zone: self.zone.clone(), shards: 1, eager: true };
        let pipeline = match Pipeline::try_new(specs, &rules, options) {
            Ok(pipeline) => pipeline,
            Err(findings) => {
                super::print_findings(&findings);
                return Ok(None);
            }
        };
        Ok(Some(Parts {
            pipeline,
            rules,
            rules_dir,
            rules_hash,
            secret: super::local_key(&data)?,
            data,
            sinks: Vec::new(),
            outlets: Vec::new(),
            public_url: address.to_owned(),
            limits: Limits::default(),
            clock: Clock::simulated(day_start(self.province.first())),
        }))
    }

    /// Feeds the engine until it is told to stop; returns the engine's thread, and how that went.
    async fn feed(
        self,
        handle: Handle,
        mut running: Running,
        address: String,
        files: Vec<(String, PathBuf)>,
        stopping: Arc<AtomicBool>,
    ) -> (Running, anyhow::Result<()>) {
        // Where the engine has stopped, joining it tells why.
        let walked = super::recovery::recovered(&handle, &mut running, self.args.quiet).await;
        let Some(positions) = walked else { return (running, Ok(())) };
        let runtime = tokio::runtime::Handle::current();
        let feed = move || -> anyhow::Result<()> {
            let (first, live) = (self.province.first(), self.province.live());
            let simulation = self.province.simulation();
            let mut feeder = Feeder::try_new(
                handle.clone(),
                simulation.clone(),
                &positions,
                Arc::clone(&stopping),
            )?;
            let Some(walked) = self.history(&mut feeder, first..live)? else { return Ok(()) };
            let now_ms = handle.clock().now_ms().max(day_start(live));
            let report = Report::of(handle.desk(), &simulation, first, now_ms)?;
            let text = [
                words::report(&report, walked),
                words::look(&report, &address, &self.args.data, &files),
                words::live(now_ms, &self.zone, self.args.speed, self.until),
            ];
            say(&text.concat())?;
            if !self.args.quiet {
                runtime.spawn(tell(handle.clone()));
            }
            let until = self.until.unwrap_or(FOR_EVER).max(live);
            feeder.live(live..until, self.args.speed)?;
            if !stopping.load(Ordering::Relaxed) {
                say(&words::over(until))?;
            }
            while !stopping.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK);
            }
            Ok(())
        };
        let fed = tokio::task::spawn_blocking(feed).await;
        (running, fed.map_err(anyhow::Error::from).and_then(|fed| fed))
    }

    /// Walks the days that are not in the log; `None` where it was stopped.
    #[expect(clippy::disallowed_methods, reason = "the command line is where clocks are read")]
    fn history(&self, feeder: &mut Feeder, days: Range<i32>) -> anyhow::Result<Option<Walked>> {
        let began = Instant::now();
        let bar = super::bar(0, self.args.quiet);
        let style = "{bar:40} {msg}  {eta} left";
        bar.set_style(indicatif::ProgressStyle::with_template(style)?);
        bar.set_length(days.len() as u64);
        let whole = feeder.history(days.clone(), |n| {
            let walked = i32::try_from(bar.position() + n).unwrap_or(0);
            bar.set_message(format_day(days.start.saturating_add(walked).min(days.end - 1)));
            bar.inc(n);
        });
        bar.finish_and_clear();
        let seconds = began.elapsed().as_secs_f64();
        let broken = "the province's records are not all in the log; begin anew with --fresh";
        Ok(whole.context(broken)?.then(|| Walked { records: feeder.records(), seconds }))
    }
}

/// What was walked of the history.
struct Walked {
    /// None, where all of it was in the log.
    records: u64,
    seconds: f64,
}

/// The address asked for, else the default one, else a free one.
async fn listen(asked: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    let failed =
        |address| format!("listen address {address} cannot be used, --listen takes another");
    if let Some(address) = asked {
        return TcpListener::bind(address).await.with_context(|| failed(address.to_string()));
    }
    match TcpListener::bind(DEFAULT_LISTEN).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind(("127.0.0.1", 0)).await.with_context(|| failed("127.0.0.1:0".into()))
        }
        bound => bound.with_context(|| failed(DEFAULT_LISTEN.into())),
    }
}

/// Prints alerts when they fire for the first time, until the server stops.
async fn tell(handle: Handle) {
    let Some(mut follower) = handle.desk().stream().follow(None) else { return };
    // Alerts that were seen and did not fire yet.
    let mut pending = HashSet::new();
    loop {
        let marks = match follower.next(handle.desk().stream()).await {
            News::Revisions(marks) => marks,
            News::Gap(_) => continue,
            News::End => return,
        };
        for (_, id, revision) in marks {
            if revision > 1 && !pending.remove(&id) {
                continue;
            }
            let asked = id.clone();
            let Ok(Some(row)) = handle.ask(move |desk| desk.alert_row(&asked)).await else {
                continue;
            };
            match row.state {
                // Where nobody can be told nothing is lost by going on.
                State::Firing => drop(say(&format!("  {}\n", words::alert_line(&row)))),
                State::Pending => drop(pending.insert(id)),
                _ => {}
            }
        }
    }
}

fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
