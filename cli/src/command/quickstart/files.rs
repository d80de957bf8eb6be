//! The raw data as files: customers as CSV, products as JSON lines, orders as Parquet.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use lake_format::{Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde::Serialize;
use serde_json::value::RawValue;

use super::generate::{Order, Orders, Price, cents, customer, product};

/// Rows of a batch of Parquet.
const BATCH_ROWS: u64 = 8_192;
/// Files of orders that any run may have written.
const MOST_ORDER_FILES: u64 = 8;

/// Where the raw data is.
#[derive(Clone, Debug)]
pub struct RawFiles {
    /// CSV.
    pub customers: PathBuf,
    /// JSON lines.
    pub products: PathBuf,
    /// Parquet files of the first load.
    pub first_orders: PathBuf,
    /// Parquet files of the second load, if there is one.
    pub later_orders: Option<PathBuf>,
    /// Bytes of all files.
    pub size_bytes: u64,
}

/// Writes the files for `rows` customers, products and orders each into `dir`. Those of an earlier run are replaced.
///
/// # Errors
/// The file system's own, with the path.
pub fn write(dir: &Path, rows: u64) -> Result<RawFiles> {
    let orders = Orders::new(rows);
    let (first, later) = (dir.join("orders-1"), dir.join("orders-2"));
    for directory in [dir, &first, &later] {
        fs::create_dir_all(directory).map_err(|e| at(directory, e))?;
    }
    let files = RawFiles {
        customers: dir.join("customers.csv"),
        products: dir.join("products.jsonl"),
        later_orders: (orders.files() > orders.files_of_first_load()).then(|| later.clone()),
        first_orders: first.clone(),
        size_bytes: 0,
    };
    let mut size_bytes = write_file(&files.customers, |to| write_customers(rows, to))?;
    size_bytes += write_file(&files.products, |to| write_products(rows, to))?;
    for file in 0..MOST_ORDER_FILES {
        for directory in [&first, &later] {
            remove_if_there(&order_file(directory, file))?;
        }
        if file < orders.files() {
            let directory = if file < orders.files_of_first_load() { &first } else { &later };
            let range = orders.rows_of_file(file);
            size_bytes += write_file(&order_file(directory, file), |to| write_orders(orders, range, to))?;
        }
    }
    Ok(RawFiles { size_bytes, ..files })
}

fn order_file(dir: &Path, file: u64) -> PathBuf {
    dir.join(format!("orders-{}.parquet", file + 1))
}

fn write_file(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<u64> {
    let written = (|| {
        let mut to = BufWriter::new(File::create(path)?);
        fill(&mut to)?;
        Ok(to.into_inner().map_err(io::IntoInnerError::into_error)?.metadata()?.len())
    })();
    written.map_err(|e| at(path, e))
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at(path, e)),
        _ => Ok(()),
    }
}

fn at(path: &Path, error: io::Error) -> Error {
    Error::from(error).with_object(path.display().to_string())
}

fn write_customers(rows: u64, to: &mut impl Write) -> io::Result<()> {
    writeln!(to, "customer_id,name,email,country,signup_date")?;
    for customer in (0..rows).map(customer) {
        let name = customer.name.as_deref().map(quoted).unwrap_or_default();
        let email = customer.email.as_deref().unwrap_or_default();
        let country = customer.country.unwrap_or_default();
        writeln!(to, "{},{name},{email},{country},{}", customer.customer_id, customer.signup_date)?;
    }
    Ok(())
}

/// A field as CSV takes it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// A product as its line of JSON has it.
#[derive(Serialize)]
struct ProductLine<'a> {
    product_id: u64,
    name: &'a str,
    category: Option<&'a str>,
    price: Box<RawValue>,
    added_on: &'a str,
}

fn write_products(rows: u64, to: &mut impl Write) -> io::Result<()> {
    for product in (0..rows).map(product) {
        let line = ProductLine {
            product_id: product.product_id,
            name: &product.name,
            category: product.category,
            price: RawValue::from_string(match product.price {
                Price::Cents(amount) if amount < 0 => format!("-{}", cents(amount.unsigned_abs())),
                Price::Cents(amount) => cents(amount.unsigned_abs()),
                Price::Text(text) => serde_json::to_string(text)?,
                Price::Flag(flag) => flag.to_string(),
            })?,
            added_on: &product.added_on,
        };
        serde_json::to_writer(&mut *to, &line)?;
        to.write_all(b"\n")?;
    }
    Ok(())
}

fn write_orders(orders: Orders, rows: Range<u64>, to: &mut BufWriter<File>) -> io::Result<()> {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let other = |e: ParquetError| io::Error::other(e);
    let mut writer = ArrowWriter::try_new(&mut *to, order_schema(), Some(properties)).map_err(other)?;
    let mut start = rows.start;
    while start < rows.end {
        let end = rows.end.min(start + BATCH_ROWS);
        let batch: Vec<Order> = (start..end).map(|row| orders.order(row)).collect();
        writer.write(&order_batch(&batch).map_err(io::Error::other)?).map_err(other)?;
        start = end;
    }
    writer.close().map_err(other)?;
    Ok(())
}

fn order_schema() -> SchemaRef {
    let number = |name: &str| Field::new(name, DataType::Int64, true);
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![
        number("order_id"),
        number("customer_id"),
        number("product_id"),
        text("quantity"),
        text("unit_price"),
        text("ordered_at"),
        text("received_on"),
    ]))
}

fn order_batch(orders: &[Order]) -> Result<RecordBatch, ArrowError> {
    let numbers = |value: fn(&Order) -> Option<u64>| -> ArrayRef {
        Arc::new(orders.iter().map(|order| value(order).map(u64::cast_signed)).collect::<Int64Array>())
    };
    let texts =
        |value: fn(&Order) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(orders.iter().map(value))) };
    let columns = vec![
        numbers(|order| Some(order.order_id)),
        numbers(|order| order.customer_id),
        numbers(|order| Some(order.product_id)),
        texts(|order| &order.quantity),
        texts(|order| &order.unit_price),
        texts(|order| &order.ordered_at),
        texts(|order| &order.received_on),
    ];
    RecordBatch::try_new(order_schema(), columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("dir").map(|entry| entry.expect("entry").file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    fn rows_in(dir: &Path) -> i64 {
        let rows = |name: String| {
            let file = File::open(dir.join(name)).expect("file");
            SerializedFileReader::new(file).expect("parquet").metadata().file_metadata().num_rows()
        };
        names(dir).into_iter().map(rows).sum()
    }

    #[test]
    fn each_file_has_its_rows() {
        let dir = tempfile::tempdir().expect("dir");
        let files = write(dir.path(), 1_000).expect("written");
        let csv = fs::read_to_string(&files.customers).expect("csv");
        assert_eq!(csv.lines().count(), 1_001);
        assert!(csv.contains("Petrov, Jr.\","), "a name with a comma is quoted");
        let json = fs::read_to_string(&files.products).expect("json");
        let lines: Vec<serde_json::Value> =
            json.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
        assert_eq!(lines.len(), 1_000);
        assert!(lines.iter().any(|line| line["category"].is_null()));
        for is_kind in [serde_json::Value::is_number, serde_json::Value::is_string, serde_json::Value::is_boolean] {
            assert!(lines.iter().any(|line| is_kind(&line["price"])));
        }
        assert_eq!(rows_in(&files.first_orders), 750);
        assert_eq!(rows_in(&files.later_orders.expect("two loads")), 250);
    }

    #[test]
    fn a_smaller_run_leaves_nothing_of_a_larger_one() {
        let dir = tempfile::tempdir().expect("dir");
        let mine = dir.path().join("orders-1").join("mine.parquet");
        write(dir.path(), 20).expect("first run");
        fs::write(&mine, "kept").expect("a file of the user");
        let files = write(dir.path(), 1).expect("second run");
        assert_eq!(files.later_orders, None);
        assert_eq!(names(&files.first_orders), ["mine.parquet", "orders-1.parquet"]);
        assert!(names(&dir.path().join("orders-2")).is_empty());
    }

    #[test]
    fn the_bytes_are_the_same_every_time() {
        let read = || {
            let dir = tempfile::tempdir().expect("dir");
            let files = write(dir.path(), 300).expect("written");
            (fs::read(files.customers).expect("csv"), fs::read(files.products).expect("json"))
        };
        assert_eq!(read(), read());
    }
}
