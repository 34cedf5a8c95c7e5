//! forewarn: risk early warning over event streams.

pub mod alert;
pub mod api;
pub mod decode;
pub mod detect;
pub mod engine;
pub mod feed;
pub mod model;
pub mod pane;
pub mod rule;
pub mod sink;
pub mod source;
pub mod store;
