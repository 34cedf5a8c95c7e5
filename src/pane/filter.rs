//! Which filters a row passes: all filters of a feed in one look per column.
//!
//! Atoms are grouped by the columns they read. A group maps a row to a small code, and a table maps the code to the set of
//! filters that this group does not refuse, as a bit set over filters. A row passes the filters in the AND of its codes'
//! sets, so the cost per row grows with the number of columns that filters look at, not with the number of filters.
//! For one text column the code is that of its value (each distinct value is evaluated once, ever); for other atoms it is
//! the bit pattern of up to six atoms evaluated over the batch.

use std::collections::BTreeMap;

use arrow::{
    array::{Array, ArrayRef, RecordBatch, StringArray, new_null_array},
    buffer::BooleanBuffer,
    datatypes::{DataType, SchemaRef},
};
use hashbrown::HashMap;
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use super::plan::FeedPlan;
use crate::model::expression::{Expression, evaluate_rows, true_mask};

/// Atoms of one direct group: 2⁶ codes.
const DIRECT_ATOMS_MAX: usize = 6;
/// Distinct values of a text column that are remembered.
const VALUES_MAX: usize = 1 << 14;
/// A text group is given up for direct evaluation when more than half of this many rows had new values.
const TRIAL_ROWS: usize = 1 << 15;

/// The filters each row of a batch passes.
#[derive(Debug)]
pub struct Bits {
    words: usize,
    bits: Vec<u64>,
}

impl Bits {
    /// Whether row `row` passes filter `filter`.
    #[inline]
    #[must_use]
    pub fn passes(&self, row: usize, filter: usize) -> bool {
        self.bits[row * self.words + filter / 64] >> (filter % 64) & 1 == 1
    }

    /// Whether row `row` passes any filter of a set.
    #[inline]
    #[must_use]
    pub fn passes_any(&self, row: usize, set: &FilterSet) -> bool {
        let words = &self.bits[row * self.words..][..self.words];
        set.0.iter().any(|(i, word)| words[*i] & word != 0)
    }

    /// Calls `each` with every filter of a set that row `row` passes.
    #[inline]
    pub fn passed(&self, row: usize, set: &FilterSet, mut each: impl FnMut(usize)) {
        let words = &self.bits[row * self.words..][..self.words];
        for (i, word) in &set.0 {
            let mut bits = words[*i] & word;
            while bits != 0 {
                each(i * 64 + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }
}

/// Some of a feed's filters: words of 64 of them with their positions, none of them empty.
#[derive(Debug, Clone, Default)]
pub struct FilterSet(Vec<(usize, u64)>);

impl FilterSet {
    /// Adds a filter.
    pub fn insert(&mut self, filter: usize) {
        let at = self.0.iter().position(|(i, _)| *i == filter / 64).unwrap_or_else(|| {
            self.0.push((filter / 64, 0));
            self.0.len() - 1
        });
        self.0[at].1 |= 1 << (filter % 64);
    }
}

/// The filters of one feed, ready to run; remembers values of text columns, so each thread has its own.
#[derive(Debug)]
pub struct Filters {
    schema: SchemaRef,
    count: usize,
    words: usize,
    groups: Vec<Group>,
    atoms: Vec<Expression>,
    filters: Vec<Vec<usize>>,
    /// Rows × atoms that could not be evaluated.
    pub failures: u64,
}

#[derive(Debug)]
enum Group {
    /// Atoms that read one text column only.
    Text(TextGroup),
    /// Up to six atoms of any kind and the 2ⁿ sets.
    Direct { atoms: Vec<usize>, sets: Vec<u64> },
}

#[derive(Debug)]
struct TextGroup {
    column: usize,
    atoms: Vec<usize>,
    /// Value → code.
    codes: HashMap<Box<str>, u32, Xxh3DefaultBuilder>,
    null_code: Option<u32>,
    /// Code → set of filters, `words` each.
    sets: Vec<u64>,
    rows_seen: usize,
    values_seen: usize,
}

impl Filters {
    /// The filters of `plan` over rows of `schema`.
    #[must_use]
    pub fn new(plan: &FeedPlan, schema: &SchemaRef) -> Self {
        let count = plan.filters.len();
        let mut this = Self {
            schema: schema.clone(),
            count,
            words: count.div_ceil(64).max(1),
            groups: Vec::new(),
            atoms: plan.atoms.clone(),
            filters: plan.filters.clone(),
            failures: 0,
        };
        let mut by_columns: BTreeMap<&[usize], Vec<usize>> = BTreeMap::new();
        for (i, atom) in plan.atoms.iter().enumerate() {
            by_columns.entry(atom.columns()).or_default().push(i);
        }
        for (columns, atoms) in by_columns {
            match columns {
                [column] if schema.field(*column).data_type() == &DataType::Utf8 => {
                    this.groups.push(Group::Text(TextGroup::new(*column, atoms)));
                }
                _ => this.push_direct(&atoms),
            }
        }
        this
    }

    /// Which filters each row passes.
    pub fn select(&mut self, rows: &RecordBatch) -> Bits {
        let n = rows.num_rows();
        self.give_up_wide_groups();
        let codes: Vec<Vec<u32>> = (0..self.groups.len()).map(|g| self.codes(g, rows)).collect();
        let sets: Vec<(&[u64], &[u32])> = self
            .groups
            .iter()
            .zip(&codes)
            .map(|(g, c)| {
                let sets = match g {
                    Group::Text(t) => &t.sets,
                    Group::Direct { sets, .. } => sets,
                };
                (sets.as_slice(), c.as_slice())
            })
            .collect();
        let full = self.full_set();
        let mut all_bits = Vec::with_capacity(n * self.words);
        for row in 0..n {
            for (word, all) in full.iter().enumerate() {
                let mut bits = *all;
                for (sets, codes) in &sets {
                    bits &= sets[codes[row] as usize * self.words + word];
                }
                all_bits.push(bits);
            }
        }
        Bits { words: self.words, bits: all_bits }
    }

    fn full_set(&self) -> Vec<u64> {
        (0..self.words)
            .map(|w| {
                let bits = self.count.saturating_sub(w * 64).min(64);
                if bits == 64 { u64::MAX } else { (1u64 << bits) - 1 }
            })
            .collect()
    }

    fn push_direct(&mut self, atoms: &[usize]) {
        for chunk in atoms.chunks(DIRECT_ATOMS_MAX) {
            let sets = (0..1usize << chunk.len())
                .flat_map(|code| {
                    let holds: Vec<bool> = (0..chunk.len()).map(|i| code >> i & 1 == 1).collect();
                    filter_set(&self.filters, self.words, chunk, &holds)
                })
                .collect();
            self.groups.push(Group::Direct { atoms: chunk.to_vec(), sets });
        }
    }

    /// Text columns whose values hardly repeat are evaluated row by row instead.
    fn give_up_wide_groups(&mut self) {
        let wide = |g: &Group| matches!(g, Group::Text(t) if t.rows_seen > TRIAL_ROWS && t.values_seen * 2 > t.rows_seen);
        while let Some(i) = self.groups.iter().position(wide) {
            if let Group::Text(t) = self.groups.swap_remove(i) {
                self.push_direct(&t.atoms);
            }
        }
    }

    fn codes(&mut self, group: usize, rows: &RecordBatch) -> Vec<u32> {
        match &mut self.groups[group] {
            Group::Text(t) => {
                let ctx =
                    (&self.schema, self.atoms.as_slice(), self.filters.as_slice(), self.words);
                t.codes(rows, ctx, &mut self.failures)
            }
            Group::Direct { atoms, .. } => {
                let mut codes = vec![0u32; rows.num_rows()];
                for (bit, atom) in atoms.iter().enumerate() {
                    let (values, failed) = evaluate_rows(self.atoms[*atom].as_ref(), rows);
                    self.failures += failed;
                    for row in true_mask(&values).set_indices() {
                        codes[row] |= 1 << bit;
                    }
                }
                codes
            }
        }
    }
}

impl TextGroup {
    fn new(column: usize, atoms: Vec<usize>) -> Self {
        Self {
            column,
            atoms,
            codes: HashMap::default(),
            null_code: None,
            sets: Vec::new(),
            rows_seen: 0,
            values_seen: 0,
        }
    }

    fn codes(
        &mut self,
        rows: &RecordBatch,
        ctx: (&SchemaRef, &[Expression], &[Vec<usize>], usize),
        failures: &mut u64,
    ) -> Vec<u32> {
        if self.codes.len() > VALUES_MAX {
            self.codes.clear();
            self.sets.clear();
            self.null_code = None;
        }
        let mut next = self.codes.len() as u32 + u32::from(self.null_code.is_some());
        let first_new = next;
        let mut new_values: Vec<Option<Box<str>>> = Vec::new();
        let column = rows.column(self.column);
        let Some(values) = column.as_any().downcast_ref::<StringArray>() else {
            return vec![0; rows.num_rows()];
        };
        let codes = (0..values.len())
            .map(|i| {
                if values.is_null(i) {
                    return *self.null_code.get_or_insert_with(|| {
                        new_values.push(None);
                        next += 1;
                        next - 1
                    });
                }
                let value = values.value(i);
                if let Some(code) = self.codes.get(value) {
                    return *code;
                }
                self.codes.insert(value.into(), next);
                new_values.push(Some(value.into()));
                next += 1;
                next - 1
            })
            .collect();
        self.rows_seen += values.len();
        self.values_seen += new_values.len();
        debug_assert_eq!(first_new as usize * ctx.3, self.sets.len());
        self.learn(&new_values, ctx, failures);
        codes
    }

    /// Evaluates the group's atoms on values never seen before.
    fn learn(
        &mut self,
        new_values: &[Option<Box<str>>],
        (schema, atoms, filters, words): (&SchemaRef, &[Expression], &[Vec<usize>], usize),
        failures: &mut u64,
    ) {
        if new_values.is_empty() {
            return;
        }
        let values: StringArray = new_values.iter().map(|v| v.as_deref()).collect();
        let columns: Vec<ArrayRef> = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(i, f)| {
                if i == self.column {
                    std::sync::Arc::new(values.clone()) as ArrayRef
                } else {
                    new_null_array(f.data_type(), values.len())
                }
            })
            .collect();
        let Ok(batch) = RecordBatch::try_new(schema.clone(), columns) else { return };
        let masks: Vec<BooleanBuffer> = self
            .atoms
            .iter()
            .map(|a| {
                let (result, failed) = evaluate_rows(atoms[*a].as_ref(), &batch);
                *failures += failed;
                true_mask(&result)
            })
            .collect();
        for i in 0..new_values.len() {
            let holds: Vec<bool> = masks.iter().map(|m| m.value(i)).collect();
            self.sets.extend(filter_set(filters, words, &self.atoms, &holds));
        }
    }
}

/// The filters none of whose atoms in `group` is false.
fn filter_set(filters: &[Vec<usize>], words: usize, group: &[usize], holds: &[bool]) -> Vec<u64> {
    let mut set = vec![0u64; words];
    for (f, atoms) in filters.iter().enumerate() {
        let refused =
            atoms.iter().any(|a| group.iter().position(|g| g == a).is_some_and(|i| !holds[i]));
        if !refused {
            set[f / 64] |= 1 << (f % 64);
        }
    }
    set
}
