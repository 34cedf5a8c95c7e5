//! Links: what must hold between a row and those of earlier steps, like `recheck.linked_case = decided.case_no`.
//!
//! Equations, which are what most links are, compare hashes that each row carries; everything else is evaluated as the
//! expression it is. NULL on either side is no link.

use super::seen::{Picks, Seen};
use crate::model::expression::{Expression, evaluate_rows, true_mask};

/// One of the conditions that `and` joins in `match`.
#[derive(Debug)]
pub enum Link {
    /// A value of the row equals one of the row that met an earlier step.
    Equal {
        /// Position among the row's hashes.
        own: usize,
        /// The earlier step.
        step: usize,
        /// Position among the hashes of its row.
        other: usize,
    },
    /// Any condition over picked values.
    Check {
        /// The condition.
        holds: Expression,
        /// What it reads.
        picks: Picks,
    },
}

impl Link {
    /// Whether it holds for the row that is looked at.
    #[must_use]
    pub fn holds(&self, seen: &Seen<'_>) -> bool {
        match self {
            Self::Equal { own, step, other } => {
                let own = seen.next.and_then(|(_, row)| row.hashes[*own]);
                let other = seen.row_of(*step).and_then(|row| row.hashes[*other]);
                own.is_some() && own == other
            }
            Self::Check { holds, picks } => {
                let (values, _) = evaluate_rows(holds.as_ref(), &picks.batch(seen));
                !values.is_empty() && true_mask(&values).value(0)
            }
        }
    }
}
