//! Whether test code, declarations and paths of a Rust file are found.

use super::*;

fn test_names(source: &str) -> Vec<String> {
    let rust = Rust::read(source);
    let kept = rust.code.iter().enumerate().filter(|(at, t)| t.kind == Kind::Ident && rust.is_test(*at));
    kept.map(|(_, t)| t.text.clone()).collect()
}

fn paths(source: &str) -> Vec<String> {
    Rust::read(source).named().into_iter().map(|named| named.segments.join("::")).collect()
}

#[test]
fn test_items_end_where_they_end() {
    assert_eq!(
        test_names("fn a() {} #[cfg(test)] mod t { fn b() { c } } fn d() {}"),
        ["cfg", "test", "mod", "t", "fn", "b", "c"]
    );
    assert_eq!(test_names("#[cfg(test)] use a::{b, c}; fn d() {}"), ["cfg", "test", "use", "a", "b", "c"]);
    assert_eq!(test_names("struct S { #[cfg(test)] a: Vec<u8>, b: u8 }"), ["cfg", "test", "a", "Vec", "u8"]);
    assert_eq!(
        test_names("#[test] #[should_panic] fn a<A, B>() {} fn b() {}"),
        ["test", "should_panic", "fn", "a", "A", "B"]
    );
    assert_eq!(test_names("#[tokio::test(start_paused = true)] async fn a() {} struct B;").last().unwrap(), "a");
    assert_eq!(test_names("#![cfg(test)] fn a() {}").last().unwrap(), "a");
}

#[test]
fn what_is_not_only_for_tests_is_no_test() {
    assert_eq!(test_names("#[cfg(not(test))] fn a() {}"), [""; 0]);
    assert_eq!(test_names("#[cfg(any(test, feature = \"x\"))] fn a() {}"), [""; 0]);
    assert_eq!(test_names("#[derive(Debug)] struct A;"), [""; 0]);
    assert_eq!(test_names("#[cfg(all(test, unix))] fn a() {}").last().unwrap(), "a");
}

#[test]
fn declarations_know_scope_file_and_purpose() {
    let found = Rust::read("mod a; mod b { mod c; } #[path = \"x.rs\"] mod d; #[cfg(test)] mod e;").declared();
    let found: Vec<_> = found.iter().map(|d| (d.name.as_str(), d.scope.join("/"), d.file.as_deref(), d.test)).collect();
    assert_eq!(
        found,
        [
            ("a", String::new(), None, false),
            ("c", "b".to_owned(), None, false),
            ("d", String::new(), Some("x.rs"), false),
            ("e", String::new(), None, true),
        ]
    );
}

#[test]
fn imports_are_opened_up() {
    assert_eq!(
        paths("use crate::{a, b::{c as d, e::*}, f::{self}};"),
        ["crate::a", "crate::b::c", "crate::b::e::*", "crate::f"]
    );
    assert_eq!(paths("use super::super::a; pub(crate) use ::b::c;"), ["super::super::a", "b::c"]);
    assert_eq!(paths("use a; fn f() -> impl Sized + use<'_> {}"), ["a"]);
    let renamed = Rust::read("use a::b as c;").named();
    assert_eq!(renamed[0].name, "c");
}

#[test]
fn paths_in_code_are_seen() {
    assert_eq!(
        paths("fn f(x: &crate::a::B<crate::c::D>) { crate::e::g::<u8>(); x.h::<i>(); }"),
        ["crate::a::B", "crate::c::D", "crate::e::g"]
    );
    assert_eq!(paths("0..crate::a::LAST"), ["crate::a::LAST"]);
    assert_eq!(paths("// crate::a::b\nlet x = \"see crate::c::d\"; pub(crate) fn y() {}"), [""; 0]);
    assert_eq!(paths("#[serde(with = \"crate::a::b\")] x: u8"), ["crate::a::b"]);
}

#[test]
fn paths_know_inline_modules() {
    let found = Rust::read("mod a { mod b { use super::super::c; } use super::d; } use self::e;").named();
    let scopes: Vec<_> = found.iter().map(|named| named.scope.join("/")).collect();
    assert_eq!(scopes, ["a/b", "a", ""]);
}

#[test]
fn broken_code_ends() {
    for source in ["use a::{", "use a::{b", "#[cfg(test", "mod", "use {{{", "use a::{;}", "}}}} mod x {"] {
        Rust::read(source).named();
        Rust::read(source).declared();
    }
}
