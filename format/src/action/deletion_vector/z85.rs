//! Z85: bytes as text, five letters for four bytes.

const LETTERS: &[u8; 85] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// Letter to value; 255 for what is no letter.
const VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut at = 0;
    while at < LETTERS.len() {
        values[LETTERS[at] as usize] = at as u8;
        at += 1;
    }
    values
};

/// Marks, at the start of the last five letters, each byte that is missing there. No whole chunk starts with it.
const MISSING: u8 = b'#';

/// `bytes`, with zeros up to the next four, as text.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(4) * 5);
    for chunk in bytes.chunks(4) {
        let mut four = [0; 4];
        four[..chunk.len()].copy_from_slice(chunk);
        let mut rest = u32::from_be_bytes(four);
        let mut letters = [0; 5];
        for letter in letters.iter_mut().rev() {
            *letter = LETTERS[(rest % 85) as usize];
            rest /= 85;
        }
        text.extend(letters.map(char::from));
    }
    text
}

/// The bytes of `text`. Its last chunk may be short: some writers mark missing bytes instead of filling up with zeros.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let letters = text.as_bytes();
    if !letters.len().is_multiple_of(5) {
        return None;
    }
    let mut bytes = Vec::with_capacity(letters.len() / 5 * 4);
    let chunks = letters.len() / 5;
    for (at, chunk) in letters.chunks(5).enumerate() {
        let missing = chunk.iter().take_while(|&&letter| letter == MISSING).count();
        if missing > 3 || (missing > 0 && at + 1 < chunks) {
            return None;
        }
        let mut value = 0_u64;
        for &letter in &chunk[missing..] {
            let digit = VALUES[usize::from(letter)];
            if digit == u8::MAX {
                return None;
            }
            value = value * 85 + u64::from(digit);
        }
        let four = u32::try_from(value).ok()?.to_be_bytes();
        if four[..missing].iter().any(|&byte| byte != 0) {
            return None;
        }
        bytes.extend_from_slice(&four[missing..]);
    }
    Some(bytes)
}
