//! The local key: what pseudonyms and seals of one installation are made with.
//!
//! One key of 32 bytes lies beside the data; every use takes a key of its own derived from it, so that a pseudonym
//! never tells anything about a seal. Reading and writing the key file belongs to `store`.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The local key. Its `Debug` form does not show it.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key for one use: HMAC-SHA256 of its name.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        Keyed::new(&self.0).hash(purpose.as_bytes())
    }

    /// What turns personal values into pseudonyms.
    #[must_use]
    pub fn pseudonyms(&self) -> Keyed {
        Keyed::new(&self.derive("forewarn pseudonym 1"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// HMAC-SHA256 under one key.
#[derive(Clone)]
pub struct Keyed(Hmac<Sha256>);

impl Keyed {
    fn new(key: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// The keyed hash of `bytes`.
    #[must_use]
    pub fn hash(&self, bytes: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }

    /// The pseudonym of a personal value: the first 32 hexadecimal digits of its keyed hash.
    #[must_use]
    pub fn pseudonym(&self, value: &str) -> String {
        self.hash(value.as_bytes()).iter().take(16).map(|b| format!("{b:02x}")).collect()
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudonyms_depend_on_key_and_value_alone() {
        let pseudonym = |key: u8, value| Secret::new([key; 32]).pseudonyms().pseudonym(value);
        assert_eq!(pseudonym(1, "13800138000"), pseudonym(1, "13800138000"));
        assert_ne!(pseudonym(1, "13800138000"), pseudonym(2, "13800138000"));
        assert_ne!(pseudonym(1, "13800138000"), pseudonym(1, "13800138001"));
        assert_eq!(pseudonym(1, "张三").len(), 32);
    }

    #[test]
    fn debug_forms_show_nothing() {
        let secret = Secret::new([65; 32]);
        assert_eq!(format!("{secret:?} {:?}", secret.pseudonyms()), "Secret(…) Keyed(…)");
        assert_ne!(secret.derive("a"), secret.derive("b"));
    }
}
