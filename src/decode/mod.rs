//! Room decode.
