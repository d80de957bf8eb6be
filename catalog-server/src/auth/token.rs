//! The secret of a token: how it is drawn, hashed and left for its owner.

use std::io::Write;
use std::path::Path;

use lake_format::clock::Clock;
use sha2::{Digest, Sha256};

/// What every token starts with, so that scanners find one that leaked.
pub const PREFIX: &str = "lake_";

/// A new secret: the prefix and 256 bits in hexadecimal, condensed from three random identifiers of 122 bits each.
pub(super) fn draw(clock: &dyn Clock) -> String {
    let mut digest = Sha256::new();
    for _ in 0..3 {
        digest.update(clock.new_id().as_bytes());
    }
    let bits: [u8; 32] = digest.finalize().into();
    let mut secret = PREFIX.to_owned();
    for byte in bits {
        secret.push_str(&format!("{byte:02x}"));
    }
    secret
}

/// What is kept of a secret. Random input needs no slow hash.
pub fn hash_of(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// What a token is looked up by.
pub fn head_of(hash: &[u8; 32]) -> [u8; 8] {
    let mut head = [0; 8];
    head.copy_from_slice(&hash[..8]);
    head
}

/// Writes `secret` to `file`, over what is there, readable by its owner alone from the first moment.
///
/// # Errors
/// Those of the file system; then the old file is as it was.
pub fn write_secret(file: &Path, secret: &str) -> std::io::Result<()> {
    let temporary = file.with_extension("new");
    let _ = std::fs::remove_file(&temporary);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&temporary)?;
    out.write_all(secret.as_bytes())?;
    out.write_all(b"\n")?;
    out.sync_all()?;
    std::fs::rename(&temporary, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake_format::clock::SystemClock;

    #[test]
    fn secrets_are_long_and_differ() {
        let secrets: std::collections::HashSet<String> = (0..100).map(|_| draw(&SystemClock)).collect();
        assert_eq!(secrets.len(), 100);
        assert!(secrets.iter().all(|secret| secret.starts_with(PREFIX) && secret.len() == PREFIX.len() + 64));
    }

    #[test]
    fn the_hash_is_sha_256() {
        let hash = hash_of("abc");
        assert_eq!(hash[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(head_of(&hash), hash[..8]);
    }
}
