//! What a predicate says of each row of an Arrow batch.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Datum, RecordBatch, Scalar as ArrowScalar};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_ord::cmp;
use arrow_schema::{ArrowError, DataType as ArrowType};

use crate::error::{Error, Result};

use super::constant::{Placed, place, to_arrow_scalar};
use super::fold::{Ternary, fold};
use super::masks::Masks;
use super::{ColumnPath, CompareOp, Predicate, Scalar};

/// Answers `predicate` for each row of `batch`, whose columns carry the table's logical names (matched exactly, else
/// ignoring case; a path goes down through structs). Null where SQL says unknown: a row passes when the answer is true.
///
/// The rules are those of [`judge`](super::judge()): every NaN is equal to every other and greater than any number,
/// -0.0 equals 0.0, text and bytes go byte by byte, numbers are compared exactly whatever the width and scale of
/// column and literal, and `IN ()` is false.
///
/// # Errors
/// [`NotFound`](crate::error::ErrorKind::NotFound) for a column that the batch lacks;
/// [`Invalid`](crate::error::ErrorKind::Invalid) for a literal of another kind than its column.
pub fn evaluate(predicate: &Predicate, batch: &RecordBatch) -> Result<BooleanArray> {
    let answers = fold(predicate, |leaf| answer(leaf, batch))?;
    let known = &answers.yes | &answers.no;
    Ok(BooleanArray::new(answers.yes, Some(NullBuffer::new(known))))
}

/// Rows for which the condition is true, and rows for which it is false; it is unknown for the others.
fn answers(values: &BooleanBuffer, nulls: Option<&NullBuffer>) -> Masks {
    match nulls {
        None => Masks { yes: values.clone(), no: !values },
        Some(nulls) => Masks { yes: values & nulls.inner(), no: &!values & nulls.inner() },
    }
}

fn answer(leaf: &Predicate, batch: &RecordBatch) -> Result<Masks> {
    match leaf {
        Predicate::Literal(answer) => Ok(Masks::constant(*answer, batch.num_rows())),
        Predicate::Compare { column, op, value } => Column::find(batch, column)?.compare(*op, value),
        Predicate::In { column, values } => {
            let column = Column::find(batch, column)?;
            values.iter().try_fold(Masks::constant(false, batch.num_rows()), |all, value| {
                Ok(all.or(column.compare(CompareOp::Eq, value)?))
            })
        }
        Predicate::IsNull(column) => Ok(Column::find(batch, column)?.is_null()),
        Predicate::IsNotNull(column) => Ok(Column::find(batch, column)?.is_null().not()),
        Predicate::And(_) | Predicate::Or(_) | Predicate::Not(_) => {
            Err(Error::internal("a joined condition was taken for a leaf"))
        }
    }
}

/// A column in a form that compares, and the rows in which it is null by itself or by a struct around it.
struct Column<'a> {
    path: &'a ColumnPath,
    values: ArrayRef,
    nulls: Option<NullBuffer>,
}

impl<'a> Column<'a> {
    fn find(batch: &RecordBatch, path: &'a ColumnPath) -> Result<Self> {
        let missing = || Error::not_found("there is no such column").with_object(path.to_string());
        let (top, rest) = path.0.split_first().ok_or_else(missing)?;
        let schema = batch.schema_ref();
        let at = position(schema.fields().iter().map(|field| field.name()), top).ok_or_else(missing)?;
        let mut values = batch.column(at).clone();
        let mut nulls = values.logical_nulls();
        for name in rest {
            let fields = values.as_struct_opt().ok_or_else(missing)?;
            let at = position(fields.fields().iter().map(|field| field.name()), name).ok_or_else(missing)?;
            let inner = fields.column(at).clone();
            nulls = NullBuffer::union(nulls.as_ref(), inner.logical_nulls().as_ref());
            values = inner;
        }
        let values = comparable(&values).map_err(|error| uncomparable(path, &values).with_source(error))?;
        Ok(Self { path, values, nulls })
    }

    fn is_null(&self) -> Masks {
        match &self.nulls {
            None => Masks::constant(false, self.values.len()),
            Some(nulls) => answers(nulls.inner(), None).not(),
        }
    }

    fn compare(&self, op: CompareOp, literal: &Scalar) -> Result<Masks> {
        let rows = self.values.len();
        if literal.is_null() || *self.values.data_type() == ArrowType::Null {
            return Ok(Masks::neither(rows));
        }
        let results = match self.values.data_type() {
            ArrowType::Float32 | ArrowType::Float64 => self.compare_floats(op, literal)?,
            data_type => match place(literal, data_type) {
                Some(placed) => self.compare_placed(op, placed)?,
                None => self.kernel(op, &self.values, &self.literal(literal, data_type)?)?,
            },
        };
        Ok(answers(&results, self.nulls.as_ref()))
    }

    /// Against a literal that need not be a value of the column's type.
    fn compare_placed(&self, op: CompareOp, placed: Placed) -> Result<BooleanBuffer> {
        use CompareOp::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
        let all = |passes| Ok(Masks::constant(passes, self.values.len()).yes);
        match placed {
            Placed::At(literal) => self.kernel(op, &self.values, &literal),
            Placed::BelowAll => all(matches!(op, Gt | GtEq | NotEq)),
            Placed::AboveAll => all(matches!(op, Lt | LtEq | NotEq)),
            Placed::JustAbove(floor) => match op {
                Eq => all(false),
                NotEq => all(true),
                Lt | LtEq => self.kernel(LtEq, &self.values, &floor),
                Gt | GtEq => self.kernel(Gt, &self.values, &floor),
            },
        }
    }

    /// Arrow's kernels go by IEEE's total order: with one zero and one NaN left, that order is ours.
    fn compare_floats(&self, op: CompareOp, literal: &Scalar) -> Result<BooleanBuffer> {
        let wide = matches!(literal, Scalar::Double(_)) || *self.values.data_type() == ArrowType::Float64;
        let data_type = if wide { ArrowType::Float64 } else { ArrowType::Float32 };
        let literal = one_zero_one_nan(&self.literal(literal, &data_type)?);
        let values = if *self.values.data_type() == data_type {
            one_zero_one_nan(&self.values)
        } else {
            let values = arrow_cast::cast(&self.values, &data_type);
            one_zero_one_nan(&values.map_err(|error| uncomparable(self.path, &self.values).with_source(error))?)
        };
        self.kernel(op, &values, &literal)
    }

    fn literal(&self, literal: &Scalar, data_type: &ArrowType) -> Result<ArrayRef> {
        let data_type = match data_type {
            ArrowType::Dictionary(_, values) => values,
            other => other,
        };
        to_arrow_scalar(literal, data_type).map_err(|error| {
            Error::invalid(format!("the column is of type {data_type}, but is compared with {literal}"))
                .with_object(self.path.to_string())
                .with_source(error)
        })
    }

    fn kernel(&self, op: CompareOp, values: &ArrayRef, literal: &ArrayRef) -> Result<BooleanBuffer> {
        let literal = ArrowScalar::new(literal.clone());
        let (left, right): (&dyn Datum, &dyn Datum) = (values, &literal);
        let results = match op {
            CompareOp::Eq => cmp::eq(left, right),
            CompareOp::NotEq => cmp::neq(left, right),
            CompareOp::Lt => cmp::lt(left, right),
            CompareOp::LtEq => cmp::lt_eq(left, right),
            CompareOp::Gt => cmp::gt(left, right),
            CompareOp::GtEq => cmp::gt_eq(left, right),
        };
        let results = results.map_err(|error| uncomparable(self.path, values).with_source(error))?;
        Ok(results.values().clone())
    }
}

fn position<'a>(names: impl Iterator<Item = &'a String> + Clone, wanted: &str) -> Option<usize> {
    let lower = wanted.to_lowercase();
    names
        .clone()
        .position(|name| name == wanted)
        .or_else(|| names.clone().position(|name| name.to_lowercase() == lower))
}

fn uncomparable(path: &ColumnPath, values: &ArrayRef) -> Error {
    Error::invalid(format!("values of type {} can't be compared", values.data_type())).with_object(path.to_string())
}

/// Takes off encodings that the kernels do not know, and brings rare widths to common ones, without loss.
fn comparable(values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let into = match values.data_type() {
        ArrowType::Dictionary(_, inner) => match inner.as_ref() {
            ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View | ArrowType::Binary => {
                return Ok(values.clone());
            }
            inner => inner.clone(),
        },
        ArrowType::RunEndEncoded(_, inner) => inner.data_type().clone(),
        ArrowType::FixedSizeBinary(_) => ArrowType::Binary,
        ArrowType::Float16 => ArrowType::Float32,
        ArrowType::Decimal32(precision, scale) | ArrowType::Decimal64(precision, scale) => {
            ArrowType::Decimal128(*precision, *scale)
        }
        _ => return Ok(values.clone()),
    };
    comparable(&arrow_cast::cast(values, &into)?)
}

fn one_zero_one_nan(values: &ArrayRef) -> ArrayRef {
    if let Some(values) = values.as_primitive_opt::<Float32Type>() {
        return Arc::new(values.unary::<_, Float32Type>(|v| if v.is_nan() { f32::NAN } else { v + 0.0 }));
    }
    match values.as_primitive_opt::<Float64Type>() {
        Some(values) => Arc::new(values.unary::<_, Float64Type>(|v| if v.is_nan() { f64::NAN } else { v + 0.0 })),
        None => values.clone(),
    }
}

#[cfg(test)]
mod tests;
