//! Deletion vectors: which rows of a data file are gone, where that is written down, and how.

mod bitmap;
mod container;
mod file;
mod portable;
mod z85;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::partition_value::encode_path;
use crate::error::{Error, Result};

pub use bitmap::DeletionVector;
pub use file::VectorFile;
pub(crate) use file::{check_stored, stored_range};

/// More serialised bytes than this are taken for damage: enough for every second row of a file of 250 million.
pub const MOST_VECTOR_BYTES: usize = 32 << 20;

/// Letters of a UUID in Z85.
const UUID_LETTERS: usize = 20;

/// Where the deleted rows of a file are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeletionVectorDescriptor {
    /// `u` relative file, `p` absolute file, `i` inline.
    pub storage_type: String,
    /// Encoded location or content.
    pub path_or_inline_dv: String,
    /// Byte offset in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i32>,
    /// Size of the serialised bitmap.
    pub size_in_bytes: i32,
    /// Number of deleted rows.
    pub cardinality: i64,
}

/// What a descriptor points at.
#[derive(Clone, Debug, PartialEq)]
pub enum VectorLocation {
    /// The vector itself.
    Inline(DeletionVector),
    /// Bytes of a file.
    File {
        /// Path as the log would have it: percent-encoded once, relative to the table's root or absolute.
        log_path: String,
        /// Where the vector's size field stands; `None` where the descriptor does not say.
        offset: Option<u64>,
        /// Bytes of the bitmap.
        size_bytes: usize,
    },
}

impl DeletionVectorDescriptor {
    /// Identity of the vector, the second part of a file's key (LOG-4).
    pub fn unique_id(&self) -> String {
        match self.offset {
            Some(offset) => format!("{}{}@{offset}", self.storage_type, self.path_or_inline_dv),
            None => format!("{}{}", self.storage_type, self.path_or_inline_dv),
        }
    }

    /// A descriptor that holds `vector` itself.
    ///
    /// # Errors
    /// `Invalid` for a vector of more bytes than readers take.
    pub fn inline(vector: &DeletionVector) -> Result<Self> {
        let bytes = portable::encode(vector)?;
        Ok(Self {
            storage_type: "i".to_owned(),
            path_or_inline_dv: z85::encode(&bytes),
            offset: None,
            size_in_bytes: size_field(bytes.len())?,
            cardinality: cardinality_field(vector)?,
        })
    }

    /// Rows that the vector says are deleted (DV-2).
    ///
    /// # Errors
    /// `Corrupt` when negative.
    pub fn deleted_rows(&self) -> Result<u64> {
        u64::try_from(self.cardinality).map_err(|_| self.wrong(format!("it says it holds {} rows", self.cardinality)))
    }

    /// Path of the vector's file as the log would have it; `None` for a vector inside the log.
    ///
    /// # Errors
    /// As [`DeletionVectorDescriptor::locate`].
    pub fn log_path(&self) -> Result<Option<String>> {
        match self.storage_type.as_str() {
            "i" => Ok(None),
            "p" => Ok(Some(self.path_or_inline_dv.clone())),
            "u" => relative_path(&self.path_or_inline_dv)
                .map(|path| Some(encode_path(&path)))
                .ok_or_else(|| self.wrong("its path does not end in a UUID")),
            other => Err(Error::unsupported(format!("deletion vectors of storage type {other:?} can't be read"))
                .with_object(self.unique_id())
                .with_hint("nothing was changed; use an engine that wrote the table, or a newer Lake")),
        }
    }

    /// What the descriptor points at (DV-1). Nothing is read; an inline vector is decoded and checked.
    ///
    /// # Errors
    /// `Corrupt` for a descriptor that contradicts itself or a damaged inline vector, `Unsupported` for an unknown
    /// storage type.
    pub fn locate(&self) -> Result<VectorLocation> {
        let size_bytes = usize::try_from(self.size_in_bytes)
            .ok()
            .filter(|&bytes| (portable::LEAST_BYTES..=MOST_VECTOR_BYTES).contains(&bytes))
            .ok_or_else(|| self.wrong(format!("it says it has {} bytes", self.size_in_bytes)))?;
        self.deleted_rows()?;
        let Some(log_path) = self.log_path()? else {
            if self.path_or_inline_dv.len() > MOST_VECTOR_BYTES / 4 * 5 + 5 {
                return Err(self.wrong("it is too long"));
            }
            let mut bytes = z85::decode(&self.path_or_inline_dv).ok_or_else(|| self.wrong("it is not Z85 text"))?;
            let padding = bytes.len().checked_sub(size_bytes);
            if padding.is_none_or(|padding| padding > 3) {
                return Err(self.wrong(format!("it has {} bytes, not {size_bytes}", bytes.len())));
            }
            bytes.truncate(size_bytes);
            return self.decode(&bytes, &self.short_name()).map(VectorLocation::Inline);
        };
        let offset = match self.offset.map(u64::try_from).transpose() {
            Ok(offset) => offset.filter(|&offset| offset > 0),
            Err(_) => return Err(self.wrong("its offset is negative")),
        };
        Ok(VectorLocation::File { log_path, offset, size_bytes })
    }

    /// Decodes the vector's serialised bitmap, found at `place`, and checks it against the descriptor (DV-2).
    ///
    /// # Errors
    /// `Corrupt`, saying what is wrong.
    pub fn decode(&self, bytes: &[u8], place: &str) -> Result<DeletionVector> {
        let vector = portable::decode(bytes).map_err(|what| damaged(what, place))?;
        if Ok(vector.len()) != u64::try_from(self.cardinality) {
            return Err(damaged(format!("it holds {} rows, not {}", vector.len(), self.cardinality), place));
        }
        Ok(vector)
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Error {
        damaged(what, &self.short_name())
    }

    fn short_name(&self) -> String {
        let id = self.unique_id();
        if id.len() > 100 { format!("{}…", id.chars().take(100).collect::<String>()) } else { id }
    }
}

/// An error about a vector found at `place`.
pub(crate) fn damaged(what: impl std::fmt::Display, place: &str) -> Error {
    Error::corrupt(format!("a deletion vector is damaged: {what}"))
        .with_object(place)
        .with_hint("its data file's rows can't be told from deleted ones; read a version before the vector was written")
}

/// The file of a relative vector, below the table's root and not percent-encoded.
fn relative_path(text: &str) -> Option<String> {
    let at = text.len().checked_sub(UUID_LETTERS)?;
    let (prefix, id) = (text.get(..at)?, text.get(at..)?);
    let id = Uuid::from_slice(&z85::decode(id)?).ok()?;
    Some(if prefix.is_empty() { file_name(id) } else { format!("{prefix}/{}", file_name(id)) })
}

fn file_name(id: Uuid) -> String {
    format!("deletion_vector_{id}.bin")
}

fn size_field(bytes: usize) -> Result<i32> {
    i32::try_from(bytes)
        .ok()
        .filter(|_| bytes <= MOST_VECTOR_BYTES)
        .ok_or_else(|| Error::invalid(format!("a deletion vector of {bytes} bytes is more than readers take")))
}

fn cardinality_field(vector: &DeletionVector) -> Result<i64> {
    i64::try_from(vector.len()).map_err(|_| Error::invalid("a deletion vector of more rows than a file can have"))
}

#[cfg(test)]
mod tests;
