//! Aggregates each event once, for all rules that share it.
//!
//! In: batches of one feed. `prepare` finds for every row its panes, its keys and the filters it passes; `slice` adds it to
//! the panes of its key; `kept` keeps the row as long as a window may ask for it. Out: the state of any aggregate, for any
//! key, over any run of panes. Promise: all states add, so that neither the order of rows nor how they are batched shows.
//! Not here: which windows are asked for and when (`rule`, `engine`).

pub mod aggregate;
pub mod cold;
pub mod dimension;
pub mod filter;
pub mod intern;
pub mod kept;
pub mod plan;
pub mod prepare;
pub mod series;
pub mod slice;
pub mod store;
