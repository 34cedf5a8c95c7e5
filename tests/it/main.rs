//! All integration tests as one binary: one module a subject.

mod feeds;
mod house;
mod real;
mod rule_tests;
