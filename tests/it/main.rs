//! All integration tests as one binary: one module a subject.

mod broken_files;
mod diagnostics;
mod feeds;
mod house;
mod real;
mod rule_tests;
mod http;
