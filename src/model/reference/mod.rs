//! Reference tables and the checks of coded values.
