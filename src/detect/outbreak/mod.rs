//! Outbreak: is the count of this week or day above what history lets expect?

mod ears;

pub use ears::{C3, Ears, Method as EarsMethod};
