//! `forewarn health`: asks a running engine whether it takes records, where there is no shell and no curl.

use std::process::ExitCode;

use anyhow::bail;
use forewarn::{
    engine::config::DEFAULT_LISTEN,
    sink::http::{Client, is_url},
};

/// What `forewarn health` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Health {
    /// Where the engine is reached; http://127.0.0.1:8420 by default
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// 0 when it takes records, 1 when it does not (yet), 2 when the question was not right.
pub(crate) fn run(args: &Health) -> anyhow::Result<ExitCode> {
    let url = args.url.clone().unwrap_or_else(|| format!("http://{DEFAULT_LISTEN}"));
    if !is_url(&url) {
        bail!("--url {url:?}: write an http or https URL without a query");
    }
    let url = format!("{}/readyz", url.trim_end_matches('/'));
    match Client::new(None).get(&url) {
        Ok(200) => Ok(ExitCode::SUCCESS),
        Ok(status) => {
            tracing::error!(url, status, "the engine takes no records");
            Ok(ExitCode::FAILURE)
        }
        Err(error) => {
            tracing::error!(url, error, "the engine does not answer");
            Ok(ExitCode::FAILURE)
        }
    }
}
