//! The walk itself, and everything that runs it.

pub mod config;
pub mod correct;
pub mod disorder;
pub mod inspect;
mod instant;
pub mod pipeline;
pub mod replay;
mod sessions;
pub mod shard;
pub mod windows;
