//! The nouns handed from room to room.

pub mod alert;
pub mod batch;
pub mod diagnostic;
pub mod exception;
pub mod expression;
pub mod hash;
pub mod join;
pub mod moment;
pub mod number;
pub mod reference;
pub mod schema;
pub mod secret;
pub mod shape;
pub mod signal;
pub mod time;
pub mod value;
pub mod window;
pub mod yaml;
