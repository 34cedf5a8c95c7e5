//! Room pane.
