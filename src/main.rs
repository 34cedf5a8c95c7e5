//! The forewarn binary: parses arguments, starts tracing, prints the final error.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Use all cores without contention: batches are many and short-lived.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Risk early warning over event streams: YAML rules in event time, alerts with evidence
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch a made-up province turn into alerts: nothing to set up, two years in seconds, then live
    Demo(cli::demo::DemoArgs),
    /// Run the engine: sources in, alerts out, HTTP beside it
    Run(cli::run::RunArgs),
    /// Run files through the engine: back-test rules on history
    Replay(cli::replay::Replay),
    /// Ask a running engine whether it takes records; for health checks of containers
    Health(cli::health::Health),
    /// Check feeds and rules: names, types, conditions, messages and tests, all findings in one pass
    Check(cli::check::Check),
    /// Write a commented first rule with two tests, for an author to change
    New(cli::new::New),
    /// Run the tests inside rule files
    Test(cli::test::Test),
    /// Replay history for a grid of values of one parameter: alerts a week, keys, confirmed incidents kept and lost
    Tune(cli::tune::Tune),
    /// Look a rule set over: rules that are silent, noisy, overlapping, ownerless, untested or left behind
    Hygiene(cli::hygiene::Hygiene),
    /// Explain an alert: every term with its value, the records behind it, and a recount from the log
    Explain(cli::explain::Explain),
    /// Propose a feed file from a sample of an office's data
    Feed(cli::feed::Feed),
    /// Look at feeds: how long their records take to come
    Feeds(cli::feeds::Feeds),
    /// Run a detector over a series in a CSV file, or list the detectors there are
    Detect(cli::detect::Detect),
    /// List refused records, or write them back to be sent again
    DeadLetters(cli::dead_letters::DeadLettersArgs),
    /// Write a made-up province's feeds as files, with incidents planted in them and the truth about them
    Simulate(cli::simulate::Simulate),
    /// Check and complete rule files in an editor: a language server on standard input and output
    Lsp(cli::lsp::Lsp),
    /// Write the JSON Schemas of rule and feed files, for completion in editors
    Schema(cli::schema::Schema),
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    // The demo tells people what they need to know.
    let level = if matches!(command, Command::Demo(_)) { "warn" } else { "info" };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("FOREWARN_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level)),
        )
        .init();
    let result = match command {
        Command::Demo(args) => cli::demo::run(args),
        Command::Run(args) => cli::run::run(args),
        Command::Replay(args) => cli::replay::run(args),
        Command::Health(args) => cli::health::run(&args),
        Command::Check(args) => cli::check::run(&args),
        Command::New(args) => cli::new::run(&args),
        Command::Test(args) => cli::test::run(&args),
        Command::Tune(args) => cli::tune::run(&args),
        Command::Hygiene(args) => cli::hygiene::run(&args),
        Command::Explain(args) => cli::explain::run(&args),
        Command::Feed(args) => cli::feed::run(&args),
        Command::Feeds(args) => cli::feeds::run(&args),
        Command::Detect(args) => cli::detect::run(&args),
        Command::DeadLetters(args) => cli::dead_letters::run(&args),
        Command::Simulate(args) => cli::simulate::run(&args),
        Command::Lsp(args) => cli::lsp::run(&args),
        Command::Schema(args) => cli::schema::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            let mut text = format!("error: {error}");
            for cause in error.chain().skip(1) {
                text.push_str(&format!("\n  because: {cause}"));
            }
            let _ =
                std::io::Write::write_all(&mut std::io::stderr(), format!("{text}\n").as_bytes());
            ExitCode::from(2)
        }
    }
}
