//! The file that holds deletion vectors: a version, then each vector with its size and checksum.

use uuid::Uuid;

use super::{DeletionVector, DeletionVectorDescriptor, cardinality_field, file_name, portable, size_field, z85};
use crate::error::{Error, Result};

/// First byte of a file.
const VERSION: u8 = 1;
/// Bytes of a size and of a checksum.
const FIELD_BYTES: usize = 4;

/// A file of deletion vectors in the making, for the directory `prefix` (the table's root when empty).
#[derive(Clone, Debug)]
pub struct VectorFile {
    prefix: String,
    id: Uuid,
    bytes: Vec<u8>,
}

impl VectorFile {
    /// An empty file with the identity `id`. `prefix` is a directory below the table's root, not percent-encoded.
    pub fn new(prefix: impl Into<String>, id: Uuid) -> Self {
        Self { prefix: prefix.into(), id, bytes: vec![VERSION] }
    }

    /// Adds a vector and describes where it is.
    ///
    /// # Errors
    /// `Invalid` for a vector, or a file, of more bytes than readers take.
    pub fn push(&mut self, vector: &DeletionVector) -> Result<DeletionVectorDescriptor> {
        let bitmap = portable::encode(vector)?;
        let size = size_field(bitmap.len())?;
        let full = |_| Error::invalid("a file of deletion vectors has no room for another one");
        let offset = i32::try_from(self.bytes.len()).map_err(full)?;
        self.bytes.extend(size.to_be_bytes());
        self.bytes.extend(&bitmap);
        self.bytes.extend(crc32(&bitmap).to_be_bytes());
        Ok(DeletionVectorDescriptor {
            storage_type: "u".to_owned(),
            path_or_inline_dv: format!("{}{}", self.prefix, z85::encode(self.id.as_bytes())),
            offset: Some(offset),
            size_in_bytes: size,
            cardinality: cardinality_field(vector)?,
        })
    }

    /// Path below the table's root, not percent-encoded.
    pub fn path(&self) -> String {
        if self.prefix.is_empty() { file_name(self.id) } else { format!("{}/{}", self.prefix, file_name(self.id)) }
    }

    /// The whole file.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The range of a file to read for a vector of `size_bytes` whose size field stands at `offset`. Without an offset the
/// file's version may come first.
pub(crate) fn stored_range(offset: Option<u64>, size_bytes: usize) -> std::ops::Range<u64> {
    let bytes = (size_bytes + 2 * FIELD_BYTES) as u64;
    match offset {
        // The version byte comes along.
        Some(1) | None => 0..bytes + 1,
        Some(offset) => offset..offset.saturating_add(bytes),
    }
}

/// The bitmap in `bytes`, which were read at [`stored_range`]. Version, size and checksum are checked (DV-2).
///
/// # Errors
/// What is wrong.
pub(crate) fn check_stored(bytes: &[u8], offset: Option<u64>, size_bytes: usize) -> std::result::Result<&[u8], String> {
    let sized = |bytes: &[u8]| field(bytes).is_some_and(|size| size as usize == size_bytes);
    let body = match offset {
        Some(1) => match bytes.split_first() {
            Some((&VERSION, rest)) => rest,
            Some((version, _)) => return Err(format!("its file is of version {version}")),
            None => return Err("its file is empty".to_owned()),
        },
        None if bytes.first() == Some(&VERSION) && sized(&bytes[1..]) => &bytes[1..],
        _ => bytes,
    };
    let short = || "its file ends too early".to_owned();
    let size = field(body).ok_or_else(short)?;
    if size as usize != size_bytes {
        return Err(format!("its file says it has {size} bytes, not {size_bytes}"));
    }
    let bitmap = body.get(FIELD_BYTES..FIELD_BYTES + size_bytes).ok_or_else(short)?;
    let checksum = field(&body[FIELD_BYTES + size_bytes..]).ok_or_else(short)?;
    if checksum != crc32(bitmap) {
        return Err("its checksum is wrong".to_owned());
    }
    Ok(bitmap)
}

fn field(bytes: &[u8]) -> Option<u32> {
    let (first, _) = bytes.split_first_chunk::<FIELD_BYTES>()?;
    Some(u32::from_be_bytes(*first))
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let (mut value, mut bit) = (at as u32, 0);
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
};

/// CRC-32 as zlib has it.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, &byte: &u8| CRC_TABLE[usize::from(sum as u8 ^ byte)] ^ (sum >> 8);
    !bytes.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_zlibs() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn a_stored_vector_is_found_with_and_without_an_offset_and_damage_is_told() {
        let vectors: Vec<DeletionVector> = [1, 5000].map(|step| (0..9).map(|row| row * step).collect()).into();
        let mut file = VectorFile::new("ab", Uuid::from_u128(7));
        let found: Vec<_> = vectors.iter().map(|vector| file.push(vector).expect("small")).collect();
        assert_eq!(file.path(), "ab/deletion_vector_00000000-0000-0000-0000-000000000007.bin");
        let bytes = file.into_bytes();
        for (vector, descriptor) in vectors.iter().zip(&found) {
            let size = descriptor.size_in_bytes as usize;
            let offset = descriptor.offset.map(|offset| offset as u64);
            let range = stored_range(offset, size);
            let piece = &bytes[range.start as usize..range.end as usize];
            let bitmap = check_stored(piece, offset, size).expect("whole");
            assert_eq!(descriptor.decode(bitmap, "here").expect("DV-2"), *vector);
            for at in 0..piece.len() {
                let mut broken = piece.to_vec();
                broken[at] ^= 0x40;
                assert!(check_stored(&broken, offset, size).is_err(), "DV-2: byte {at}");
                assert!(check_stored(&piece[..at], offset, size).is_err(), "DV-2: cut at {at}");
            }
        }
        let size = found[0].size_in_bytes as usize;
        assert!(check_stored(&bytes[..size + 9], None, size).is_ok());
        assert!(check_stored(&bytes[1..size + 9], None, size).is_ok(), "some files have no version");
    }
}
