//! The walk itself, and everything that runs it.

pub mod config;
pub mod correct;
pub mod disorder;
pub mod inspect;
pub mod handle;
mod instant;
pub mod intake;
pub mod pipeline;
pub mod read_file;
mod remembered;
pub mod replay;
pub mod rule_test;
mod sessions;
pub mod run;
pub mod shard;
pub mod sources;
pub mod windows;
