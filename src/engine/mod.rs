//! The walk itself, and everything that runs it.

pub mod config;
pub mod correct;
pub mod disorder;
pub mod handle;
pub mod inspect;
mod instant;
pub mod intake;
pub mod metrics;
mod outlets;
pub mod pipeline;
mod process;
pub mod read_file;
pub mod recount;
mod remembered;
pub mod replay;
pub mod rule_test;
pub mod run;
mod sessions;
pub mod shard;
pub mod sources;
pub mod windows;
