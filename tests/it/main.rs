//! All integration tests as one binary: one module a subject.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot set up its world fails"
)]

mod api;
mod author_tools;
mod broken_files;
mod compose;
mod console;
mod dashboards;
mod dead_letters;
mod demo;
mod detect;
mod detect_rules;
mod diagnostics;
mod differential;
mod feeds;
mod first_seen;
mod golden;
mod house;
mod http;
mod lateness;
mod lists;
mod live;
mod lsp;
mod new_rule;
mod parts;
mod program;
mod readme;
mod real;
mod real_detect;
mod reload;
mod replay_options;
mod rule_guide;
mod rule_tests;
mod samples;
mod sequences;
mod simulate;
