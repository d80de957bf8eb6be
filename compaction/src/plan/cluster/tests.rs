//! Keys made end to end: order, repeatability, and how well files cut from the curve can be skipped.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::sample::draw;
use super::*;

fn schema_of(columns: &[ArrayRef]) -> SchemaRef {
    let field = |(at, column): (usize, &ArrayRef)| Field::new(at.to_string(), column.data_type().clone(), true);
    Arc::new(Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>()))
}

fn learn(columns: &[ArrayRef], max_rows: usize) -> (KeyMaker, Sample) {
    let mut sample = Sample::new(&schema_of(columns), max_rows, 64 << 20).expect("sample");
    sample.add(columns, columns[0].len()).expect("rows");
    (KeyMaker::learn(&sample), sample)
}

/// Text of a small set with a long common prefix, a skewed number, a time that rises with the row, a decimal.
fn mixed(rows: usize) -> Vec<ArrayRef> {
    let random = |row: usize, salt: u64| draw(row as u64 ^ salt << 40);
    let skewed = |row| {
        let uniform = random(row, 1) as f64 / u64::MAX as f64;
        (1.0 / (uniform + 1e-6)) as i64
    };
    let region = |row| format!("https://example.com/shared/prefix/region-{:02}", random(row, 2) % 40);
    vec![
        Arc::new(StringArray::from_iter_values((0..rows).map(region))),
        Arc::new(Int64Array::from_iter_values((0..rows).map(skewed))),
        Arc::new(TimestampMicrosecondArray::from_iter_values((0..rows).map(|row| row as i64 * 1_000_003))),
        Arc::new(Decimal128Array::from_iter_values((0..rows).map(|row| i128::from(random(row, 3) % 1_000_000)))),
    ]
}

/// Mean share of the files that a search for one row's value has to read, per column. Files end behind `ends`, the
/// last behind all rows.
fn files_read(columns: &[ArrayRef], order: &[usize], ends: &[usize]) -> Vec<f64> {
    let rows = order.len();
    let ends: Vec<usize> = ends.iter().copied().chain([rows]).collect();
    let files = ends.len();
    let share = |column: &ArrayRef| {
        let mut values = Values::none(column.data_type()).expect("kind");
        values.extend(column, &(0..rows).collect::<Vec<_>>()).expect("rows");
        let exact = Ranks::new(&values, rows);
        let ranks: Vec<usize> = (0..rows).map(|row| exact.of(&values, row)).collect();
        let bounds: Vec<(usize, usize)> = (0..files)
            .map(|file| {
                let start = if file == 0 { 0 } else { ends[file - 1] };
                let own = order[start..ends[file]].iter().map(|&row| ranks[row]);
                (own.clone().min().expect("rows"), own.max().expect("rows"))
            })
            .collect();
        let read: usize = (0..rows)
            .step_by(97)
            .map(|row| bounds.iter().filter(|(min, max)| (*min..=*max).contains(&ranks[row])).count())
            .sum();
        read as f64 / (rows.div_ceil(97) * files) as f64
    };
    columns.iter().map(share).collect()
}

#[test]
fn every_key_column_prunes_whatever_its_type_and_skew() {
    let columns = mixed(40_000);
    let (maker, _) = learn(&columns, 8_000);
    let keys = maker.keys(&columns).expect("keys");
    let mut order: Vec<usize> = (0..keys.len()).collect();
    let even: Vec<usize> = (1..64).map(|file| file * order.len() / 64).collect();
    let before = files_read(&columns, &order, &even);
    order.sort_by_key(|&row| keys[row]);
    let after = files_read(&columns, &order, &even);
    assert!(before[0] > 0.95 && before[1] > 0.3 && before[3] > 0.95, "not ordered by these before: {before:?}");
    for (column, share) in after.iter().enumerate() {
        assert!(*share < 0.6, "column {column} reads {share} of the files: {after:?}");
    }
}

#[test]
fn one_column_alone_is_sorted() {
    let column: ArrayRef = Arc::new(Float64Array::from_iter((0..5000_i64).map(|i| match i * 7919 % 5000 {
        0 => None,
        1 => Some(f64::NAN),
        n => Some(n as f64 - 2500.0),
    })));
    let (maker, sample) = learn(&[Arc::clone(&column)], 10_000);
    let keys = maker.keys(&[Arc::clone(&column)]).expect("keys");
    let mut pairs: Vec<(u64, Option<f64>)> = keys
        .iter()
        .copied()
        .zip(arrow::array::AsArray::as_primitive::<arrow::datatypes::Float64Type>(&column))
        .collect();
    pairs.sort_by_key(|(key, _)| *key);
    assert_eq!(pairs[0].1, None, "nulls go first");
    assert!(pairs[4999].1.is_some_and(f64::is_nan), "NaN goes last");
    assert!(pairs[1..4999].is_sorted_by(|a, b| a.1 < b.1));
    let mut sorted = keys;
    sorted.sort_unstable();
    assert_eq!(maker.sample_keys(&sample), sorted, "the sample holds all rows here");
}

#[test]
fn the_same_rows_have_the_same_keys_and_nothing_panics_on_nothing() {
    let columns = mixed(3000);
    let first = learn(&columns, 500).0.keys(&columns).expect("keys");
    assert_eq!(first, learn(&columns, 500).0.keys(&columns).expect("keys"));
    let empty: Vec<ArrayRef> = vec![Arc::new(Date32Array::from(Vec::<i32>::new()))];
    let (maker, sample) = learn(&empty, 10);
    assert_eq!((maker.keys(&empty).expect("keys"), maker.sample_keys(&sample)), (vec![], vec![]));
    let nulls: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![None, None]))];
    assert_eq!(learn(&nulls, 10).0.keys(&nulls).expect("keys"), [0, 0]);
    assert!(maker.keys(&[]).is_err() && maker.keys(&columns[..1]).is_err());
}

#[test]
fn files_of_whole_cells_are_skipped_as_theory_says() {
    let rows = 60_000;
    let column = |salt: u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((0..rows).map(|row| draw(row as u64 ^ salt << 40).cast_signed())))
    };
    let columns = [column(1), column(2), column(3), column(4)];
    let (maker, sample) = learn(&columns, 30_000);
    let keys = maker.keys(&columns).expect("keys");
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by_key(|&row| keys[row]);
    let space = KeySpace::new(maker.sample_keys(&sample), rows as u64);
    for wanted in [16, 20, 32, 50, 100, 256] {
        let share = (rows / wanted) as u64;
        let cuts: Vec<u64> = std::iter::successors(space.cut(0, share), |&from| space.cut(from, share)).collect();
        let ends: Vec<usize> = cuts.iter().map(|&cut| order.partition_point(|&row| keys[row] < cut)).collect();
        let read = files_read(&columns, &order, &ends);
        let mean = read.iter().sum::<f64>() / 4.0;
        let files = ends.len() + 1;
        assert!((wanted * 2 / 3..=wanted * 3 / 2).contains(&files), "{files} files for {wanted}");
        let best = (files as f64).powf(-0.25);
        assert!(mean < best * 1.12, "{files} files: {read:?}, where {best} is the best there is");
    }
}
