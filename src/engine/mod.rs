//! The walk itself, and everything that runs it.

pub mod config;
pub mod correct;
pub mod disorder;
mod instant;
pub mod pipeline;
pub mod replay;
pub mod shard;
pub mod windows;
