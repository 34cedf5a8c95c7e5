//! Room source.
