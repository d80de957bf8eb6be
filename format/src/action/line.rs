//! A line of a commit that speaks of a file, read in place where it has the plain shape that writers give it.

use super::{Add, DeletionVectorDescriptor, Remove};

/// A member of a map of text to text.
pub(crate) type Pair<'a> = (&'a str, Option<&'a str>);

/// What an `add` or a `remove` says, without a copy of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FileLine<'a> {
    pub(crate) path: &'a str,
    /// In the order of their names.
    pub(crate) partition_values: Option<Vec<Pair<'a>>>,
    pub(crate) size: Option<i64>,
    pub(crate) modification_time: Option<i64>,
    pub(crate) deletion_timestamp: Option<i64>,
    pub(crate) extended: Option<bool>,
    /// In the order of their names.
    pub(crate) tags: Option<Vec<Pair<'a>>>,
    pub(crate) vector: Option<VectorLine<'a>>,
    pub(crate) base_row_id: Option<i64>,
    pub(crate) default_row_commit_version: Option<i64>,
    pub(crate) clustering_provider: Option<&'a str>,
}

/// What it says of a deletion vector.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct VectorLine<'a> {
    pub(crate) storage_type: &'a str,
    pub(crate) path_or_inline: &'a str,
    pub(crate) offset: Option<i32>,
    pub(crate) size_in_bytes: i32,
    pub(crate) cardinality: i64,
}

/// What a line says, and how it speaks of its statistics.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plain<'a> {
    /// An `add`; whether it has statistics.
    Add(FileLine<'a>, bool),
    /// A `remove`.
    Remove(FileLine<'a>),
}

/// Reads a trimmed line. Statistics of an `add` go behind what `stats` holds, their escapes resolved, if it is given.
/// `None` for whatever is not plain: the full parser is to be asked then, and `stats` is as it was. What is read here,
/// that parser reads the same.
pub(crate) fn read_plain<'a>(line: &'a [u8], mut stats: Option<&mut Vec<u8>>) -> Option<Plain<'a>> {
    let before = stats.as_ref().map_or(0, |stats| stats.len());
    let read = Reader::of(line).and_then(|reader| reader.line(stats.as_deref_mut()));
    if let (None, Some(stats)) = (&read, stats) {
        stats.truncate(before);
    }
    read
}

/// Fields of `add` and `remove`, each a bit.
mod field {
    pub(super) const PATH: u16 = 1;
    pub(super) const PARTITION_VALUES: u16 = 1 << 1;
    pub(super) const SIZE: u16 = 1 << 2;
    pub(super) const MODIFICATION_TIME: u16 = 1 << 3;
    pub(super) const DATA_CHANGE: u16 = 1 << 4;
    pub(super) const STATS: u16 = 1 << 5;
    pub(super) const TAGS: u16 = 1 << 6;
    pub(super) const VECTOR: u16 = 1 << 7;
    pub(super) const BASE_ROW_ID: u16 = 1 << 8;
    pub(super) const ROW_COMMIT_VERSION: u16 = 1 << 9;
    pub(super) const CLUSTERING_PROVIDER: u16 = 1 << 10;
    pub(super) const DELETION_TIMESTAMP: u16 = 1 << 11;
    pub(super) const EXTENDED: u16 = 1 << 12;
}

fn field_of(name: &str, is_add: bool) -> Option<u16> {
    Some(match name {
        "path" => field::PATH,
        "partitionValues" => field::PARTITION_VALUES,
        "size" => field::SIZE,
        "dataChange" => field::DATA_CHANGE,
        "stats" => field::STATS,
        "tags" => field::TAGS,
        "deletionVector" => field::VECTOR,
        "baseRowId" => field::BASE_ROW_ID,
        "defaultRowCommitVersion" => field::ROW_COMMIT_VERSION,
        "modificationTime" if is_add => field::MODIFICATION_TIME,
        "clusteringProvider" if is_add => field::CLUSTERING_PROVIDER,
        "deletionTimestamp" if !is_add => field::DELETION_TIMESTAMP,
        "extendedFileMetadata" if !is_add => field::EXTENDED,
        _ => return None,
    })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        // Characters that JSON allows between tokens alone, and nowhere in text, are no plain shape.
        let least = line.iter().fold(u8::MAX, |least, &byte| least.min(byte));
        if least < b' ' {
            return None;
        }
        Some(Self { text: std::str::from_utf8(line).ok()?, at: 0 })
    }

    fn line(mut self, stats: Option<&mut Vec<u8>>) -> Option<Plain<'a>> {
        self.token(b'{')?;
        let is_add = match self.text()? {
            "add" => true,
            "remove" => false,
            _ => return None,
        };
        self.token(b':')?;
        // Of a `remove` they are not kept.
        let (file, has_stats) = self.file(is_add, stats.filter(|_| is_add))?;
        self.space();
        self.token(b'}')?;
        if self.at != self.text.len() {
            return None;
        }
        Some(if is_add { Plain::Add(file, has_stats) } else { Plain::Remove(file) })
    }

    fn file(&mut self, is_add: bool, mut stats: Option<&mut Vec<u8>>) -> Option<(FileLine<'a>, bool)> {
        let (mut file, mut given, mut has_stats) = (FileLine::default(), 0_u16, false);
        self.token(b'{')?;
        loop {
            let name = self.text()?;
            self.token(b':')?;
            let this = field_of(name, is_add)?;
            if given & this != 0 {
                return None;
            }
            given |= this;
            match this {
                field::PATH => file.path = self.text()?,
                field::PARTITION_VALUES => file.partition_values = self.or_null(Self::pairs)?,
                field::SIZE if is_add => file.size = Some(self.long()?),
                field::SIZE => file.size = self.or_null(Self::long)?,
                field::MODIFICATION_TIME => file.modification_time = Some(self.long()?),
                field::DATA_CHANGE => {
                    self.flag()?;
                }
                field::STATS => has_stats = self.or_null(|this| this.escaped(stats.as_deref_mut()))?.is_some(),
                field::TAGS => file.tags = self.or_null(Self::pairs)?,
                field::VECTOR => file.vector = self.or_null(Self::vector)?,
                field::BASE_ROW_ID => file.base_row_id = self.or_null(Self::long)?,
                field::ROW_COMMIT_VERSION => file.default_row_commit_version = self.or_null(Self::long)?,
                field::CLUSTERING_PROVIDER => file.clustering_provider = self.or_null(Self::text)?,
                field::DELETION_TIMESTAMP => file.deletion_timestamp = self.or_null(Self::long)?,
                _ => file.extended = self.or_null(Self::flag)?,
            }
            if !self.more()? {
                break;
            }
        }
        let needed = if is_add { field::PATH | field::SIZE } else { field::PATH };
        (given & needed == needed).then_some((file, has_stats))
    }

    fn vector(&mut self) -> Option<VectorLine<'a>> {
        let (mut vector, mut given) = (VectorLine::default(), 0_u8);
        self.token(b'{')?;
        loop {
            let name = self.text()?;
            self.token(b':')?;
            let this = match name {
                "storageType" => 1,
                "pathOrInlineDv" => 2,
                "sizeInBytes" => 4,
                "cardinality" => 8,
                "offset" => 16,
                _ => return None,
            };
            if given & this != 0 {
                return None;
            }
            given |= this;
            match this {
                1 => vector.storage_type = self.text()?,
                2 => vector.path_or_inline = self.text()?,
                4 => vector.size_in_bytes = self.int()?,
                8 => vector.cardinality = self.long()?,
                _ => vector.offset = self.or_null(Self::int)?,
            }
            if !self.more()? {
                break;
            }
        }
        (given & 15 == 15).then_some(vector)
    }

    /// An object of texts, in the order of their names.
    fn pairs(&mut self) -> Option<Vec<Pair<'a>>> {
        let mut pairs: Vec<Pair<'a>> = Vec::new();
        self.token(b'{')?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Some(pairs);
        }
        loop {
            let name = self.text()?;
            self.token(b':')?;
            let value = self.or_null(Self::text)?;
            pairs.push((name, value));
            if !self.more()? {
                break;
            }
        }
        if pairs.windows(2).any(|two| two[0].0 >= two[1].0) {
            pairs.sort_unstable_by_key(|pair| pair.0);
            if pairs.windows(2).any(|two| two[0].0 == two[1].0) {
                return None;
            }
        }
        Some(pairs)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    /// That character, and the space before and behind it.
    fn token(&mut self, wanted: u8) -> Option<()> {
        self.space();
        if self.peek()? != wanted {
            return None;
        }
        self.at += 1;
        self.space();
        Some(())
    }

    /// Whether another member follows, or the object ends.
    fn more(&mut self) -> Option<bool> {
        self.space();
        let more = match self.peek()? {
            b',' => true,
            b'}' => false,
            _ => return None,
        };
        self.at += 1;
        self.space();
        Some(more)
    }

    /// `null`, or what `read` finds.
    fn or_null<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.peek()? == b'n' {
            self.word("null")?;
            return Some(None);
        }
        read(self).map(Some)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    fn flag(&mut self) -> Option<bool> {
        let flag = self.peek()? == b't';
        self.word(if flag { "true" } else { "false" })?;
        Some(flag)
    }

    /// A whole number of at most 18 digits.
    fn long(&mut self) -> Option<i64> {
        let bytes = self.text.as_bytes();
        let negative = self.peek()? == b'-';
        let start = self.at + usize::from(negative);
        let (mut at, mut value) = (start, 0_i64);
        while let Some(digit) = bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            if at - start == 18 {
                return None;
            }
            value = value * 10 + i64::from(digit);
            at += 1;
        }
        let zero_first = bytes.get(start) == Some(&b'0') && (at - start > 1 || negative);
        if at == start || zero_first || !matches!(bytes.get(at)?, b',' | b'}' | b' ') {
            return None;
        }
        self.at = at;
        Some(if negative { -value } else { value })
    }

    fn int(&mut self) -> Option<i32> {
        self.long()?.try_into().ok()
    }

    /// Text without an escape.
    fn text(&mut self) -> Option<&'a str> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let rest = self.text.get(start..)?;
        let end = memchr::memchr2(b'"', b'\\', rest.as_bytes())?;
        if rest.as_bytes()[end] != b'"' {
            return None;
        }
        self.at = start + end + 1;
        rest.get(..end)
    }

    /// Text with escapes of one character, put behind what `to` holds.
    fn escaped(&mut self, mut to: Option<&mut Vec<u8>>) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        loop {
            let plain = plain_bytes(bytes.get(at..)?, to.as_deref_mut())?;
            at += plain;
            if *bytes.get(at)? == b'"' {
                break;
            }
            let meant = match *bytes.get(at + 1)? {
                same @ (b'"' | b'\\' | b'/') => same,
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'b' => 8,
                b'f' => 12,
                _ => return None,
            };
            if let Some(to) = to.as_deref_mut() {
                to.push(meant);
            }
            at += 2;
        }
        self.at = at + 1;
        Some(())
    }
}

/// How many bytes come before the next quote or backslash, all of them copied to `to`.
fn plain_bytes(bytes: &[u8], mut to: Option<&mut Vec<u8>>) -> Option<usize> {
    let mut at = 0;
    while let Some(eight) = bytes.get(at..at + 8) {
        let eight: [u8; 8] = eight.try_into().ok()?;
        let word = u64::from_le_bytes(eight);
        let ends = zero_bytes(word ^ (u64::MAX / 255 * 0x22)) | zero_bytes(word ^ (u64::MAX / 255 * 0x5c));
        let plain = if ends == 0 { 8 } else { ends.trailing_zeros() as usize / 8 };
        if let Some(to) = to.as_deref_mut() {
            let behind = to.len() + plain;
            // Eight at once, of which some are taken back, are faster than a few.
            to.extend_from_slice(&eight);
            to.truncate(behind);
        }
        at += plain;
        if ends != 0 {
            return Some(at);
        }
    }
    let plain = bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    if let Some(to) = to {
        to.extend_from_slice(&bytes[at..at + plain]);
    }
    Some(at + plain)
}

/// The highest bit of each byte that is zero; of bytes above the lowest zero it may be wrong.
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(u64::MAX / 255) & !word & (u64::MAX / 255 * 0x80)
}

impl<'a> FileLine<'a> {
    /// The same of an action that was parsed.
    pub(crate) fn of_add(add: &'a Add) -> Self {
        Self {
            path: &add.path,
            partition_values: Some(pairs_of(&add.partition_values)),
            size: Some(add.size),
            modification_time: Some(add.modification_time),
            tags: add.tags.as_ref().map(pairs_of),
            vector: add.deletion_vector.as_ref().map(VectorLine::of),
            base_row_id: add.base_row_id,
            default_row_commit_version: add.default_row_commit_version,
            clustering_provider: add.clustering_provider.as_deref(),
            ..Self::default()
        }
    }

    /// The same of an action that was parsed.
    pub(crate) fn of_remove(remove: &'a Remove) -> Self {
        Self {
            path: &remove.path,
            partition_values: remove.partition_values.as_ref().map(pairs_of),
            size: remove.size,
            deletion_timestamp: remove.deletion_timestamp,
            extended: remove.extended_file_metadata,
            vector: remove.deletion_vector.as_ref().map(VectorLine::of),
            base_row_id: remove.base_row_id,
            default_row_commit_version: remove.default_row_commit_version,
            ..Self::default()
        }
    }
}

fn pairs_of(map: &std::collections::BTreeMap<String, Option<String>>) -> Vec<Pair<'_>> {
    map.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect()
}

impl<'a> VectorLine<'a> {
    fn of(vector: &'a DeletionVectorDescriptor) -> Self {
        Self {
            storage_type: &vector.storage_type,
            path_or_inline: &vector.path_or_inline_dv,
            offset: vector.offset,
            size_in_bytes: vector.size_in_bytes,
            cardinality: vector.cardinality,
        }
    }

    /// Identity of the vector, the second part of a file's key (LOG-4).
    pub(crate) fn unique_id(&self) -> String {
        match self.offset {
            Some(offset) => format!("{}{}@{offset}", self.storage_type, self.path_or_inline),
            None => format!("{}{}", self.storage_type, self.path_or_inline),
        }
    }
}
