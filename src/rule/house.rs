//! House functions: what rule authors need beside SQL's own functions, as immutable DataFusion functions.
//!
//! `poisson_upper_p(n, mean)` · `wilson_lower(k, n[, confidence])` · `wilson_upper(…)` · `contains_any(text, words)` ·
//! `region_at(code, level)` · `workdays_between(from, to)` · `in_list(list, value)` ·
//! `plain_name(name)`. NULL in, NULL out; values for which a
//! function has no meaning (a negative mean, more hits than tries) give NULL too, never an error: one odd row must not stop
//! a batch.

use std::{
    hash::{Hash, Hasher},
    ops::RangeInclusive,
    sync::Arc,
};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
    },
    datatypes::{
        DataType, Date32Type, Field, FieldRef, Float64Type, TimeUnit, TimestampMillisecondType,
    },
};
use datafusion::{
    common::{Result, plan_err},
    logical_expr::{
        ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        TypeSignature, Volatility,
    },
};
use memchr::memmem;

use super::{
    lists::Lists,
    statistics::{poisson_upper_p, wilson},
};
use crate::model::{
    reference::{
        calendar, name,
        region::{self, Level},
    },
    time::{DAY_MS, Zone},
};

/// Names of the house functions, for messages.
pub const NAMES: [&str; 8] = [
    "poisson_upper_p",
    "wilson_lower",
    "wilson_upper",
    "contains_any",
    "region_at",
    "workdays_between",
    "in_list",
    "plain_name",
];

/// All house functions, over these lists; days are those of the zone.
#[must_use]
pub fn functions(lists: &Arc<Lists>, zone: &Zone) -> Vec<ScalarUDF> {
    let text = DataType::Utf8;
    [
        House::floats(NAMES[0], 2..=2, |a| poisson_upper_p(a[0], a[1])),
        House::floats(NAMES[1], 2..=3, |a| wilson(a[0], a[1], a.get(2).copied()).map(|b| b.0)),
        House::floats(NAMES[2], 2..=3, |a| wilson(a[0], a[1], a.get(2).copied()).map(|b| b.1)),
        House::new(
            NAMES[3],
            Signature::user_defined(Volatility::Immutable),
            Body::ContainsAny(lists.clone()),
        ),
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
        House::new(
            NAMES[6],
            Signature::user_defined(Volatility::Immutable),
            Body::InList(lists.clone(), zone.clone()),
        ),
        House::new(
            NAMES[7],
            Signature::exact(vec![DataType::Utf8], Volatility::Immutable),
            Body::PlainName,
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
    ContainsAny(Arc<Lists>),
    RegionAt,
    WorkdaysBetween,
    InList(Arc<Lists>, Zone),
    PlainName,
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

// The name says all: a compiler has one house function of each name.
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
            Body::ContainsAny(_) | Body::InList(..) => DataType::Boolean,
            Body::RegionAt | Body::PlainName => DataType::Utf8,
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
        if matches!(self.body, Body::InList(..)) {
            return looked_up(types);
        }
        let [text, words] = types else {
            return plan_err!(
                "{} takes two arguments, a text and words like 'a|b|c', not {}",
                self.name,
                types.len()
            );
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
        // The name of a keyword list in place of words.
        let keywords = match (&self.body, args.args.get(1)) {
            (Body::ContainsAny(lists), Some(ColumnarValue::Scalar(name))) => {
                name.try_as_str().flatten().map(|name| (lists, name.to_owned()))
            }
            _ => None,
        };
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let rows = arrays.first().map_or(args.number_rows, |a| a.len());
        let out: ArrayRef = match self.body {
            Body::Floats(body) => Arc::new(each_row(body, &arrays, rows)),
            Body::ContainsAny(_) => {
                let found = keywords.and_then(|(lists, name)| lists.search(&name, &arrays[0]));
                Arc::new(match found {
                    Some(found) => found,
                    None => contains_any(&arrays[0], arrays[1].as_string::<i32>()),
                })
            }
            Body::RegionAt => Arc::new(region_at(arrays[0].as_string(), arrays[1].as_string())),
            Body::WorkdaysBetween => {
                Arc::new(workdays(arrays[0].as_primitive(), arrays[1].as_primitive()))
            }
            Body::PlainName => {
                let names = arrays[0].as_string::<i32>();
                Arc::new(names.iter().map(|n| n.map(name::plain)).collect::<StringArray>())
            }
            Body::InList(ref lists, ref zone) => Arc::new(in_list(lists, zone, &arrays)),
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

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
}

/// What `in_list` takes: a list's name, a text or texts or a whole number, and where the list is dated a time.
fn looked_up(types: &[DataType]) -> Result<Vec<DataType>> {
    let (name, value, time) = match types {
        [name, value] => (name, value, None),
        [name, value, time] => (name, value, Some(time)),
        _ => {
            return plan_err!(
                "in_list takes a list's name and a value, like in_list('defaulters', ucc), not {} arguments",
                types.len()
            );
        }
    };
    let texts = matches!(value, DataType::List(item) if is_text(item.data_type()));
    let value = match value {
        texts_of if texts => texts_of.clone(),
        one if is_text(one) || one.is_integer() => DataType::Utf8,
        other => return plan_err!("in_list looks up a text or a whole number, not {other}"),
    };
    if !is_text(name) {
        return plan_err!("in_list takes a list's name first, like in_list('defaulters', ucc)");
    }
    let time = time.map(|time| match time {
        DataType::Date32 => DataType::Date32,
        _ => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
    });
    Ok([DataType::Utf8, value].into_iter().chain(time).collect())
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

/// The civil days of a date or timestamp column.
pub(super) fn days(times: &ArrayRef, zone: &Zone) -> Vec<Option<i32>> {
    match times.as_primitive_opt::<Date32Type>() {
        Some(days) => days.iter().collect(),
        None => {
            let times = times.as_primitive::<TimestampMillisecondType>();
            let day = |ms| zone.to_local(ms).div_euclid(DAY_MS) as i32;
            times.iter().map(|ms| ms.map(day)).collect()
        }
    }
}

/// Whether a value (or any of several) is on a list, on the day of a time where one is given.
fn in_list(lists: &Lists, zone: &Zone, arrays: &[ArrayRef]) -> BooleanArray {
    let (names, values) = (arrays[0].as_string::<i32>(), &arrays[1]);
    let days = arrays.get(2).map(|time| days(time, zone));
    let day = |row: usize| days.as_ref().map(|days| days[row]);
    let one = |row: usize| {
        if values.is_null(row) || names.is_null(row) {
            return None;
        }
        // A name that is no list was refused when the rule was read.
        let list = lists.get(names.value(row))?;
        let day = match day(row) {
            Some(None) => return None,
            Some(day) => day,
            None => None,
        };
        Some(match values.as_string_opt::<i32>() {
            Some(values) => list.holds(values.value(row), day),
            None => {
                let of_row = values.as_list::<i32>().value(row);
                let mut texts = of_row.as_string_opt::<i32>().into_iter().flatten().flatten();
                texts.any(|text| list.holds(text, day))
            }
        })
    };
    (0..values.len()).map(one).collect()
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
