//! Alert: from what holds for a window to the life of an alert.
//!
//! In: [`Outcome`](crate::model::signal::Outcome)s of one shard in arrival order. Out: new revisions of
//! [`Alert`](crate::model::alert::Alert)s. An alert is an episode of firing windows of one rule and key; its state is a
//! function of what is known about the windows, so a late row gives what it would have given in time, as a revision.
//! Promise: the same outcomes give the same alerts; an outcome sent twice changes nothing.
//! Not here: evidence and messages (filled in by the engine), storage, and what people do with an alert.

mod fold;
mod identity;
mod instant;
pub mod lifecycle;

pub use lifecycle::{AlertSpec, Lifecycle};

#[cfg(test)]
mod tests;
