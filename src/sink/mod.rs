//! Sink: where alerts go.
//!
//! In: revisions in the order they were stored. A sink says what it got last, so that the engine goes on there after a
//! restart and nothing is told twice.

pub mod alertmanager;
pub mod file;
pub mod found;
pub mod http;
mod rule_signals;
pub mod webhook;
