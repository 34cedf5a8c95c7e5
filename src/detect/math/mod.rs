//! Distributions and fits that several detectors share.
//!
//! From `statrs` where its figures are good enough: ψ, and incomplete functions in the middle of their range. From `libm` erfc
//! and ln Γ, which `statrs` gives to 5e-12 only. Our own: upper tails of counts ([`poisson`], [`negative_binomial`]), of
//! which nothing is left below 1e-16 where they are one minus the lower part; incomplete [`beta`] and [`gamma`] functions
//! with both tails, for counts of any size; and the normal quantile.

pub mod beta;
pub mod binomial;
pub mod count;
pub mod density;
pub mod gamma;
pub mod glm;
pub mod hypergeometric;
pub mod moments;
pub mod nb_regression;
pub mod negative_binomial;
pub mod normal;
pub mod order;
pub mod poisson;
pub mod qr;
pub mod quasi_poisson;
pub mod random;
pub mod root;
pub mod simplex;
pub mod stl;
pub mod student;
mod tail_loss;
