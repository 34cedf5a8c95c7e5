//! 128-bit hashes of values: the identity of keys, record ids and distinct values inside the engine.
//!
//! Equal values hash equally in every process and version, whatever feed they come from; two different values meet with
//! probability n²/2¹²⁹, which is taken for never. Text is hashed by its bytes, numbers by their canonical 64 or 128 bits.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMillisecondType},
};
use hashbrown::HashMap;
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

/// The hash of a missing value.
pub const NULL_HASH: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834;
const MIX: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;

/// One hash per row; NULL hashes to [`NULL_HASH`].
#[must_use]
pub fn hash_column(values: &ArrayRef) -> Vec<u128> {
    match values.data_type() {
        DataType::Utf8 => {
            let a = values.as_string::<i32>();
            rows(a, |i| xxh3_128(a.value(i).as_bytes()))
        }
        DataType::Int64 => {
            let a = values.as_primitive::<Int64Type>();
            rows(a, |i| hash_int(i128::from(a.value(i))))
        }
        DataType::Float64 => {
            let a = values.as_primitive::<Float64Type>();
            rows(a, |i| {
                let v = a.value(i);
                // Whole numbers hash like integers, so that 1 and 1.0 are one key.
                if v.fract() == 0.0 && v.abs() < 9e15 { hash_int(v as i128) } else { tagged(1, &v.to_bits().to_le_bytes()) }
            })
        }
        DataType::Decimal128(_, scale) => {
            let (a, scale) = (values.as_primitive::<Decimal128Type>(), *scale);
            rows(a, |i| {
                let (mut v, mut s) = (a.value(i), scale);
                while s > 0 && v % 10 == 0 {
                    v /= 10;
                    s -= 1;
                }
                if s == 0 { hash_int(v) } else { tagged(2 + s as u64, &v.to_le_bytes()) }
            })
        }
        DataType::Boolean => {
            let a = values.as_boolean();
            rows(a, |i| tagged(100, &[u8::from(a.value(i))]))
        }
        DataType::Date32 => {
            let a = values.as_primitive::<Date32Type>();
            rows(a, |i| tagged(101, &a.value(i).to_le_bytes()))
        }
        DataType::Timestamp(..) => {
            let a = values.as_primitive::<TimestampMillisecondType>();
            rows(a, |i| tagged(102, &a.value(i).to_le_bytes()))
        }
        // Lists and whatever functions return: by their text.
        _ => match cast(values, &DataType::Utf8) {
            Ok(text) => hash_column(&text),
            Err(_) => vec![NULL_HASH; values.len()],
        },
    }
}

/// Folds the hash of a further column into `hashes`.
pub fn combine(hashes: &mut [u128], next: &[u128]) {
    for (h, n) in hashes.iter_mut().zip(next) {
        *h = (h.wrapping_mul(MIX) ^ n).rotate_left(51).wrapping_mul(MIX);
    }
}

fn rows(array: &dyn Array, hash: impl Fn(usize) -> u128) -> Vec<u128> {
    if array.null_count() == 0 {
        (0..array.len()).map(hash).collect()
    } else {
        (0..array.len()).map(|i| if array.is_null(i) { NULL_HASH } else { hash(i) }).collect()
    }
}

fn hash_int(value: i128) -> u128 {
    xxh3_128_with_seed(&value.to_le_bytes(), 0x1e)
}

fn tagged(tag: u64, bytes: &[u8]) -> u128 {
    xxh3_128_with_seed(bytes, tag)
}

/// Hashes are already mixed: take their low bits.
#[derive(Debug, Clone, Copy, Default)]
pub struct TakeLow(u64);

impl std::hash::Hasher for TakeLow {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for (i, b) in bytes.iter().enumerate() {
            self.0 ^= u64::from(*b) << (i % 8 * 8);
        }
    }
    fn write_u128(&mut self, v: u128) {
        self.0 = v as u64;
    }
    fn write_u64(&mut self, v: u64) {
        self.0 = v;
    }
    fn write_u32(&mut self, v: u32) {
        self.0 = u64::from(v).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Build-hasher of [`TakeLow`].
pub type BuildTakeLow = std::hash::BuildHasherDefault<TakeLow>;

/// A map from values that are already hashed.
pub type HashedMap<K, V> = HashMap<K, V, BuildTakeLow>;

