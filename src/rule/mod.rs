//! YAML → checked → compiled; a closed window → signals.
pub mod evaluate;
pub mod file;
pub mod message;
pub mod plan;
