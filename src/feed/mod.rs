//! Room feed.
