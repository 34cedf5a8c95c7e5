//! The walk itself, and everything that runs it.

pub mod config;
pub mod correct;
mod instant;
pub mod shard;
pub mod windows;
