//! YAML → checked → compiled; a closed window → signals.
pub mod compile;
pub mod compiled;
pub mod evaluate;
pub mod expr;
pub mod file;
pub mod growth;
pub mod house;
pub mod message;
pub mod plan;
mod sql;
