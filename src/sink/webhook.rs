//! Webhook: each revision of an alert as one signed POST.
//!
//! In: an alert's body and the key of the delivery. Out: the receiver's answer. The body is the alert as the API shows it.
//! The receiver checks `X-Forewarn-Signature`: `v1=` and the hexadecimal HMAC-SHA256 of the timestamp, a dot and the body,
//! once for each of one or two secrets (two while they are exchanged), and refuses timestamps older than five minutes.
//! `X-Forewarn-Delivery` stays the same when a delivery is repeated, so that the receiver can drop the repetition.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::http::{Client, Guard, Reply};

/// Sends to one receiver.
pub struct Webhook {
    url: String,
    secrets: Vec<Vec<u8>>,
    client: Client,
}

impl Webhook {
    /// The receiver at `url`; private addresses only as far as `guard` lists them.
    #[must_use]
    pub fn new(url: &str, secrets: Vec<Vec<u8>>, guard: Guard) -> Self {
        Self { url: url.to_owned(), secrets, client: Client::new(Some(guard)) }
    }

    /// Sends one revision; `delivery` is `alert id:revision:sink`.
    #[must_use]
    pub fn send(&self, delivery: &str, body: &Map<String, Value>, now_ms: i64) -> Reply {
        let body = Value::Object(body.clone()).to_string();
        let timestamp = (now_ms / 1_000).to_string();
        let mut headers = vec![
            ("X-Forewarn-Timestamp", timestamp.clone()),
            ("X-Forewarn-Delivery", delivery.to_owned()),
        ];
        if !self.secrets.is_empty() {
            let signed = self.secrets.iter().map(|s| signature(s, &timestamp, body.as_bytes()));
            headers.push(("X-Forewarn-Signature", signed.collect::<Vec<_>>().join(",")));
        }
        self.client.post(&self.url, &headers, body.as_bytes(), now_ms)
    }
}

/// `v1=` and the hexadecimal HMAC-SHA256 of timestamp, dot and body.
#[must_use]
pub fn signature(secret: &[u8], timestamp: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let bytes = mac.finalize().into_bytes();
    bytes.iter().fold("v1=".to_owned(), |out, b| out + &format!("{b:02x}"))
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Webhook({}, {} secret(s))", self.url, self.secrets.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_what_openssl_says() {
        // printf '1772700000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let expect = "v1=e10b3216edceeaf4b833359f8f964e62f320e00acfe902b87ccdcd6fc7f0f378";
        assert_eq!(signature(b"secret", "1772700000", b"{\"a\":1}"), expect);
    }

    #[test]
    fn a_private_receiver_is_not_spoken_to_unless_it_is_listed() {
        let url = "http://127.0.0.1:9/hook";
        let body = Map::new();
        let why = |allow: &[&str]| {
            let guard = Guard::try_new(allow.iter().copied()).unwrap();
            match Webhook::new(url, Vec::new(), guard).send("a:1:hook", &body, 0) {
                Reply::Later { why, .. } => why,
                other => panic!("{other:?}"),
            }
        };
        assert!(why(&[]).contains("private address 127.0.0.1"), "{}", why(&[]));
        assert!(!why(&["127.0.0.0/8"]).contains("private"), "{}", why(&["127.0.0.0/8"]));
    }
}
