//! Seal: bytes that may hold personal data, readable only with the local key.
//!
//! AES-256-GCM with a random nonce of 96 bits in front. The label is bound to the sealed bytes, so one seal cannot be put
//! in the place of another. The key file is `<data>/local.key`, 32 bytes, readable by its owner alone.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{Aead, KeyInit, Payload},
};

use crate::model::secret::Secret;

const NONCE_BYTES: usize = 12;

/// Why sealed bytes cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed with another key, or damaged")]
pub struct Broken;

/// Seals and opens with the local key.
pub struct Seal(Aes256Gcm);

impl Seal {
    /// The seal of this installation.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self(Aes256Gcm::new(&secret.derive("forewarn seal 1").into()))
    }

    /// Seals `bytes` under `label`.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn close(&self, label: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut sealed = vec![0; NONCE_BYTES];
        getrandom::fill(&mut sealed).map_err(io::Error::other)?;
        let nonce = nonce(&sealed).ok_or_else(|| io::Error::other("no nonce"))?;
        let payload = Payload { msg: bytes, aad: label.as_bytes() };
        let body =
            self.0.encrypt(&nonce, payload).map_err(|_| io::Error::other("cannot be sealed"))?;
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Opens what was sealed under `label`.
    ///
    /// # Errors
    /// [`Broken`] under another key or label, or when a bit differs.
    pub fn open(&self, label: &str, sealed: &[u8]) -> Result<Vec<u8>, Broken> {
        let nonce = nonce(sealed).ok_or(Broken)?;
        let payload = Payload { msg: &sealed[NONCE_BYTES..], aad: label.as_bytes() };
        self.0.decrypt(&nonce, payload).map_err(|_| Broken)
    }
}

fn nonce(sealed: &[u8]) -> Option<Nonce<aes_gcm::aead::consts::U12>> {
    let bytes: [u8; NONCE_BYTES] = sealed.get(..NONCE_BYTES)?.try_into().ok()?;
    Some(bytes.into())
}

/// The local key in `data`; made on first use.
///
/// # Errors
/// When the file cannot be read or made, or is not 32 bytes long.
pub fn local_key(data: &Path) -> io::Result<Secret> {
    let path = data.join("local.key");
    match fs::read(&path) {
        Ok(bytes) => match <[u8; 32]>::try_from(bytes) {
            Ok(bytes) => Ok(Secret::new(bytes)),
            Err(bytes) => {
                let found = bytes.len();
                let message =
                    format!("local key {} has {found} bytes instead of 32", path.display());
                Err(io::Error::new(io::ErrorKind::InvalidData, message))
            }
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => make_key(data, &path),
        Err(e) => Err(e),
    }
}

/// The key is written under another name first: a crash must not leave a short one behind.
fn make_key(data: &Path, path: &Path) -> io::Result<Secret> {
    fs::create_dir_all(data)?;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let draft = data.join(format!("local.key.{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    // Of two processes that make a key at the same time the first wins: a link never replaces.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(Secret::new(bytes)),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => local_key(data),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_again_and_only_so() {
        let seal = Seal::new(&Secret::new([7; 32]));
        let sealed = seal.close("a", "张三 13800138000".as_bytes()).unwrap();
        assert!(!sealed.windows(6).any(|w| w == "张三".as_bytes()));
        assert_eq!(seal.open("a", &sealed).unwrap(), "张三 13800138000".as_bytes());
        assert_eq!(seal.open("b", &sealed), Err(Broken));
        assert_eq!(Seal::new(&Secret::new([8; 32])).open("a", &sealed), Err(Broken));
        assert_ne!(seal.close("a", b"x").unwrap(), seal.close("a", b"x").unwrap());
        for at in [0, 12, sealed.len() - 1] {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert_eq!(seal.open("a", &other), Err(Broken), "byte {at}");
        }
        assert_eq!(seal.open("a", b"short"), Err(Broken));
    }

    #[test]
    fn the_key_is_made_once_and_belongs_to_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let first = local_key(&data).unwrap();
        assert_eq!(local_key(&data).unwrap().derive("x"), first.derive("x"));
        let names: Vec<_> = fs::read_dir(&data).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["local.key"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(data.join("local.key")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(data.join("local.key"), "short").unwrap();
        assert!(local_key(&data).unwrap_err().to_string().contains("5 bytes instead of 32"));
    }
}
