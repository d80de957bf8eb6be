//! Times finer than the microseconds that tables keep: floored, and counted so that it can be told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};

const NANOS_PER_MICRO: i64 = 1000;
/// Digits of a second's fraction that are kept.
const KEPT_DIGITS: usize = 6;

/// How many values lost digits. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Floored(Arc<AtomicU64>);

impl Floored {
    /// So far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Looks at a column of a file, at any depth.
    pub fn look(&self, column: &ArrayRef) {
        self.0.fetch_add(finer(column), Ordering::Relaxed);
    }

    /// Looks at texts of times.
    pub fn look_at_text(&self, column: &ArrayRef) {
        if let Some(texts) = column.as_string_opt::<i32>() {
            let finer = texts.iter().flatten().filter(|text| is_finer(text)).count();
            self.0.fetch_add(finer as u64, Ordering::Relaxed);
        }
    }
}

fn finer(column: &ArrayRef) -> u64 {
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let times = column.as_primitive::<TimestampNanosecondType>();
            times.iter().flatten().filter(|nanos| nanos % NANOS_PER_MICRO != 0).count() as u64
        }
        DataType::Struct(_) => column.as_struct().columns().iter().map(finer).sum(),
        DataType::List(_) => finer(column.as_list::<i32>().values()),
        DataType::LargeList(_) => finer(column.as_list::<i64>().values()),
        DataType::Map(..) => finer(column.as_map().keys()) + finer(column.as_map().values()),
        _ => 0,
    }
}

/// Whether a fraction of a second has digits other than zero behind those that are kept.
fn is_finer(text: &str) -> bool {
    let Some((_, fraction)) = text.split_once('.') else { return false };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit);
    digits.skip(KEPT_DIGITS).any(|digit| digit != b'0')
}

#[cfg(test)]
mod tests {
    use arrow::array::{StringArray, StructArray, TimestampMicrosecondArray, TimestampNanosecondArray};
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn only_what_loses_digits_is_counted() {
        let floored = Floored::default();
        let nanos: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![Some(-1), Some(2000), None, Some(3001)]));
        floored.look(&nanos);
        assert_eq!(floored.count(), 2);
        let field = Arc::new(Field::new("at", nanos.data_type().clone(), true));
        floored.look(&(Arc::new(StructArray::from(vec![(field, nanos)])) as ArrayRef));
        assert_eq!(floored.count(), 4);
        floored.look(&(Arc::new(TimestampMicrosecondArray::from(vec![1])) as ArrayRef));
        let texts = ["2026-01-01 00:00:00.1234567Z", "2026-01-01 00:00:00.123456000Z", "2026-01-01", "x.1"];
        floored.look_at_text(&(Arc::new(StringArray::from(texts.to_vec())) as ArrayRef));
        assert_eq!(floored.count(), 5);
    }
}
