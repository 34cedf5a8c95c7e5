//! Engine: the walk itself, and everything that runs it.

pub mod config;
