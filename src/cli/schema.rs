//! `forewarn schema`: the JSON Schemas of rule and feed files, for editors.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use forewarn::{feed, rule};

/// Write the JSON Schemas of rule and feed files, for completion in editors
#[derive(Debug, clap::Args)]
pub(crate) struct Schema {
    /// Directory for rule.schema.json and feed.schema.json
    #[arg(long, default_value = "rules/schema", value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn run(args: &Schema) -> anyhow::Result<ExitCode> {
    let failed = || format!("schemas cannot be written to {}", args.out.display());
    fs::create_dir_all(&args.out).with_context(failed)?;
    let mut out = io::stdout().lock();
    for (name, schema) in [("rule", rule::json_schema()), ("feed", feed::json_schema())] {
        let path = args.out.join(format!("{name}.schema.json"));
        fs::write(&path, format!("{schema:#}\n")).with_context(failed)?;
        writeln!(out, "{}", path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
