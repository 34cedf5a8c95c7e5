//! Source: gets bytes in, with the place to go on from.
//!
//! In: what was pushed, files and directories, standard input, a simulated province.
//! Out: raw bytes, whose they are, and a position that the
//! log keeps beside the rows, so that nothing is read twice or left out after a restart.
//! Not here: what the bytes mean (`decode`), and who waits for whom (`engine`).

pub mod demo;
pub mod file;
pub mod push;
pub mod stdin;
