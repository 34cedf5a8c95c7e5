//! The walk itself, and everything that runs it.

mod admit;
pub mod config;
pub mod correct;
pub mod disorder;
mod due;
pub mod handle;
mod incoming;
pub mod inspect;
mod instant;
pub mod intake;
pub mod pipeline;
pub mod read_file;
pub mod recount;
mod recover;
mod remembered;
pub mod replay;
pub mod rule_test;
pub mod run;
mod sessions;
pub mod shard;
mod shards;
mod silence;
pub mod sources;
pub mod step;
mod take;
mod tell;
pub mod windows;
