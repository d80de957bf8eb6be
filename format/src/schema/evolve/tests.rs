//! How a schema grows, and what it refuses.

use proptest::prelude::*;
use serde_json::json;

use super::super::{PrimitiveType, parse_declaration};
use super::*;
use crate::error::ErrorKind;

fn schema(declaration: &str) -> StructType {
    parse_declaration(declaration).unwrap()
}

fn show(schema: &StructType) -> String {
    let fields = schema.fields.iter().map(|f| {
        let not_null = if f.nullable { "" } else { " not null" };
        format!("{} {}{not_null}", f.name, f.data_type)
    });
    fields.collect::<Vec<_>>().join(", ")
}

#[test]
fn columns_are_added_behind_the_old_ones() {
    let current = schema("id long not null, name string");
    let grown = add_columns(&current, schema("a int, b struct<x:int>").fields).unwrap();
    assert_eq!(show(&grown), "id long not null, name string, a integer, b struct<x:integer>");
    assert_eq!(add_columns(&current, vec![]).unwrap(), current);
}

#[test]
fn columns_that_old_rows_can_not_have_are_refused() {
    let current = schema("id long, name string");
    let kind = |new: Vec<StructField>| add_columns(&current, new).unwrap_err().kind();
    assert_eq!(kind(schema("NAME string").fields), ErrorKind::AlreadyExists);
    assert_eq!(kind(schema("a int not null").fields), ErrorKind::Invalid);
    let twice = ["a", "A"].map(|name| StructField::new(name, DataType::Void, true));
    assert_eq!(kind(twice.into()), ErrorKind::Invalid);
}

#[test]
fn merging_widens_the_schema_and_keeps_what_is_there() {
    let mut current =
        schema("Id long not null, addr struct<City:string>, m map<string,struct<a:int>>, l array<double>");
    current.fields[0].metadata.insert("comment".into(), json!("key"));
    let incoming = schema(
        "new int not null, id int, ADDR struct<zip:int not null,city:string>, m map<string,struct<b:int,A:byte>>, l array<float>",
    );
    let merged = merge(&current, &incoming).unwrap();
    assert_eq!(
        show(&merged),
        "Id long not null, addr struct<City:string,zip:integer>, m map<string,struct<a:integer,b:integer>>, \
         l array<double>, new integer"
    );
    assert_eq!(merged.fields[0].metadata["comment"], json!("key"));
    let DataType::Struct(addr) = &merged.fields[1].data_type else { panic!() };
    assert!(addr.fields[1].nullable, "old rows have no value for a new nested field");
}

#[test]
fn types_that_do_not_fit_are_named_with_both_types() {
    let current = schema("id int, addr struct<zip:int>, l array<struct<x:date>>");
    let refused = |incoming: &str| {
        let error = merge(&current, &schema(incoming)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        (error.object().unwrap_or_default().to_owned(), error.message().to_owned())
    };
    let (object, message) = refused("id long");
    assert_eq!(object, "id");
    assert!(message.contains("integer") && message.contains("long"), "{message}");
    assert_eq!(refused("addr struct<zip:string>").0, "addr.zip");
    assert_eq!(refused("l array<struct<x:timestamp>>").0, "l.element.x");
    assert_eq!(refused("addr int").0, "addr");
}

#[test]
fn void_columns_take_the_incoming_type() {
    let void = StructType::new(vec![StructField::new("a", DataType::Void, true)]);
    assert_eq!(show(&merge(&void, &schema("a int")).unwrap()), "a integer");
    assert_eq!(show(&merge(&schema("a int"), &void).unwrap()), "a integer");
}

fn any_schema() -> impl Strategy<Value = StructType> {
    use PrimitiveType::*;
    let leaf = prop::sample::select(vec![Byte, Long, Double, String, Decimal { precision: 12, scale: 2 }]);
    let data_type = leaf.prop_map(DataType::Primitive).prop_recursive(2, 12, 3, |inner| {
        prop_oneof![
            prop::collection::btree_map("[a-d]", (inner.clone(), any::<bool>()), 1..4).prop_map(struct_of),
            inner.prop_map(|element_type| DataType::Array(Box::new(ArrayType { element_type, contains_null: true }))),
        ]
    });
    prop::collection::btree_map("[a-d]", (data_type, any::<bool>()), 1..4).prop_map(|fields| match struct_of(fields) {
        DataType::Struct(schema) => schema,
        _ => unreachable!(),
    })
}

fn struct_of(fields: std::collections::BTreeMap<std::string::String, (DataType, bool)>) -> DataType {
    let field = |(name, (data_type, nullable))| StructField::new(name, data_type, nullable);
    DataType::Struct(StructType::new(fields.into_iter().map(field).collect()))
}

proptest! {
    #[test]
    fn merging_the_same_again_changes_nothing(a in any_schema(), b in any_schema()) {
        prop_assert_eq!(&merge(&a, &a).unwrap(), &a);
        if let Ok(merged) = merge(&a, &b) {
            prop_assert_eq!(&merge(&merged, &b).unwrap(), &merged);
            prop_assert_eq!(&merge(&merged, &a).unwrap(), &merged);
        }
    }

    #[test]
    fn merged_schemas_hold_both(a in any_schema(), b in any_schema()) {
        if let Ok(merged) = merge(&a, &b) {
            let whole = DataType::Struct(merged.clone());
            prop_assert!(fits(&DataType::Struct(a.clone()), &whole));
            for field in &b.fields {
                let into = merged.field(&field.name).unwrap();
                prop_assert!(field_fits(&field.data_type, &into.data_type), "{} {}", field.data_type, into.data_type);
            }
            prop_assert_eq!(
                merged.fields[..a.fields.len()].iter().map(|f| (&f.name, f.nullable)).collect::<Vec<_>>(),
                a.fields.iter().map(|f| (&f.name, f.nullable)).collect::<Vec<_>>()
            );
        }
    }
}

/// As [`fits`], save that incoming data may lack a required field: whether it does is the writer's question.
fn field_fits(from: &DataType, into: &DataType) -> bool {
    match (from, into) {
        (DataType::Struct(from), DataType::Struct(into)) => {
            from.fields.iter().all(|f| into.field(&f.name).is_some_and(|i| field_fits(&f.data_type, &i.data_type)))
        }
        (DataType::Array(from), DataType::Array(into)) => field_fits(&from.element_type, &into.element_type),
        _ => fits(from, into),
    }
}
