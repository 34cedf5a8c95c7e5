//! Store: what lies on disk besides checkpoints.
//!
//! [`log`] holds everything that arrived, in order, and is the truth the rest can be rebuilt from; [`alerts`] holds what
//! was told, [`dead_letters`] what was refused. Rooms on the walk never see either: `engine` writes and reads them.

pub mod alerts;
pub mod backlog;
pub mod dead_letters;
pub mod log;
pub mod outbox;
pub mod record;
pub mod seal;
