//! Paths there and back, ids that are never given twice, and what a damaged mapping is called.

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::schema::{ArrayType, MapType, PrimitiveType, parse_declaration, parse_schema, write_schema};

fn schema(declaration: &str) -> StructType {
    parse_declaration(declaration).unwrap()
}

fn path(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}

fn counted() -> impl FnMut() -> String {
    let mut count = 0;
    move || {
        count += 1;
        format!("p{count}")
    }
}

const NESTED: &str =
    "a long, s struct<x: long, y: struct<z: string>>, l array<struct<e: long>>, m map<string, struct<v: long>>";

#[test]
fn every_field_at_every_depth_gets_an_id_and_a_name() {
    let (mapped, last) = complete(&schema(NESTED), 7, &mut counted()).unwrap();
    assert_eq!(last, 16, "MAP-3");
    check_mapping(&mapped, MappingMode::Id).unwrap();
    assert_eq!(max_id(&mapped), 16);
    let physical = |text: &str| physical_path(&mapped, MappingMode::Name, &path(text)).map(|names| names.join("."));
    assert_eq!(physical("A").as_deref(), Some("p1"));
    assert_eq!(physical("s.Y.z").as_deref(), Some("p2.p4.p5"));
    assert_eq!(physical("l.Element.e").as_deref(), Some("p6.element.p7"));
    assert_eq!(physical("m.value.v").as_deref(), Some("p8.value.p9"));
    assert_eq!(physical("s.nosuch"), None);
    assert_eq!(physical("a.x"), None);
    assert_eq!(physical_path(&mapped, MappingMode::None, &path("s.x")), Some(path("s.x")), "MAP-1");
    let (again, same) = complete(&mapped, 3, &mut || unreachable!("nothing is new")).unwrap();
    assert_eq!((again, same), (mapped.clone(), last), "MAP-3");
    assert_eq!(strip(&mapped), schema(NESTED));
}

#[test]
fn a_table_that_is_mapped_later_keeps_its_names() {
    let (mut mapped, last) = enable(&schema(NESTED), 0).unwrap();
    assert_eq!(last, 9, "MAP-4");
    check_mapping(&mapped, MappingMode::Name).unwrap();
    for text in ["a", "s.y.z", "l.element.e"] {
        assert_eq!(physical_path(&mapped, MappingMode::Name, &path(text)), Some(path(text)), "MAP-4");
    }
    // What an unmapped table says of mapping was never true of its files.
    mapped.fields[0].metadata.insert(PHYSICAL_NAME.into(), "stray".into());
    let (fresh, _) = enable(&mapped, 0).unwrap();
    assert_eq!(physical_name(&fresh.fields[0], MappingMode::Name), "a", "MAP-4");
}

#[test]
fn a_damaged_mapping_is_named() {
    let (good, _) = complete(&schema("a long, s struct<x: long, y: long>"), 0, &mut counted()).unwrap();
    let inner = |schema: &mut StructType, change: &dyn Fn(&mut StructField)| {
        let DataType::Struct(inner) = &mut schema.fields[1].data_type else { unreachable!() };
        change(&mut inner.fields[1]);
    };
    type Damage<'a> = (&'a dyn Fn(&mut StructField), MappingMode);
    let broken: [Damage<'_>; 4] = [
        (&|field| drop(field.metadata.remove(PHYSICAL_NAME)), MappingMode::Name),
        (&|field| drop(field.metadata.insert(PHYSICAL_NAME.into(), "p3".into())), MappingMode::Name),
        (&|field| drop(field.metadata.remove(ID)), MappingMode::Id),
        (&|field| drop(field.metadata.insert(ID.into(), 1.into())), MappingMode::Id),
    ];
    for (change, mode) in broken {
        let mut schema = good.clone();
        inner(&mut schema, change);
        let error = check_mapping(&schema, mode).expect_err("MAP-2");
        assert_eq!((error.kind(), error.object()), (ErrorKind::Corrupt, Some("s.y")), "{error}");
        check_mapping(&schema, MappingMode::None).expect("MAP-1");
    }
    let error = complete(&schema("a long"), i64::from(i32::MAX), &mut counted()).expect_err("no ids left");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn ids_of_elements_keys_and_values_are_found_below_their_field() {
    let (mut mapped, _) = complete(&schema("m map<string, array<long>>"), 0, &mut counted()).unwrap();
    let ids = serde_json::json!({"p1.key": 10, "p1.value": 11, "p1.value.element": 12});
    mapped.fields[0].metadata.insert(NESTED_IDS.into(), ids);
    assert_eq!(nested_id(&mapped.fields[0], &["value", "element"]), Some(12));
    assert_eq!(nested_id(&mapped.fields[0], &["element"]), None);
    assert_eq!(max_id(&mapped), 12, "MAP-3");
}

fn any_type() -> impl Strategy<Value = DataType> {
    let leaf = prop_oneof![Just(PrimitiveType::Long), Just(PrimitiveType::String)].prop_map(DataType::Primitive);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::btree_map("[a-d]", inner.clone(), 1..4).prop_map(|fields| {
                let fields = fields.into_iter().map(|(name, data_type)| StructField::new(name, data_type, true));
                DataType::Struct(StructType::new(fields.collect()))
            }),
            inner.clone().prop_map(|element_type| {
                DataType::Array(Box::new(ArrayType { element_type, contains_null: true }))
            }),
            (inner.clone(), inner).prop_map(|(key_type, value_type)| {
                DataType::Map(Box::new(MapType { key_type, value_type, value_contains_null: true }))
            }),
        ]
    })
}

fn paths(schema: &StructType, outer: &[String], all: &mut Vec<Vec<String>>) {
    for field in &schema.fields {
        let own: Vec<String> = outer.iter().cloned().chain([field.name.clone()]).collect();
        all.push(own.clone());
        paths_inside(&field.data_type, &own, all);
    }
}

fn paths_inside(data_type: &DataType, own: &[String], all: &mut Vec<Vec<String>>) {
    let part = |name: &str| own.iter().cloned().chain([name.to_owned()]).collect::<Vec<_>>();
    match data_type {
        DataType::Struct(inner) => paths(inner, own, all),
        DataType::Array(array) => paths_inside(&array.element_type, &part("element"), all),
        DataType::Map(map) => {
            paths_inside(&map.key_type, &part("key"), all);
            paths_inside(&map.value_type, &part("value"), all);
        }
        _ => {}
    }
}

proptest! {
    /// MAP-1, MAP-3: paths lead there and back, and the JSON text keeps the mapping.
    #[test]
    fn paths_lead_there_and_back(fields in proptest::collection::vec(any_type(), 1..4), start in 0_i64..1000) {
        let fields = fields.into_iter().enumerate().map(|(i, ty)| StructField::new(format!("f{i}"), ty, true));
        let plain = StructType::new(fields.collect());
        let (mapped, last) = complete(&plain, start, &mut counted()).unwrap();
        check_mapping(&mapped, MappingMode::Id).unwrap();
        prop_assert_eq!(last, max_id(&mapped));
        prop_assert_eq!(&strip(&mapped), &plain);
        prop_assert_eq!(&parse_schema(&write_schema(&mapped)).unwrap(), &mapped);
        let mut all = Vec::new();
        paths(&plain, &[], &mut all);
        for path in all {
            for mode in [MappingMode::None, MappingMode::Name, MappingMode::Id] {
                let physical = physical_path(&mapped, mode, &path).unwrap();
                prop_assert_eq!(logical_path(&mapped, mode, &physical), Some(path.clone()));
            }
        }
    }
}
