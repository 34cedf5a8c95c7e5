//! All integration tests as one binary: one module a subject.

mod dead_letters;
mod feeds;
mod house;
mod real;
mod rule_tests;
