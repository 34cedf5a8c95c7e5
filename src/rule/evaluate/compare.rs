//! The values a rule compares with: of the window some time before, of several before it, of peers.

use std::{ops::Range, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, Float64Builder, new_null_array},
    compute::cast,
    datatypes::{DataType, Float64Type, Int64Type},
};

use super::{Evaluator, Rows, columns::repeated};
use crate::rule::{
    file::HistoryOf,
    plan::{CompareWith, Measure},
};

impl Evaluator<'_> {
    pub(super) fn compare_columns(
        &mut self,
        rows: Rows<'_>,
        window: &Range<i64>,
        columns: &mut Vec<ArrayRef>,
        failures: &mut u64,
    ) {
        let rule = self.rule;
        for (i, compare) in rule.compares.iter().enumerate() {
            match &compare.with {
                CompareWith::Shift(shift) => {
                    let earlier = window.start - shift..window.end - shift;
                    let all = self.measures_at(rows, &earlier, failures);
                    columns.extend(compare.measures.iter().map(|m| all[*m].clone()));
                }
                CompareWith::History { shifts, of } => {
                    // History that is only partly there is no history: `when` must not compare with half of it.
                    if shifts.iter().any(|s| window.start - s < self.history_from) {
                        let null = || new_null_array(&DataType::Float64, rows.len());
                        columns.extend(compare.measures.iter().map(|_| null()));
                        continue;
                    }
                    let windows: Vec<Vec<ArrayRef>> = shifts
                        .iter()
                        .map(|s| {
                            self.measures_at(rows, &(window.start - s..window.end - s), failures)
                        })
                        .collect();
                    for m in &compare.measures {
                        let series: Vec<&ArrayRef> = windows.iter().map(|w| &w[*m]).collect();
                        columns.push(history(&series, *of, rows.len()));
                    }
                }
                CompareWith::Peers { link, .. } => {
                    let peers = self.peers.get(i).and_then(Option::as_ref);
                    for m in &compare.measures {
                        columns.push(self.peer_column(peers, *link, *m, rows));
                    }
                }
            }
        }
    }

    /// All measures over an earlier window; NULL where it begins before the feed's history.
    fn measures_at(
        &mut self,
        rows: Rows<'_>,
        window: &Range<i64>,
        failures: &mut u64,
    ) -> Vec<ArrayRef> {
        if window.start < self.history_from {
            let null = |m: &Measure| new_null_array(m.value.data_type(), rows.len());
            return self.rule.measures.iter().map(null).collect();
        }
        match rows {
            Rows::Keys(keys) => {
                let batch = self.aggregates(keys, window);
                self.measures(&batch, keys.len(), failures)
            }
            Rows::Growing { events, closed_to, .. } if window.end > closed_to => {
                self.grown(events, window, failures)
            }
            Rows::Growing { key, .. } => {
                let fixed = self.measures_at(Rows::Keys(&[key]), window, failures);
                fixed.iter().map(|column| repeated(column, rows.len())).collect()
            }
        }
    }
}

/// One column over several earlier windows, nearest first, as floats; a window without a value is left out.
fn history(windows: &[&ArrayRef], of: HistoryOf, n: usize) -> ArrayRef {
    let windows: Vec<Float64Array> = windows
        .iter()
        .map(|w| match w.data_type() {
            DataType::Int64 => w.as_primitive::<Int64Type>().unary(|v| v as f64),
            _ => cast(w, &DataType::Float64).map_or_else(
                |_| Float64Array::new_null(n),
                |c| c.as_primitive::<Float64Type>().clone(),
            ),
        })
        .collect();
    let mut out = Float64Builder::with_capacity(n);
    let mut values = Vec::with_capacity(windows.len());
    for i in 0..n {
        values.clear();
        values.extend(windows.iter().filter(|w| w.is_valid(i)).map(|w| w.value(i)));
        out.append_option(statistic(&mut values, of));
    }
    Arc::new(out.finish())
}

fn statistic(values: &mut [f64], of: HistoryOf) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let n = values.len();
    Some(match of {
        HistoryOf::Mean => values.iter().sum::<f64>() / n as f64,
        HistoryOf::Sum => values.iter().sum(),
        HistoryOf::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        HistoryOf::Median => {
            values.sort_by(f64::total_cmp);
            if n % 2 == 1 { values[n / 2] } else { f64::midpoint(values[n / 2 - 1], values[n / 2]) }
        }
    })
}
