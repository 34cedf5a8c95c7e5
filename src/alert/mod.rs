//! Room alert.
