//! Mathematics that several detectors share.

pub mod beta;
pub mod binomial;
pub mod gamma;
pub mod loader;
pub mod normal;
pub mod order;
pub mod qr;
pub mod random;
pub mod root;
pub mod simplex;
pub mod stl;
