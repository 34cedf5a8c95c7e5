//! The walk itself, and everything that runs it.

pub mod config;
pub mod correct;
pub mod disorder;
pub mod inspect;
mod instant;
pub mod intake;
pub mod pipeline;
pub mod read_file;
pub mod replay;
mod sessions;
pub mod shard;
pub mod windows;
