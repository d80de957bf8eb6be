//! The partition values of many files as one column of bounds.

use arrow_array::Int64Array;
use arrow_array::builder::Int64Builder;

use super::batch::FileBatch;
use super::values::Values;
use crate::action::partition_value;
use crate::expr::{BoundsColumn, Scalar};
use crate::schema::PrimitiveType;

impl FileBatch {
    /// What the partition values say of a partition column (its physical name) in each file: one value for all rows, or
    /// null, or nothing where the text is none of its type.
    pub fn partition_bounds(&self, name: &str, data_type: PrimitiveType) -> BoundsColumn {
        let rows = self.len();
        let (mut values, mut nulls) = (Values::new(data_type, rows), Int64Builder::with_capacity(rows));
        // Neighbours mostly share their partition.
        let mut last: Option<(Option<&str>, Option<Scalar>)> = None;
        for row in 0..rows {
            let text = self.partition_text(row, name);
            let value = match &last {
                Some((same, value)) if *same == text => value.clone(),
                _ => {
                    let value = partition_value::parse(text, &data_type).ok();
                    last = Some((text, value.clone()));
                    value
                }
            };
            nulls.append_option(value.as_ref().map(|value| i64::from(value.is_null())));
            values.push(value);
        }
        let values = values.finish();
        BoundsColumn {
            min: Some(values.clone()),
            max: Some(values),
            max_slack: 0,
            null_count: Some(nulls.finish()),
            num_records: Some(Int64Array::from_value(1, rows)),
        }
    }
}
