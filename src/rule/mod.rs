//! Room rule.

pub mod expr;
pub mod file;
mod growth;
pub mod house;
mod sql;
