//! forewarn: risk early warning over event streams.

pub mod model;
pub mod source;
pub mod decode;
pub mod feed;
pub mod pane;
pub mod rule;
pub mod alert;
pub mod sink;
pub mod store;
pub mod engine;
pub mod api;
