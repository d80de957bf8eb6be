//! Each change, what it refuses, and that fields keep their identity through any sequence of changes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::schema::mapping::{complete, field_id, max_id};
use crate::schema::parse_declaration;

fn schema(declaration: &str) -> StructType {
    parse_declaration(declaration).unwrap()
}

fn path(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}

fn long(name: &str) -> StructField {
    StructField::new(name, DataType::Primitive(PrimitiveType::Long), true)
}

fn add_at(parent: &str, name: &str, position: Position) -> SchemaChange {
    let parent = if parent.is_empty() { Vec::new() } else { path(parent) };
    SchemaChange::Add { parent, field: long(name), position }
}

fn names(schema: &StructType) -> Vec<&str> {
    schema.fields.iter().map(|field| field.name.as_str()).collect()
}

const NESTED: &str = "a long not null, s struct<x: integer, y: long>, l array<struct<e: short>>, m map<struct<k: long, j: long>, array<integer>>";

#[test]
fn fields_are_added_where_they_are_wanted() {
    let at = |position| apply(&schema("a long, b long"), &add_at("", "n", position)).unwrap();
    assert_eq!(names(&at(Position::Last)), ["a", "b", "n"]);
    assert_eq!(names(&at(Position::First)), ["n", "a", "b"]);
    assert_eq!(names(&at(Position::After("A".into()))), ["a", "n", "b"], "EVO-1");
    let deep = apply(&schema(NESTED), &add_at("l.element", "n", Position::First)).unwrap();
    assert_eq!(deep.fields[2].data_type.to_string(), "array<struct<n:long,e:short>>");
    let error = apply(&schema(NESTED), &add_at("m.key", "n", Position::Last)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "EVO-1: {error}");
    for (change, kind) in [
        (add_at("", "A", Position::Last), ErrorKind::AlreadyExists),
        (add_at("s", "X", Position::Last), ErrorKind::AlreadyExists),
        (add_at("a", "n", Position::Last), ErrorKind::Invalid),
        (add_at("l", "n", Position::Last), ErrorKind::Invalid),
        (add_at("nosuch", "n", Position::Last), ErrorKind::NotFound),
        (add_at("", "n", Position::After("nosuch".into())), ErrorKind::NotFound),
    ] {
        assert_eq!(apply(&schema(NESTED), &change).unwrap_err().kind(), kind, "{change:?}");
    }
    let strict = SchemaChange::Add {
        parent: vec![],
        field: StructField { nullable: false, ..long("n") },
        position: Position::Last,
    };
    assert_eq!(apply(&schema(NESTED), &strict).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn fields_are_renamed_dropped_moved_and_relaxed() {
    let rename =
        |from: &str, to: &str| apply(&schema(NESTED), &SchemaChange::Rename { path: path(from), name: to.into() });
    assert_eq!(names(&rename("a", "b c").unwrap()), ["b c", "s", "l", "m"]);
    assert_eq!(names(&rename("a", "A").unwrap())[0], "A");
    assert_eq!(rename("s.x", "Y").unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(rename("l.element", "z").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(rename("a", "").unwrap_err().kind(), ErrorKind::Invalid);
    let drop = |text: &str| apply(&schema(NESTED), &SchemaChange::Drop { path: path(text) });
    assert_eq!(drop("S.X").unwrap().fields[1].data_type.to_string(), "struct<y:long>");
    for last in ["l.element.e", "m.key.k", "m.value"] {
        assert_eq!(drop(last).unwrap_err().kind(), ErrorKind::Invalid, "{last}");
    }
    let moved = SchemaChange::Move { path: path("s.x"), position: Position::After("y".into()) };
    assert_eq!(apply(&schema(NESTED), &moved).unwrap().fields[1].data_type.to_string(), "struct<y:long,x:integer>");
    let relax = |text: &str| apply(&schema(NESTED), &SchemaChange::DropNotNull { path: path(text) });
    assert!(relax("a").unwrap().fields[0].nullable);
    assert!(relax("m.value.element").is_ok() && relax("m.value").is_ok() && relax("m.key").is_err());
}

#[test]
fn comments_come_and_go_and_touch_nothing_else() {
    let comment = |schema: &StructType, to: &str, text: &str| {
        apply(schema, &SchemaChange::Comment { path: path(to), text: text.into() })
    };
    let noted = comment(&schema(NESTED), "S.x", "as it \"was\"").unwrap();
    let DataType::Struct(s) = &noted.fields[1].data_type else { unreachable!() };
    assert_eq!(s.fields[0].metadata["comment"], "as it \"was\"", "EVO-1");
    assert_eq!(comment(&noted, "s.x", "").unwrap(), schema(NESTED), "EVO-1");
    assert_eq!(comment(&noted, "a", "").unwrap(), noted);
    assert_eq!(comment(&noted, "l.element", "x").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(comment(&noted, "nope", "x").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn types_grow_and_the_table_remembers_it() {
    let widen = |text: &str, to| apply(&schema(NESTED), &SchemaChange::Widen { path: path(text), to });
    let inner = widen("s.x", PrimitiveType::Long).unwrap();
    let DataType::Struct(s) = &inner.fields[1].data_type else { unreachable!() };
    let noted = serde_json::json!([{"fromType": "integer", "toType": "long"}]);
    assert_eq!(
        (s.fields[0].metadata["delta.typeChanges"].clone(), inner.fields[1].metadata.len()),
        (noted, 0),
        "WID-5"
    );
    let value = widen("m.Value.element", PrimitiveType::Double).unwrap();
    let noted = serde_json::json!([{"fromType": "integer", "toType": "double", "fieldPath": "value.element"}]);
    assert_eq!(value.fields[3].metadata["delta.typeChanges"], noted, "WID-5");
    assert_eq!(value.fields[3].data_type.to_string(), "map<struct<k:long,j:long>,array<double>>");
    let twice = SchemaChange::Widen { path: path("l.element.e"), to: PrimitiveType::Integer };
    let once = apply(&schema(NESTED), &twice).unwrap();
    let twice = SchemaChange::Widen { path: path("l.element.e"), to: PrimitiveType::Long };
    let DataType::Array(list) = &apply(&once, &twice).unwrap().fields[2].data_type else { unreachable!() };
    let DataType::Struct(e) = &list.element_type else { unreachable!() };
    assert_eq!(e.fields[0].metadata["delta.typeChanges"].as_array().map(Vec::len), Some(2), "WID-5");
    for (text, to) in [("a", PrimitiveType::Integer), ("a", PrimitiveType::Double), ("s", PrimitiveType::Long)] {
        assert_eq!(widen(text, to).unwrap_err().kind(), ErrorKind::Invalid, "{text}");
    }
}

/// A change by small numbers, so that any sequence of them makes sense somewhere.
#[derive(Clone, Debug)]
enum Step {
    Add(usize),
    Rename(usize, usize),
    Drop(usize),
    Move(usize, usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_usize..8).prop_map(Step::Add),
        (0_usize..8, 0_usize..8).prop_map(|(a, b)| Step::Rename(a, b)),
        (0_usize..8).prop_map(Step::Drop),
        (0_usize..8, 0_usize..8).prop_map(|(a, b)| Step::Move(a, b)),
    ]
}

proptest! {
    /// EVO-1, MAP-3: against a list of (name, id) as the model, top level and nested alike; ids are never given twice.
    #[test]
    fn fields_keep_their_identity(steps in proptest::collection::vec(any_step(), 1..30), nested in any::<bool>()) {
        let start = if nested { "l array<struct<n0: long, n1: long>>" } else { "n0 long, n1 long" };
        let outer = if nested { path("l.element") } else { Vec::new() };
        let (mut current, mut highest) = complete(&schema(start), 0, &mut || "p".into()).unwrap();
        let read = |schema: &StructType| -> Vec<(String, i32)> {
            let own = |inner: &StructType| inner.fields.iter().map(|f| (f.name.clone(), field_id(f).unwrap())).collect();
            match &schema.fields[0].data_type {
                DataType::Array(list) => match &list.element_type { DataType::Struct(inner) => own(inner), _ => vec![] },
                _ => own(schema),
            }
        };
        let mut model = read(&current);
        let mut given: BTreeMap<i32, ()> = model.iter().map(|(_, id)| (*id, ())).collect();
        for step in steps {
            let at = |i: usize| outer.iter().cloned().chain([format!("n{i}")]).collect::<Vec<_>>();
            let index = |model: &[(String, i32)], i: usize| model.iter().position(|(name, _)| *name == format!("n{i}"));
            let change = match &step {
                Step::Add(i) => SchemaChange::Add { parent: outer.clone(), field: long(&format!("n{i}")), position: Position::First },
                Step::Rename(i, j) => SchemaChange::Rename { path: at(*i), name: format!("n{j}") },
                Step::Drop(i) => SchemaChange::Drop { path: at(*i) },
                Step::Move(i, j) => SchemaChange::Move { path: at(*i), position: Position::After(format!("n{j}")) },
            };
            let possible = match &step {
                Step::Add(i) => index(&model, *i).is_none(),
                Step::Rename(i, j) => index(&model, *i).is_some() && (i == j || index(&model, *j).is_none()),
                Step::Drop(i) => index(&model, *i).is_some() && model.len() > 1,
                Step::Move(i, j) => i != j && index(&model, *i).is_some() && index(&model, *j).is_some(),
            };
            let changed = apply(&current, &change);
            prop_assert_eq!(changed.is_ok(), possible, "{:?} on {:?}: {:?}", step, model, changed);
            let Ok(changed) = changed else { continue };
            (current, highest) = complete(&changed, highest, &mut || "p".into()).unwrap();
            match step {
                Step::Add(i) => {
                    let id = i32::try_from(max_id(&current)).unwrap();
                    prop_assert!(given.insert(id, ()).is_none(), "MAP-3: the id {} was given before", id);
                    model.insert(0, (format!("n{i}"), id));
                }
                Step::Rename(i, j) => {
                    let at = index(&model, i).unwrap();
                    model[at].0 = format!("n{j}");
                }
                Step::Drop(i) => drop(model.remove(index(&model, i).unwrap())),
                Step::Move(i, j) => {
                    let moved = model.remove(index(&model, i).unwrap());
                    let behind = index(&model, j).unwrap() + 1;
                    model.insert(behind, moved);
                }
            }
            prop_assert_eq!(read(&current), model.clone());
        }
    }
}
