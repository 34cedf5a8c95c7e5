//! Room rule.
pub mod file;
