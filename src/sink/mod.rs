//! Room sink.
