//! Sequences of changes and appends against a model: a row's value in a field is known by the field's id alone.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::{ListArray, MapArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::DataType as ArrowType;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::schema::to_arrow;

/// Arrays of a table's type whose leaves say which field they belong to and which row.
fn values(field: &StructField, data_type: &DataType, arrow: &ArrowType, seeds: &[i64]) -> ArrayRef {
    let id = i64::from(field_id(field).unwrap());
    match (data_type, arrow) {
        (DataType::Primitive(PrimitiveType::Integer), _) => {
            let value = |seed: &i64| i32::try_from(seed * 100 + id).unwrap();
            Arc::new(seeds.iter().map(|seed| Some(value(seed))).collect::<Int32Array>())
        }
        (DataType::Primitive(PrimitiveType::Long), _) => {
            Arc::new(seeds.iter().map(|seed| Some(seed * 100 + id)).collect::<Int64Array>())
        }
        (DataType::Primitive(_), _) => {
            Arc::new(seeds.iter().map(|seed| Some(format!("{seed}/{id}"))).collect::<StringArray>())
        }
        (DataType::Struct(inner), ArrowType::Struct(fields)) => {
            let children = inner.fields.iter().zip(fields);
            let children = children.map(|(child, arrow)| values(child, &child.data_type, arrow.data_type(), seeds));
            Arc::new(StructArray::new(fields.clone(), children.collect(), None))
        }
        (DataType::Array(list), ArrowType::List(element)) => {
            let inner: Vec<i64> = seeds.iter().flat_map(|seed| [seed * 2, seed * 2 + 1]).collect();
            let items = values(field, &list.element_type, element.data_type(), &inner);
            let offsets = OffsetBuffer::from_lengths(vec![2; seeds.len()]);
            Arc::new(ListArray::new(element.clone(), offsets, items, None))
        }
        (DataType::Map(map), ArrowType::Map(entries, _)) => {
            let ArrowType::Struct(parts) = entries.data_type() else { panic!("a map") };
            let keys: ArrayRef = Arc::new(seeds.iter().map(|seed| Some(format!("k{seed}"))).collect::<StringArray>());
            let items = values(field, &map.value_type, parts[1].data_type(), seeds);
            let pairs = StructArray::new(parts.clone(), vec![keys, items], None);
            let offsets = OffsetBuffer::from_lengths(vec![1; seeds.len()]);
            Arc::new(MapArray::new(entries.clone(), offsets, pairs, None, false))
        }
        other => panic!("{other:?}"),
    }
}

/// What a row that was written with the fields `stored` reads as.
fn expected(field: &StructField, data_type: &DataType, stored: &BTreeSet<i32>, seed: i64) -> Value {
    let id = field_id(field).unwrap();
    if !stored.contains(&id) {
        return Value::Null;
    }
    match data_type {
        DataType::Primitive(PrimitiveType::String) => json!(format!("{seed}/{id}")),
        DataType::Primitive(_) => json!(seed * 100 + i64::from(id)),
        DataType::Struct(inner) => {
            let child = |child: &StructField| (child.name.clone(), expected(child, &child.data_type, stored, seed));
            Value::Object(inner.fields.iter().map(child).collect())
        }
        DataType::Array(list) => {
            [seed * 2, seed * 2 + 1].map(|seed| expected(field, &list.element_type, stored, seed)).to_vec().into()
        }
        DataType::Map(map) => json!({format!("k{seed}"): expected(field, &map.value_type, stored, seed)}),
        other => panic!("{other}"),
    }
}

fn shown(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        ArrowType::Int32 => json!(array.as_primitive::<arrow_array::types::Int32Type>().value(row)),
        ArrowType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        ArrowType::Utf8 => json!(array.as_string::<i32>().value(row)),
        ArrowType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            Value::Object(columns.map(|(field, column)| (field.name().clone(), shown(column, row))).collect())
        }
        ArrowType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|item| shown(&items, item)).collect()
        }
        ArrowType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let pair = |at: usize| (shown(keys, at).as_str().unwrap().to_owned(), shown(values, at));
            Value::Object((0..entries.len()).map(pair).collect())
        }
        other => panic!("{other}"),
    }
}

fn ids(data_type: &DataType, all: &mut BTreeSet<i32>) {
    match data_type {
        DataType::Struct(inner) => {
            for field in &inner.fields {
                all.extend(field_id(field));
                ids(&field.data_type, all);
            }
        }
        DataType::Array(list) => ids(&list.element_type, all),
        DataType::Map(map) => ids(&map.value_type, all),
        _ => {}
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append,
    Add(usize, usize, usize),
    Rename(usize, usize),
    Drop(usize),
    Move(usize),
    Widen(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Append),
        3 => (0_usize..64, 0_usize..6, 0_usize..5).prop_map(|(a, b, c)| Step::Add(a, b, c)),
        3 => (0_usize..64, 0_usize..6).prop_map(|(a, b)| Step::Rename(a, b)),
        2 => (0_usize..64).prop_map(Step::Drop),
        1 => (0_usize..64).prop_map(Step::Move),
        1 => (0_usize..64).prop_map(Step::Widen),
    ]
}

const NAMES: [&str; 6] = ["a", "B", "c d", "e,f", "g.h", "ü"];

const KINDS: [&str; 5] =
    ["x integer", "x string", "x struct<a: integer>", "x array<struct<a: long>>", "x map<string, struct<B: integer>>"];

/// Paths of all fields, and of all structs that can take one (the empty path is the table).
fn places(schema: &StructType, outer: &[String], fields: &mut Vec<Vec<String>>, structs: &mut Vec<Vec<String>>) {
    structs.push(outer.to_vec());
    for field in &schema.fields {
        let mut own: Vec<String> = outer.iter().cloned().chain([field.name.clone()]).collect();
        fields.push(own.clone());
        let mut data_type = &field.data_type;
        loop {
            let (part, inner) = match data_type {
                DataType::Struct(inner) => {
                    places(inner, &own, fields, structs);
                    break;
                }
                DataType::Array(list) => ("element", &list.element_type),
                DataType::Map(map) => ("value", &map.value_type),
                _ => break,
            };
            own.push(part.into());
            data_type = inner;
        }
    }
}

fn change_of(step: &Step, schema: &StructType) -> Option<SchemaChange> {
    let (mut fields, mut structs) = (Vec::new(), Vec::new());
    places(schema, &[], &mut fields, &mut structs);
    let field = |at: &usize| fields[at % fields.len()].clone();
    Some(match step {
        Step::Append => return None,
        Step::Add(at, name, kind) => {
            let mut field = parse_declaration(KINDS[*kind]).unwrap().fields.remove(0);
            field.name = NAMES[*name].into();
            SchemaChange::Add { parent: structs[at % structs.len()].clone(), field, position: Position::First }
        }
        Step::Rename(at, name) => SchemaChange::Rename { path: field(at), name: NAMES[*name].into() },
        Step::Drop(at) => SchemaChange::Drop { path: field(at) },
        Step::Move(at) => SchemaChange::Move { path: field(at), position: Position::First },
        Step::Widen(at) => SchemaChange::Widen { path: field(at), to: PrimitiveType::Long },
    })
}

/// A version as it must read: its schema, and the rows with the ids of the fields they were written with.
type Version = (Arc<Snapshot>, Vec<(i64, BTreeSet<i32>)>);

async fn play(mode: &str, steps: Vec<Step>) -> std::result::Result<(), TestCaseError> {
    let on = [("delta.columnMapping.mode", mode), ("delta.enableTypeWidening", "true")];
    let mut head = table("a integer, s struct<x: integer, l: array<struct<y: integer>>>", &[], &on).await;
    let mut rows: Vec<(i64, BTreeSet<i32>)> = Vec::new();
    let mut versions: Vec<Version> = Vec::new();
    for step in steps.into_iter().chain([Step::Append]) {
        match change_of(&step, head.schema()) {
            None => {
                let start = i64::try_from(rows.len()).unwrap();
                let seeds = [start, start + 1];
                let arrow = to_arrow(head.schema()).unwrap();
                let columns = head.schema().fields.iter().zip(arrow.fields());
                let columns = columns.map(|(field, arrow)| values(field, &field.data_type, arrow.data_type(), &seeds));
                let batch = RecordBatch::try_new(arrow.clone(), columns.collect()).unwrap();
                head = committed(appended(&head, batch, false).await);
                let mut stored = BTreeSet::new();
                ids(&DataType::Struct(StructType::clone(head.schema())), &mut stored);
                rows.extend(seeds.map(|seed| (seed, stored.clone())));
            }
            Some(change) => match altered(&head, &[change]).await {
                Ok(outcome) => head = committed(Ok(outcome)),
                Err(error) => {
                    let known = [ErrorKind::Invalid, ErrorKind::AlreadyExists];
                    prop_assert!(known.contains(&error.kind()), "{step:?}: {error}");
                }
            },
        }
        versions.push((Arc::clone(&head), rows.clone()));
    }
    for (snapshot, rows) in versions {
        let root = snapshot.root().clone();
        let loaded = Snapshot::load(root, At::Version(snapshot.version()), Arc::clone(snapshot.clock())).await.unwrap();
        prop_assert_eq!(loaded.schema(), snapshot.schema());
        let mut found = BTreeMap::new();
        for batch in read_where(&loaded, None).await.unwrap() {
            let table: ArrayRef = Arc::new(StructArray::from(batch));
            for row in 0..table.len() {
                *found.entry(shown(&table, row).to_string()).or_insert(0) += 1;
            }
        }
        let mut wanted = BTreeMap::new();
        for (seed, stored) in rows {
            let fields = loaded.schema().fields.iter();
            let row: serde_json::Map<String, Value> =
                fields.map(|f| (f.name.clone(), expected(f, &f.data_type, &stored, seed))).collect();
            *wanted.entry(Value::Object(row).to_string()).or_insert(0) += 1;
        }
        prop_assert_eq!(found, wanted, "EVO-1: version {}", loaded.version());
        check_pruning(&loaded).await?;
    }
    Ok(())
}

/// MAP-5, WID-3: bounds found by physical names prune nothing that a row's value wants.
async fn check_pruning(snapshot: &Snapshot) -> std::result::Result<(), TestCaseError> {
    let mut leaves = Vec::new();
    number_leaves(snapshot.schema(), &[], &mut leaves);
    let all = read_where(snapshot, None).await.unwrap();
    for (path, id) in leaves {
        for value in [i64::from(id), 100 + i64::from(id), 250] {
            let compared = |op| Predicate::Compare { column: ColumnPath(path.clone()), op, value: Scalar::Long(value) };
            let predicates = [
                compared(CompareOp::Eq),
                compared(CompareOp::Gt),
                compared(CompareOp::Lt),
                Predicate::IsNull(ColumnPath(path.clone())),
            ];
            for predicate in predicates {
                let mask = |batch| crate::expr::evaluate(&predicate, batch).unwrap().true_count();
                let right: usize = all.iter().map(mask).sum();
                let pruned = read_where(snapshot, Some(predicate.clone())).await.unwrap();
                let pruned: usize = pruned.iter().map(RecordBatch::num_rows).sum();
                prop_assert_eq!(pruned, right, "{:?} in version {}", predicate, snapshot.version());
            }
        }
    }
    Ok(())
}

fn number_leaves(schema: &StructType, outer: &[String], leaves: &mut Vec<(Vec<String>, i32)>) {
    for field in &schema.fields {
        let own: Vec<String> = outer.iter().cloned().chain([field.name.clone()]).collect();
        match &field.data_type {
            DataType::Primitive(PrimitiveType::Integer | PrimitiveType::Long) => {
                leaves.push((own, field_id(field).unwrap()));
            }
            DataType::Struct(inner) => number_leaves(inner, &own, leaves),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// EVO-1, MAP-1, MAP-3: each version still reads under its own schema, whatever came after.
    #[test]
    fn each_version_reads_under_its_own_schema(
        steps in proptest::collection::vec(any_step(), 1..14),
        by_id in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(if by_id { "id" } else { "name" }, steps))?;
    }
}
