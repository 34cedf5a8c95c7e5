//! Running states of aggregates. First tier: kernels over state words (`kernel`) and exact distinct sets (`distinct`).
//! Second tier: any aggregate of the SQL engine, computed from the rows themselves (`udaf`).

pub mod distinct;
pub mod kernel;
pub mod udaf;
