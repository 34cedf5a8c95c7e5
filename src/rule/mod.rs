//! YAML → checked → compiled; a closed window → signals.

mod bounds;
mod case;
pub mod check;
pub mod compile;
pub mod compiled;
pub mod control;
pub mod detection;
pub mod detector;
pub mod evaluate;
pub mod exceptions;
pub mod expr;
pub mod file;
pub mod first_seen;
pub mod growth;
pub mod house;
pub mod join;
mod joint;
pub mod lists;
pub mod load;
pub mod message;
pub mod nowcast;
pub mod peers;
pub mod period;
pub mod plan;
mod read;
pub mod scan;
mod schema;
pub mod scope;
pub mod sequence;
pub mod skeleton;
mod sql;
pub mod statistics;
mod syntax;
pub mod table;

pub use load::{is_of, load, load_dir, rule_paths};
pub use schema::{json_schema, shape};
