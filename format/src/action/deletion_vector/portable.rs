//! A vector as bytes: the portable 64-bit roaring format behind a magic number, and the older layout, read only.

use super::bitmap::DeletionVector;
use super::container::{ARRAY_MOST, Container, SPAN, WORDS};
use crate::error::Result;

/// Portable: a 64-bit count of 32-bit bitmaps, each behind the upper half of its rows.
const PORTABLE: u32 = 1_681_511_377;
/// Older: a 32-bit count of 32-bit bitmaps, each behind its size; the first has the rows below 2^32, and so on. The
/// protocol's own example has these numbers, but not the bitmaps, in big-endian order.
const SIZED: u32 = 1_681_511_376;
const SIZED_BIG_ENDIAN: u32 = SIZED.swap_bytes();

/// What a 32-bit bitmap starts with: without runs, and with them.
const NO_RUNS: u32 = 12_346;
const WITH_RUNS: u32 = 12_347;
/// With runs and fewer containers than this there are no offsets.
const OFFSETS_FROM: usize = 4;

/// Bytes of the shortest vector, an empty one of the older layout.
pub(super) const LEAST_BYTES: usize = 8;

/// Containers below one upper half of rows.
const PER_BITMAP: u64 = (1 << 32) / SPAN as u64;
/// Upper halves must be below this: rows are positive as 64-bit integers.
const BITMAPS_MOST: u64 = 1 << 31;

type Decoded<T> = std::result::Result<T, &'static str>;

/// Reads a vector that fills `bytes`. Memory is bounded by their number; says what is wrong.
pub(super) fn decode(bytes: &[u8]) -> Decoded<DeletionVector> {
    let mut input = Input(bytes);
    let magic = input.u32()?;
    let mut vector = DeletionVector::default();
    match magic {
        PORTABLE => {
            let count = input.u64()?;
            let mut next = 0;
            for _ in 0..count {
                let key = u64::from(input.u32()?);
                if key < next || key >= BITMAPS_MOST {
                    return Err("its bitmaps are out of order");
                }
                next = key + 1;
                bitmap(&mut input, key, &mut vector)?;
            }
        }
        SIZED | SIZED_BIG_ENDIAN => {
            let own = |number: u32| if magic == SIZED { number } else { number.swap_bytes() };
            for key in 0..u64::from(own(input.u32()?)) {
                let size = own(input.u32()?) as usize;
                let mut inner = Input(input.take(size)?);
                bitmap(&mut inner, key, &mut vector)?;
                inner.end()?;
            }
        }
        _ => return Err("it starts with an unknown magic number"),
    }
    input.end()?;
    Ok(vector)
}

/// One 32-bit roaring bitmap, whose rows have `key` as their upper half.
fn bitmap(input: &mut Input<'_>, key: u64, vector: &mut DeletionVector) -> Decoded<()> {
    let cookie = input.u32()?;
    let (count, run_flags) = if cookie == NO_RUNS {
        (input.u32()? as usize, &[][..])
    } else if cookie & 0xffff == WITH_RUNS {
        let count = (cookie >> 16) as usize + 1;
        (count, input.take(count.div_ceil(8))?)
    } else {
        return Err("a bitmap in it starts with an unknown number");
    };
    if count > SPAN as usize {
        return Err("a bitmap in it has too many containers");
    }
    let mut heads = Input(input.take(count * 4)?);
    if run_flags.is_empty() || count >= OFFSETS_FROM {
        // Containers follow each other: where they start is known without the offsets.
        input.take(count * 4)?;
    }
    let mut next = 0;
    for at in 0..count {
        let (low, expected) = (u64::from(heads.u16()?), u64::from(heads.u16()?) + 1);
        if low < next {
            return Err("its containers are out of order");
        }
        next = low + 1;
        let is_runs = run_flags.get(at / 8).is_some_and(|flags| flags & (1 << (at % 8)) != 0);
        let container = if is_runs { runs(input)? } else { values(input, expected as usize)? };
        if container.len() != expected {
            return Err("a container in it holds another number of rows than it says");
        }
        vector.len += expected;
        vector.containers.push((key * PER_BITMAP + low, container));
    }
    Ok(())
}

fn values(input: &mut Input<'_>, count: usize) -> Decoded<Container> {
    if count <= ARRAY_MOST {
        let values: Box<[u16]> = input.take(count * 2)?.chunks_exact(2).map(le16).collect();
        if values.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err("the rows of a container in it are out of order");
        }
        return Ok(Container::Array(values));
    }
    let mut words = Box::new([0; WORDS]);
    for (word, eight) in words.iter_mut().zip(input.take(WORDS * 8)?.chunks_exact(8)) {
        *word = le64(eight);
    }
    Ok(Container::Bits(words))
}

fn runs(input: &mut Input<'_>) -> Decoded<Container> {
    let count = usize::from(input.u16()?);
    let mut runs = Vec::with_capacity(count);
    let mut next = 0;
    for four in input.take(count * 4)?.chunks_exact(4) {
        let (first, more) = (le16(&four[..2]), le16(&four[2..]));
        let last = first.checked_add(more).ok_or("a run of rows in it is too long")?;
        if u32::from(first) < next {
            return Err("the runs of a container in it are out of order");
        }
        next = u32::from(last) + 1;
        runs.push((first, last));
    }
    Ok(Container::Runs(runs.into()))
}

/// The vector in the portable layout.
///
/// # Errors
/// `Invalid` for rows beyond what a signed 64-bit integer holds.
pub(super) fn encode(vector: &DeletionVector) -> Result<Vec<u8>> {
    let groups = || vector.containers.chunk_by(|(a, _), (b, _)| a / PER_BITMAP == b / PER_BITMAP);
    let mut out = PORTABLE.to_le_bytes().to_vec();
    out.extend((groups().count() as u64).to_le_bytes());
    for group in groups() {
        let key = group[0].0 / PER_BITMAP;
        let key = u32::try_from(key).ok().filter(|&key| u64::from(key) < BITMAPS_MOST);
        let key = key.ok_or_else(|| crate::error::Error::invalid("a deletion vector of rows that no file can have"))?;
        out.extend(key.to_le_bytes());
        encode_bitmap(group, &mut out);
    }
    Ok(out)
}

fn encode_bitmap(containers: &[(u64, Container)], out: &mut Vec<u8>) {
    let start = out.len();
    let count = containers.len();
    let is_runs = |container: &Container| matches!(container, Container::Runs(_));
    let with_runs = containers.iter().any(|(_, container)| is_runs(container));
    if with_runs {
        out.extend((WITH_RUNS | ((count as u32 - 1) << 16)).to_le_bytes());
        for eight in containers.chunks(8) {
            let flags = eight.iter().rev().fold(0, |flags, (_, container)| flags << 1 | u8::from(is_runs(container)));
            out.push(flags);
        }
    } else {
        out.extend(NO_RUNS.to_le_bytes());
        out.extend((count as u32).to_le_bytes());
    }
    for (key, container) in containers {
        out.extend(((key % PER_BITMAP) as u16).to_le_bytes());
        out.extend(((container.len() - 1) as u16).to_le_bytes());
    }
    let offsets = out.len();
    let with_offsets = !with_runs || count >= OFFSETS_FROM;
    out.resize(offsets + if with_offsets { 4 * count } else { 0 }, 0);
    for (at, (_, container)) in containers.iter().enumerate() {
        if with_offsets {
            let offset = (out.len() - start) as u32;
            out[offsets + 4 * at..][..4].copy_from_slice(&offset.to_le_bytes());
        }
        match container {
            Container::Array(values) => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Container::Bits(words) => out.extend(words.iter().flat_map(|word| word.to_le_bytes())),
            Container::Runs(runs) => {
                out.extend((runs.len() as u16).to_le_bytes());
                let pair = |&(first, last): &(u16, u16)| [first, last - first];
                out.extend(runs.iter().flat_map(pair).flat_map(u16::to_le_bytes));
            }
        }
    }
}

fn le16(two: &[u8]) -> u16 {
    u16::from_le_bytes([two[0], two[1]])
}

fn le64(eight: &[u8]) -> u64 {
    eight.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// What is left to be read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Decoded<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("it is cut short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Decoded<u16> {
        self.take(2).map(le16)
    }

    fn u32(&mut self) -> Decoded<u32> {
        let four = self.take(4)?;
        Ok(u32::from(le16(&four[..2])) | u32::from(le16(&four[2..])) << 16)
    }

    fn u64(&mut self) -> Decoded<u64> {
        self.take(8).map(le64)
    }

    fn end(&self) -> Decoded<()> {
        if self.0.is_empty() { Ok(()) } else { Err("there are bytes behind its end") }
    }
}
