//! Which declarations are read, and how wrong ones are answered.

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;

fn show(text: &str) -> String {
    let schema = parse_declaration(text).unwrap();
    let fields = schema.fields.iter().map(|f| {
        let not_null = if f.nullable { "" } else { " not null" };
        format!("{} {}{not_null}", f.name, f.data_type)
    });
    fields.collect::<Vec<_>>().join(", ")
}

#[test]
fn reads_what_users_write() {
    assert_eq!(
        show(
            "id long not null, name string, price decimal(10,2), tags array<string>, addr struct<city:string,zip:int>, \
             m map<string,long>"
        ),
        "id long not null, name string, price decimal(10,2), tags array<string>, addr struct<city:string,zip:integer>, \
         m map<string,long>"
    );
    assert_eq!(show(" Id BIGINT NOT NULL ,\n x:Varchar NULL"), "Id long not null, x string");
    assert_eq!(show("a array<array<struct<x: map<int, double>>>>"), "a array<array<struct<x:map<integer,double>>>>");
    assert_eq!(show("`a b` int, \"c\"\"d\" int, `e``f` int"), "a b integer, c\"d integer, e`f integer");
    assert_eq!(
        show("array array<int>, date date, größe double precision"),
        "array array<integer>, date date, größe double"
    );
    assert_eq!(show("a decimal, b numeric(5), c dec ( 5 , 1 )"), "a decimal(10,0), b decimal(5,0), c decimal(5,1)");
}

#[test]
fn every_alias_is_known() {
    for (names, canonical) in [
        ("bigint long int64", "long"),
        ("int integer int32", "integer"),
        ("smallint short int16", "short"),
        ("tinyint byte", "byte"),
        ("varchar text string", "string"),
        ("double float64", "double"),
        ("float real float32", "float"),
        ("bool boolean", "boolean"),
        ("bytes binary blob", "binary"),
        ("timestamp timestamptz", "timestamp"),
        ("timestamp_ntz", "timestamp_ntz"),
        ("date", "date"),
    ] {
        for name in names.split(' ') {
            assert_eq!(show(&format!("c {name}")), format!("c {canonical}"));
        }
    }
}

#[test]
fn nullability_inside_structs_is_kept() {
    let schema = parse_declaration("a struct<x:int not null,y:int>").unwrap();
    let DataType::Struct(inner) = &schema.fields[0].data_type else { panic!() };
    assert_eq!(inner.fields.iter().map(|field| field.nullable).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn errors_name_the_place() {
    for (text, place, what) in [
        ("", 1, "expected a column name, found the end"),
        ("a", 2, "expected a type for `a`, found the end"),
        ("a int,", 7, "expected a column name, found the end"),
        ("a int b int", 7, "expected `,`, `not null` or the end, found `b`"),
        ("a number", 3, "`number` is not a type"),
        ("a array", 8, "expected `<`, found the end"),
        ("a array<int", 12, "expected `>`, found the end"),
        ("a map<int>", 10, "expected `,`, found `>`"),
        ("a struct<x int", 15, "expected `,` or `>`, found the end"),
        ("a int not", 10, "expected `null` behind `not`, found the end"),
        ("a decimal(39,0)", 3, "a decimal has 1 to 38 digits"),
        ("a decimal(5,6)", 3, "a decimal has 1 to 38 digits"),
        ("a decimal(x)", 11, "expected a number from 0 to 38, found `x`"),
        ("a varchar(20)", 10, "`varchar` takes no length"),
        ("ä int, `b int", 8, "the quoted name does not end"),
        ("a-b int", 2, "unexpected `-`"),
    ] {
        let error = parse_declaration(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let start = format!("the column declaration is wrong at character {place}: {what}");
        assert!(error.message().starts_with(&start), "{text}: {error}");
    }
    assert_eq!(parse_declaration("a int, A long").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(parse_declaration("`` int").unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn depth_is_limited_by_an_error() {
    let text = format!("a {}int{}", "array<".repeat(100_000), ">".repeat(100_000));
    assert_eq!(parse_declaration(&text).unwrap_err().kind(), ErrorKind::Unsupported);
}

proptest! {
    #[test]
    fn any_text_is_an_answer(text in "[a-z0-9 ,:<>()`\"ä]{0,40}") {
        let _ = parse_declaration(&text);
    }
}
