//! Reference tables and the checks of coded values.
//!
//! Small tables that the field shares and that change by law, not by office: they are built in. Larger ones and those
//! an office keeps itself are lists under `rules/lists/`.

pub mod calendar;
pub mod name;
pub mod place;
pub mod region;
pub mod ucc;
