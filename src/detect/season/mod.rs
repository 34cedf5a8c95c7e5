//! Season: methods that take a season and a level out of a series first.
