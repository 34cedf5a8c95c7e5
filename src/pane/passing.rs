//! The rows of a piece that pass each of many filters, row by row of one key.
//!
//! With many filters a row passes dozens, and looking each of them up for every row costs more than adding the row does. So
//! the rows are put in order of their keys, and the bits of their filters are turned round 64 by 64: then there is a word
//! for 64 rows of each filter, and the slices of a filter take all rows of a key at once. Few filters are told row by row.

use super::{
    filter::{Bits, FilterSet},
    slice::{NO_KEY, Selection},
};

/// From so many filters on turning round is worth its cost.
const MANY: usize = 24;

/// Rows in a word.
const ROWS: usize = 64;

/// The rows of the piece at hand, by filter.
#[derive(Debug)]
pub(super) struct Passing {
    /// Few filters: by filter its rows, in the order in which they came.
    lists: Vec<Vec<u32>>,
    many: Many,
    /// Rows of the filter that was asked for last.
    list: Vec<u32>,
}

/// Many filters. The buffers are used for every piece.
#[derive(Debug, Default)]
struct Many {
    /// Pane and key, then row; ascending.
    sorted: Vec<(u64, u32)>,
    /// Rows in this order.
    rows: Vec<u32>,
    /// By position in the filter set: a word for each 64 rows.
    columns: Vec<u64>,
    /// Words of a filter.
    blocks: usize,
}

/// Whether so many filters are told row by row of one key.
pub(super) fn by_key(set: &FilterSet) -> bool {
    set.len() >= MANY
}

impl Passing {
    /// For feeds of at most so many filters.
    pub(super) fn new(filters: usize) -> Self {
        let lists = vec![Vec::new(); filters];
        Self { lists, many: Many::default(), list: Vec::new() }
    }

    /// Takes the rows of a selection that have a key; `lane` is the one of whose panes they are, where they are in several.
    pub(super) fn look(
        &mut self,
        bits: &Bits,
        set: &FilterSet,
        selection: Selection<'_>,
        lane: usize,
    ) {
        if selection.by_key {
            return self.many.turn(bits, set, selection, lane);
        }
        self.lists.iter_mut().for_each(Vec::clear);
        for (row, key) in (selection.from..).zip(selection.keys) {
            if *key != NO_KEY {
                bits.passed(row as usize, set, |filter| self.lists[filter].push(row));
            }
        }
    }

    /// The rows that pass a filter of the set, which has this position there.
    pub(super) fn rows(&mut self, by_key: bool, filter: usize, position: usize) -> &[u32] {
        if !by_key {
            return &self.lists[filter];
        }
        self.list.clear();
        self.many.list(position, &mut self.list);
        &self.list
    }
}

impl Many {
    fn turn(&mut self, bits: &Bits, set: &FilterSet, selection: Selection<'_>, lane: usize) {
        self.order(selection, lane);
        self.blocks = self.rows.len().div_ceil(ROWS);
        self.columns.clear();
        self.columns.resize(set.words().len() * 64 * self.blocks, 0);
        for (block, rows) in self.rows.chunks(ROWS).enumerate() {
            for (w, (word, _)) in set.words().iter().enumerate() {
                let mut square = [0; 64];
                for (of_row, row) in square.iter_mut().zip(rows) {
                    *of_row = bits.word(*row as usize, *word);
                }
                transpose(&mut square);
                let columns = self.columns[w * 64 * self.blocks..].iter_mut();
                let columns = columns.skip(block).step_by(self.blocks);
                columns.zip(square).for_each(|(column, of_filter)| *column = of_filter);
            }
        }
    }

    fn list(&self, position: usize, list: &mut Vec<u32>) {
        let column = &self.columns[position * self.blocks..][..self.blocks];
        for (word, rows) in column.iter().zip(self.rows.chunks(ROWS)) {
            let mut word = *word;
            while word != 0 {
                list.push(rows[word.trailing_zeros() as usize]);
                word &= word - 1;
            }
        }
    }

    fn order(&mut self, selection: Selection<'_>, lane: usize) {
        let one_pane = selection.panes[lane].is_some();
        let panes = &selection.prepared.rows.panes[lane];
        self.sorted.clear();
        for (row, key) in (selection.from..).zip(selection.keys).filter(|(_, k)| **k != NO_KEY) {
            // Signed panes in the order of unsigned numbers.
            let pane = if one_pane { 0 } else { panes[row as usize] as u32 ^ (1 << 31) };
            self.sorted.push((u64::from(pane) << 32 | u64::from(*key), row));
        }
        self.sorted.sort_unstable();
        self.rows.clear();
        self.rows.extend(self.sorted.iter().map(|(_, row)| *row));
    }
}

/// Turns a square of bits round: bit `b` of word `w` becomes bit `w` of word `b`.
fn transpose(square: &mut [u64; 64]) {
    let (mut width, mut mask) = (32, u64::MAX >> 32);
    while width > 0 {
        let mut i = 0;
        while i < 64 {
            let (low, high) = (square[i], square[i + width]);
            let swap = ((low >> width) ^ high) & mask;
            square[i] = low ^ (swap << width);
            square[i + width] = high ^ swap;
            i = (i + width + 1) & !width;
        }
        width /= 2;
        mask ^= mask << width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_turn_round() {
        let mut seed = 7u64;
        let mut square = [0u64; 64];
        for word in &mut square {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *word = seed ^ (seed >> 29);
        }
        let mut turned = square;
        transpose(&mut turned);
        for w in 0..64 {
            for b in 0..64 {
                assert_eq!(turned[b] >> w & 1, square[w] >> b & 1, "word {w}, bit {b}");
            }
        }
    }
}
