//! Values as JSON wants them: the keys of its maps are text.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StringArray, StringBuilder, StructArray};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Schema};
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder, make_encoder};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::error::CliError;

/// Writes NaN and the infinities as the texts `NaN`, `Infinity` and `-Infinity`, as Spark does: JSON has no numbers for
/// them, and null would be another value.
#[derive(Debug)]
pub struct NonFinite;

static PLAIN: LazyLock<EncoderOptions> = LazyLock::new(|| EncoderOptions::default().with_explicit_nulls(true));

impl EncoderFactory for NonFinite {
    fn make_default_encoder<'a>(
        &self,
        field: &'a Arc<Field>,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let finite: Vec<Option<&'static str>> = match array.data_type() {
            DataType::Float32 => array.as_primitive::<Float32Type>().values().iter().map(|&v| word(v.into())).collect(),
            DataType::Float64 => array.as_primitive::<Float64Type>().values().iter().map(|&v| word(v)).collect(),
            _ => return Ok(None),
        };
        if finite.iter().all(Option::is_none) {
            return Ok(None);
        }
        let numbers = make_encoder(field, array, &PLAIN)?;
        let words = Words { words: finite, numbers };
        Ok(Some(NullableEncoder::new(Box::new(words), array.nulls().cloned())))
    }
}

/// What stands for a number that JSON has not.
fn word(value: f64) -> Option<&'static str> {
    match value {
        _ if value.is_finite() => None,
        _ if value.is_nan() => Some("\"NaN\""),
        _ if value > 0.0 => Some("\"Infinity\""),
        _ => Some("\"-Infinity\""),
    }
}

struct Words<'a> {
    words: Vec<Option<&'static str>>,
    numbers: NullableEncoder<'a>,
}

impl Encoder for Words<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        match self.words[row] {
            Some(word) => out.extend_from_slice(word.as_bytes()),
            None => self.numbers.encode(row, out),
        }
    }
}

/// The rows, with the keys of all maps as text: as the values of their type are written elsewhere in JSON.
///
/// # Errors
/// Keys that have no text.
pub fn with_text_keys(batch: &RecordBatch) -> Result<RecordBatch, CliError> {
    if !batch.schema_ref().fields().iter().any(|field| has_other_keys(field.data_type())) {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter().map(text_keys).collect::<Result<Vec<_>, _>>()?;
    let schema = batch.schema();
    let fields: Vec<Arc<Field>> = schema.fields().iter().zip(&columns).map(|(f, column)| retyped(f, column)).collect();
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &rows)?)
}

/// Whether a map with keys that are no text is in the type.
fn has_other_keys(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(parts) if parts.len() == 2 => {
                !is_text(parts[0].data_type()) || has_other_keys(parts[1].data_type())
            }
            _ => false,
        },
        DataType::Struct(fields) => fields.iter().any(|field| has_other_keys(field.data_type())),
        DataType::List(element) => has_other_keys(element.data_type()),
        _ => false,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8)
}

/// The same values with text for the keys of all maps in them.
fn text_keys(array: &ArrayRef) -> Result<ArrayRef, CliError> {
    if !has_other_keys(array.data_type()) {
        return Ok(Arc::clone(array));
    }
    Ok(match array.data_type() {
        DataType::Map(entries, ordered) => {
            let map = array.as_map();
            let (keys, values) = (texts(map.keys())?, text_keys(map.values())?);
            let (key, value) = map.entries_fields();
            let parts = vec![
                (Arc::new(Field::new(key.name(), keys.data_type().clone(), false)), keys),
                (retyped(&Arc::new(value.clone()), &values), values),
            ];
            let pairs = StructArray::from(parts);
            let field = Arc::new(entries.as_ref().clone().with_data_type(pairs.data_type().clone()));
            Arc::new(MapArray::try_new(field, map.offsets().clone(), pairs, map.nulls().cloned(), *ordered)?)
        }
        DataType::Struct(fields) => {
            let whole = array.as_struct();
            let columns = whole.columns().iter().map(text_keys).collect::<Result<Vec<_>, _>>()?;
            let fields: Vec<Arc<Field>> = fields.iter().zip(&columns).map(|(f, column)| retyped(f, column)).collect();
            Arc::new(StructArray::try_new(fields.into(), columns, whole.nulls().cloned())?)
        }
        DataType::List(element) => {
            let list = array.as_list::<i32>();
            let values = text_keys(list.values())?;
            let field = retyped(element, &values);
            Arc::new(ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned())?)
        }
        _ => Arc::clone(array),
    })
}

fn retyped(field: &Arc<Field>, column: &ArrayRef) -> Arc<Field> {
    Arc::new(field.as_ref().clone().with_data_type(column.data_type().clone()))
}

fn texts(keys: &ArrayRef) -> Result<ArrayRef, CliError> {
    if is_text(keys.data_type()) {
        return Ok(Arc::clone(keys));
    }
    if keys.data_type().is_nested() {
        return as_json(keys);
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(keys.as_ref(), &options)?;
    let text = |row| formatter.value(row).try_to_string();
    Ok(Arc::new((0..keys.len()).map(text).collect::<Result<Vec<String>, _>>().map(StringArray::from)?))
}

/// Each value as JSON text; null stays null.
///
/// # Errors
/// Values that JSON can't hold.
pub fn as_json(column: &ArrayRef) -> Result<ArrayRef, CliError> {
    let column = text_keys(column)?;
    let field = Arc::new(Field::new("", column.data_type().clone(), true));
    let options = EncoderOptions::default().with_explicit_nulls(true).with_encoder_factory(Arc::new(NonFinite));
    let mut encoder = make_encoder(&field, column.as_ref(), &options)?;
    let mut texts = StringBuilder::new();
    let mut text = Vec::new();
    for row in 0..column.len() {
        if column.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        encoder.encode(row, &mut text);
        texts.append_value(String::from_utf8_lossy(&text));
    }
    Ok(Arc::new(texts.finish()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Builder, Float32Array, Float64Array, Int32Builder, MapBuilder, StringBuilder};
    use arrow::json::writer::{JsonArray, Writer, WriterBuilder};

    use super::*;

    /// `{1: {day: text}}`, nothing, and null.
    fn maps() -> ArrayRef {
        let inner = MapBuilder::new(None, Date32Builder::new(), StringBuilder::new());
        let mut maps = MapBuilder::new(None, Int32Builder::new(), inner);
        maps.keys().append_value(-1);
        maps.values().keys().append_value(20_484);
        maps.values().values().append_null();
        maps.values().append(true).expect("inner");
        maps.append(true).expect("one");
        maps.append(true).expect("none");
        maps.append(false).expect("null");
        Arc::new(maps.finish())
    }

    fn json(column: ArrayRef) -> String {
        let batch = RecordBatch::try_from_iter_with_nullable([("m", column, true)]).expect("a batch");
        let mut writer: Writer<_, JsonArray> =
            WriterBuilder::new().with_explicit_nulls(true).with_encoder_factory(Arc::new(NonFinite)).build(Vec::new());
        writer.write(&with_text_keys(&batch).expect("text")).expect("written");
        writer.finish().expect("finished");
        String::from_utf8(writer.into_inner()).expect("text")
    }

    #[test]
    fn keys_are_text_at_any_depth() {
        assert_eq!(json(maps()), r#"[{"m":{"-1":{"2026-01-31":null}}},{"m":{}},{"m":null}]"#);
        let sliced = maps().slice(1, 2);
        assert_eq!(json(sliced), r#"[{"m":{}},{"m":null}]"#);
        let field = Arc::new(Field::new("part", maps().data_type().clone(), true));
        let inside: ArrayRef = Arc::new(StructArray::from(vec![(field, maps().slice(0, 1))]));
        assert_eq!(json(inside), r#"[{"m":{"part":{"-1":{"2026-01-31":null}}}}]"#);
    }

    #[test]
    fn numbers_that_json_has_not_are_texts() {
        let values = vec![Some(1.5), Some(f64::NAN), None, Some(f64::INFINITY), Some(f64::NEG_INFINITY)];
        let doubles: ArrayRef = Arc::new(Float64Array::from(values.clone()));
        let floats: ArrayRef = Arc::new(values.iter().map(|v| v.map(|v| v as f32)).collect::<Float32Array>());
        for column in [doubles, floats] {
            assert_eq!(json(column.slice(0, 1)), r#"[{"m":1.5}]"#);
            let expected = r#"[{"m":1.5},{"m":"NaN"},{"m":null},{"m":"Infinity"},{"m":"-Infinity"}]"#;
            assert_eq!(json(Arc::clone(&column)), expected);
            let field = Arc::new(Field::new("x", column.data_type().clone(), true));
            let inside: ArrayRef = Arc::new(StructArray::from(vec![(field, column)]));
            assert_eq!(json(inside.slice(1, 2)), r#"[{"m":{"x":"NaN"}},{"m":{"x":null}}]"#);
            let texts = as_json(&inside).expect("text");
            assert_eq!(texts.as_string::<i32>().value(4), r#"{"x":"-Infinity"}"#);
        }
    }

    #[test]
    fn what_has_text_for_keys_stays_as_it_is() {
        let mut texts = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        texts.append(false).expect("null");
        let column: ArrayRef = Arc::new(texts.finish());
        assert!(Arc::ptr_eq(&text_keys(&column).expect("same"), &column));
    }
}
