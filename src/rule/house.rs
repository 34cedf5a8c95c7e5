//! House functions: what rule authors need beside SQL's own functions, as immutable DataFusion functions.
//!
//! `poisson_upper_p(n, mean)` · `wilson_lower(k, n[, confidence])` · `wilson_upper(…)` · `contains_any(text, words)` ·
//! `region_at(code, level)` · `workdays_between(from, to)`. NULL in, NULL out; values for which a function has no meaning (a negative mean, more hits
//! than tries) give NULL too, never an error: one odd row must not stop a batch.
//! Not here: `in_list`, which needs lists that change.

use std::{
    hash::{Hash, Hasher},
    ops::RangeInclusive,
    sync::Arc,
};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
    },
    datatypes::{DataType, Field, FieldRef, Float64Type},
};
use datafusion::{
    common::{Result, plan_err},
    logical_expr::{
        ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        TypeSignature, Volatility,
    },
};
use memchr::memmem;

use super::statistics::{poisson_upper_p, wilson};
use crate::model::reference::{
    calendar,
    region::{self, Level},
};

/// Names of the house functions, for messages.
pub const NAMES: [&str; 6] = [
    "poisson_upper_p",
    "wilson_lower",
    "wilson_upper",
    "contains_any",
    "region_at",
    "workdays_between",
];

/// All house functions.
#[must_use]
pub fn functions() -> Vec<ScalarUDF> {
    let text = DataType::Utf8;
    [
        House::floats(NAMES[0], 2..=2, |a| poisson_upper_p(a[0], a[1])),
        House::floats(NAMES[1], 2..=3, |a| wilson(a[0], a[1], a.get(2).copied()).map(|b| b.0)),
        House::floats(NAMES[2], 2..=3, |a| wilson(a[0], a[1], a.get(2).copied()).map(|b| b.1)),
        House::new(NAMES[3], Signature::user_defined(Volatility::Immutable), Body::ContainsAny),
        House::new(
            NAMES[4],
            Signature::exact(vec![text.clone(), text], Volatility::Immutable),
            Body::RegionAt,
        ),
        House::new(
            NAMES[5],
            Signature::exact(vec![DataType::Date32; 2], Volatility::Immutable),
            Body::WorkdaysBetween,
        ),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect()
}

/// A function over one row of numbers.
type Floats = fn(&[f64]) -> Option<f64>;

/// One house function.
#[derive(Debug)]
struct House {
    name: &'static str,
    signature: Signature,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Floats(Floats),
    ContainsAny,
    RegionAt,
    WorkdaysBetween,
}

impl House {
    fn new(name: &'static str, signature: Signature, body: Body) -> Self {
        Self { name, signature, body }
    }

    fn floats(name: &'static str, arguments: RangeInclusive<usize>, body: Floats) -> Self {
        let forms = arguments.map(|n| TypeSignature::Exact(vec![DataType::Float64; n])).collect();
        Self::new(name, Signature::one_of(forms, Volatility::Immutable), Body::Floats(body))
    }
}

// The name says all: there is one house function of each name.
impl PartialEq for House {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for House {}

impl Hash for House {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for House {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.body {
            Body::Floats(_) => DataType::Float64,
            Body::ContainsAny => DataType::Boolean,
            Body::RegionAt => DataType::Utf8,
            Body::WorkdaysBetween => DataType::Int64,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if let (Body::RegionAt, Some(Some(level))) = (&self.body, args.scalar_arguments.get(1)) {
            let level = level.to_string();
            if Level::parse(&level).is_none() {
                return plan_err!(
                    "region_at has no level {level:?}, use 'province', 'city', 'county', 'township' or 'village'"
                );
            }
        }
        Ok(Arc::new(Field::new(self.name, self.return_type(&[])?, true)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [text, words] = types else {
            return plan_err!(
                "{} takes two arguments, a text and words like 'a|b|c', not {}",
                self.name,
                types.len()
            );
        };
        let is_text = |t: &DataType| {
            matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
        };
        let texts = matches!(text, DataType::List(item) if is_text(item.data_type()));
        if (!is_text(text) && !texts) || !is_text(words) {
            return plan_err!(
                "{} takes a text (or texts) and words like 'a|b|c', not {text} and {words}",
                self.name
            );
        }
        Ok(vec![if texts { text.clone() } else { DataType::Utf8 }, DataType::Utf8])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let rows = arrays.first().map_or(args.number_rows, |a| a.len());
        let out: ArrayRef = match self.body {
            Body::Floats(body) => Arc::new(each_row(body, &arrays, rows)),
            Body::ContainsAny => Arc::new(contains_any(&arrays[0], arrays[1].as_string::<i32>())),
            Body::RegionAt => Arc::new(region_at(arrays[0].as_string(), arrays[1].as_string())),
            Body::WorkdaysBetween => {
                Arc::new(workdays(arrays[0].as_primitive(), arrays[1].as_primitive()))
            }
        };
        // All arguments constant: one value, not a column.
        if args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_))) {
            return Ok(ColumnarValue::Scalar(datafusion::scalar::ScalarValue::try_from_array(
                &out, 0,
            )?));
        }
        Ok(ColumnarValue::Array(out))
    }
}

fn each_row(body: Floats, arrays: &[ArrayRef], rows: usize) -> Float64Array {
    let columns: Vec<&Float64Array> =
        arrays.iter().map(|a| a.as_primitive::<Float64Type>()).collect();
    let mut row = Vec::with_capacity(columns.len());
    let one = |i: usize| {
        row.clear();
        if columns.iter().any(|c| c.is_null(i)) {
            return None;
        }
        row.extend(columns.iter().map(|c| c.value(i)));
        body(&row)
    };
    (0..rows).map(one).collect()
}

/// Whether a text (or any of several) holds one of the words `a|b|c`.
fn contains_any(texts: &ArrayRef, words: &StringArray) -> BooleanArray {
    let mut searched: Option<(&str, Vec<memmem::Finder<'_>>)> = None;
    let one = |i: usize| {
        if texts.is_null(i) || words.is_null(i) {
            return None;
        }
        let of = words.value(i);
        if searched.as_ref().is_none_or(|(last, _)| *last != of) {
            let finders =
                of.split('|').map(str::trim).filter(|w| !w.is_empty()).map(memmem::Finder::new);
            searched = Some((of, finders.collect()));
        }
        let finders = searched.as_ref().map_or(&[][..], |(_, f)| f);
        let holds = |text: &str| finders.iter().any(|f| f.find(text.as_bytes()).is_some());
        Some(match texts.as_string_opt::<i32>() {
            Some(texts) => holds(texts.value(i)),
            None => {
                let row = texts.as_list::<i32>().value(i);
                row.as_string_opt::<i32>().is_some_and(|row| row.iter().flatten().any(holds))
            }
        })
    };
    (0..texts.len()).map(one).collect()
}

/// The region at a level that holds a region; NULL where the code is coarser, or no code.
fn region_at(codes: &StringArray, levels: &StringArray) -> StringArray {
    let one = |(code, level): (Option<&str>, Option<&str>)| {
        let (code, level) = (code?, Level::parse(level?)?);
        code.bytes().all(|b| b.is_ascii_digit()).then(|| region::at(code, level))?
    };
    codes.iter().zip(levels.iter()).map(one).collect()
}

/// Working days after one day up to and with another, see [`calendar::workdays_between`].
fn workdays(from: &Date32Array, to: &Date32Array) -> Int64Array {
    let one = |(from, to): (Option<i32>, Option<i32>)| Some(calendar::workdays_between(from?, to?));
    from.iter().zip(to.iter()).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_texts() {
        let texts: ArrayRef =
            Arc::new(StringArray::from(vec![Some("责令限期改正"), Some("罚款"), None, Some("")]));
        let words = StringArray::from(vec![Some("责令改正| 限期 |"); 4]);
        assert_eq!(
            contains_any(&texts, &words),
            BooleanArray::from(vec![Some(true), Some(false), None, Some(false)])
        );
    }

    #[test]
    fn regions() {
        let at = |code: &str, level: &str| {
            let out = region_at(&StringArray::from(vec![code]), &StringArray::from(vec![level]));
            out.is_valid(0).then(|| out.value(0).to_owned())
        };
        for (code, level, want) in [
            ("430102", "city", Some("430100")),
            ("430102", "province", Some("430000")),
            ("430102005012", "county", Some("430102")),
            ("430100", "county", None),
            ("43", "city", None),
            ("四三零一", "city", None),
            ("430102", "village", None),
            ("430102", "town", None),
        ] {
            assert_eq!(at(code, level).as_deref(), want, "{code} {level}");
        }
    }

    #[test]
    fn terms_in_working_days() {
        // From the Friday before the Spring Festival of 2026 to the Monday of the week behind it.
        let from = Date32Array::from(vec![Some(20_497), None]);
        let to = Date32Array::from(vec![Some(20_514), Some(20_514)]);
        assert_eq!(workdays(&from, &to), Int64Array::from(vec![Some(7), None]));
    }
}
