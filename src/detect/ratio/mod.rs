//! Ratio: shares, rates and tables of counts, compared with their group.
