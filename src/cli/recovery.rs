//! Recovery: how far the walk through the log is, which every start begins with.

use std::time::Duration;

use forewarn::engine::{
    handle::{Handle, Health, Walk},
    run::{Positions, Running},
};

/// How often the bar is drawn.
const LOOK: Duration = Duration::from_millis(100);
/// How often a line is written where there is no bar.
const LINE: Duration = Duration::from_secs(10);

/// Waits until the log was walked; how far it is shows a bar, or where there is no terminal a line now and then. Where
/// sources go on, or `None` when the engine stopped before.
pub(crate) async fn recovered(
    handle: &Handle,
    running: &mut Running,
    quiet: bool,
) -> Option<Positions> {
    let bar = super::bar(0, quiet);
    if let Ok(style) = indicatif::ProgressStyle::with_template(
        "{bar:40} walking the log: {human_pos} of {human_len} records  {eta} left",
    ) {
        bar.set_style(style);
    }
    let mut lines = tokio::time::interval(LINE);
    // The first comes at once.
    lines.tick().await;
    let mut looks = tokio::time::interval(LOOK);
    let walk = || match handle.health() {
        Health::Recovering(walk) => walk,
        Health::Ready | Health::Stopped(_) => Walk::default(),
    };
    loop {
        tokio::select! {
            positions = running.recovered() => {
                bar.finish_and_clear();
                return positions;
            }
            _ = looks.tick() => {
                bar.set_length(walk().of);
                bar.set_position(walk().rows);
            }
            _ = lines.tick(), if bar.is_hidden() => {
                let Walk { rows, of } = walk();
                tracing::info!(rows, of, "walking the log");
            }
        }
    }
}
