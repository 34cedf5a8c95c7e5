//! Identity: how an alert and a (rule, key) are named.
//!
//! An alert's id is made of the rule's id, the canonical key and the number of the episode, and of nothing that may
//! change during its life (version, window, values, severity, title).

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use xxhash_rust::xxh3::xxh3_128;

/// The name of a key inside one rule: 128 bits, so that two keys never share one in practice.
pub(super) type KeyHash = u128;

/// A map from [`KeyHash`], which needs no further hashing.
pub(super) type KeyMap<V> = HashMap<KeyHash, V, BuildHasherDefault<Folded>>;

/// The hash of a canonical key, and of the record id for instant rules.
pub(super) fn key_hash(canonical: &str, record: Option<&str>) -> KeyHash {
    match record {
        None => xxh3_128(canonical.as_bytes()),
        Some(record) => xxh3_128(joined(&[canonical, record]).as_bytes()),
    }
}

/// `9f2c…-1`: 16 hex digits of rule, key (and record), then the episode.
pub(super) fn alert_id(
    rule_id: &str,
    canonical: &str,
    record: Option<&str>,
    episode: u32,
) -> String {
    let text = match record {
        None => joined(&[rule_id, canonical]),
        Some(record) => joined(&[rule_id, canonical, record]),
    };
    format!("{:016x}-{episode}", (xxh3_128(text.as_bytes()) >> 64) as u64)
}

fn joined(parts: &[&str]) -> String {
    parts.join("\0")
}

/// Takes the low half of a [`KeyHash`] as it is.
#[derive(Default)]
pub(super) struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*b);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}
