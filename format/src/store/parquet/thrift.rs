//! A look over Thrift bytes before they are decoded: the decoder believes the counts in them and makes room at once.

/// Levels of structs and lists inside each other.
const MOST_LEVELS: usize = 32;
/// Levels of a schema. Deeper ones would end the decoder's stack.
const MOST_SCHEMA_LEVELS: usize = 256;
/// Row groups are numbered by a 16-bit integer.
const MOST_ROW_GROUPS: u64 = i16::MAX as u64;

/// Fields of a footer, and of an element of its schema.
const SCHEMA: i64 = 2;
const ROW_GROUPS: i64 = 4;
const CHILDREN: i64 = 5;

/// Whether `bytes` are a footer whose counts can be true.
pub(super) fn is_sane_footer(bytes: &[u8]) -> bool {
    let mut input = Input(bytes);
    let mut last = 0;
    let sane = (|| {
        while let Some((id, kind)) = input.field(last)? {
            match (id, kind) {
                (SCHEMA, LIST) => input.schema()?,
                (ROW_GROUPS, LIST) => {
                    let (count, kind) = input.list()?;
                    (count <= MOST_ROW_GROUPS).then_some(())?;
                    input.elements(count, kind, 1)?;
                }
                _ => drop(input.value(kind, 1)?),
            }
            last = id;
        }
        Some(())
    })();
    sane.is_some()
}

/// Whether `bytes` begin with one struct whose counts can be true.
pub(super) fn is_sane_struct(bytes: &[u8]) -> bool {
    Input(bytes).fields(0, &mut |_, _| {}).is_some()
}

const STOP: u8 = 0;
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn integer(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    /// The next field's id and kind; inner `None` behind the last one.
    fn field(&mut self, last: i64) -> Option<Option<(i64, u8)>> {
        let head = self.byte()?;
        if head & 0x0f == STOP {
            return Some(None);
        }
        let id = if head >> 4 == 0 { self.integer()? } else { last + i64::from(head >> 4) };
        Some(Some((id, head & 0x0f)))
    }

    /// Walks over a struct and tells its integers. Gives the number of its fields.
    fn fields(&mut self, level: usize, each: &mut dyn FnMut(i64, i64)) -> Option<usize> {
        let (mut last, mut count) = (0, 0);
        while let Some((id, kind)) = self.field(last)? {
            let value = self.value(kind, level + 1)?;
            each(id, value);
            (last, count) = (id, count + 1);
        }
        Some(count)
    }

    /// Walks over a field's value; gives it when it is an integer, else 0.
    fn value(&mut self, kind: u8, level: usize) -> Option<i64> {
        if level > MOST_LEVELS {
            return None;
        }
        match kind {
            TRUE | FALSE => {}
            BYTE => drop(self.byte()?),
            4..=6 => return self.integer(),
            DOUBLE => self.skip(8)?,
            BINARY => {
                let length = self.varint()?;
                self.skip(length)?;
            }
            LIST | SET => {
                let (count, kind) = self.list()?;
                self.elements(count, kind, level)?;
            }
            STRUCT => drop(self.fields(level, &mut |_, _| {})?),
            _ => return None,
        }
        Some(0)
    }

    /// A list's count and kind of elements. Each takes a byte at least.
    fn list(&mut self) -> Option<(u64, u8)> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        (count <= self.0.len() as u64).then_some((count, head & 0x0f))
    }

    fn elements(&mut self, count: u64, kind: u8, level: usize) -> Option<()> {
        for _ in 0..count {
            match kind {
                TRUE | FALSE => drop(self.byte()?),
                // No list in Parquet has structs without fields, and many of them would cost next to nothing.
                STRUCT => (level <= MOST_LEVELS && self.fields(level, &mut |_, _| {})? > 0).then_some(())?,
                kind => drop(self.value(kind, level + 1)?),
            }
        }
        Some(())
    }

    /// A schema: elements in the order of a walk through the tree, each with the number of its children.
    fn schema(&mut self) -> Option<()> {
        let (count, kind) = self.list()?;
        (kind == STRUCT).then_some(())?;
        // Children still to come, by level.
        let mut open: Vec<i64> = Vec::new();
        for _ in 0..count {
            let mut children = 0;
            let fields = self.fields(1, &mut |id, value| {
                if id == CHILDREN {
                    children = value;
                }
            })?;
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            while open.last().is_some_and(|&left| left <= 0) && children <= 0 {
                open.pop();
            }
            if children > 0 {
                open.push(children);
            }
            (fields > 0 && open.len() <= MOST_SCHEMA_LEVELS).then_some(())?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SCN-3
    #[test]
    fn counts_that_can_not_be_true_are_seen() {
        // Row groups without end; a schema list, a binary and a struct inside structs.
        assert!(!is_sane_footer(&[0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07]));
        assert!(!is_sane_footer(&[0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x15, 0x02]));
        assert!(!is_sane_struct(&[0x18, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]));
        assert!(!is_sane_struct(&[0x1c; 100]), "too deep");
        assert!(!is_sane_struct(&[0x19, 0x4c, 0, 0, 0, 0, 0]), "structs without fields");
        assert!(!is_sane_struct(&[0x1b, 0, 0]), "no map is in Parquet");
        assert!(is_sane_struct(&[0x15, 0x02, 0x19, 0x25, 0x02, 0x04, 0x18, 0x01, b'x', 0]));
        assert!(is_sane_footer(&[0]));
    }

    #[test]
    fn a_schema_without_a_floor_is_seen() {
        let element = [0x55, 0x02, 0];
        let of = |levels: usize| {
            let mut bytes = vec![0x29, 0xfc];
            let mut rest = levels;
            while rest >= 0x80 {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
            bytes.extend(element.repeat(levels));
            bytes.push(0);
            bytes
        };
        assert!(is_sane_footer(&of(MOST_SCHEMA_LEVELS)));
        assert!(!is_sane_footer(&of(MOST_SCHEMA_LEVELS + 1)));
        assert!(!is_sane_footer(&of(1_000_000)));
    }
}
