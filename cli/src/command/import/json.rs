//! JSON lines: what shape the values of a sample have, and whether a line is one object.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::BufRead;

use lake_format::schema::{ArrayType, DataType, PrimitiveType, StructField, StructType};
use lake_format::{Error, Result};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::survey::MOST_COLUMNS;

/// Bytes of one line, at most.
const LINE_BYTES: usize = 16 << 20;

/// Objects and lists inside one another, at most.
const DEPTH: usize = 100;

/// What values of one field have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Shape {
    /// Nothing but null so far.
    #[default]
    Null,
    /// True or false.
    Boolean,
    /// Whole numbers of 64 bits.
    Long,
    /// Numbers.
    Double,
    /// Text, or values of several kinds without parts.
    Text,
    /// A list.
    List(Box<Shape>),
    /// Named fields, in the order of their first appearance.
    Object(Vec<(String, Shape)>),
    /// Values with parts and others without: no type holds both.
    Clash,
}

impl Shape {
    fn see(&mut self, other: Self) {
        let own = std::mem::take(self);
        *self = match (own, other) {
            (Self::Null, shape) | (shape, Self::Null) => shape,
            (Self::Long | Self::Double, Self::Double) | (Self::Double, Self::Long) => Self::Double,
            (Self::List(mut own), Self::List(other)) => {
                own.see(*other);
                Self::List(own)
            }
            (Self::Object(mut own), Self::Object(other)) => {
                join(&mut own, other);
                Self::Object(own)
            }
            (own, other) if own == other => own,
            (own, other) if own.is_plain() && other.is_plain() => Self::Text,
            _ => Self::Clash,
        }
    }

    fn is_plain(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Object(_) | Self::Clash)
    }

    /// The type that holds such values; what is always null becomes text.
    ///
    /// # Errors
    /// `Invalid` naming a field that no type holds.
    pub fn data_type(&self, path: &str) -> Result<DataType> {
        let primitive = match self {
            Self::Null | Self::Text => PrimitiveType::String,
            Self::Boolean => PrimitiveType::Boolean,
            Self::Long => PrimitiveType::Long,
            Self::Double => PrimitiveType::Double,
            Self::List(element) => {
                let element_type = element.data_type(&format!("{path}.element"))?;
                return Ok(DataType::Array(Box::new(ArrayType { element_type, contains_null: true })));
            }
            Self::Object(fields) if fields.is_empty() => {
                return Err(
                    Error::invalid("a field is always an empty object: it has no type").with_object(path.to_owned())
                );
            }
            Self::Object(fields) => return Ok(DataType::Struct(struct_of(fields, path)?)),
            Self::Clash => {
                return Err(Error::invalid("a field is an object or a list in some lines and not in others")
                    .with_object(path.to_owned()));
            }
        };
        Ok(DataType::Primitive(primitive))
    }
}

fn struct_of(fields: &[(String, Shape)], path: &str) -> Result<StructType> {
    if fields.len() > MOST_COLUMNS {
        let message = format!("the objects have {} keys, more than {MOST_COLUMNS}", fields.len());
        return Err(Error::invalid(message)
            .with_object(path.to_owned())
            .with_hint("nothing was written; where keys are data, they belong into a list"));
    }
    let dot = if path.is_empty() { "" } else { "." };
    let fields = fields
        .iter()
        .map(|(name, shape)| Ok(StructField::new(name, shape.data_type(&format!("{path}{dot}{name}"))?, true)));
    Ok(StructType::new(fields.collect::<Result<_>>()?))
}

/// Lets the fields of another object join, new ones last.
fn join(fields: &mut Vec<(String, Shape)>, other: impl IntoIterator<Item = (String, Shape)>) {
    let mut places: Option<HashMap<String, usize>> = None;
    for (at, (name, shape)) in other.into_iter().enumerate() {
        // Lines mostly have their fields in one order.
        if let Some((_, known)) = fields.get_mut(at).filter(|(known, _)| *known == name) {
            known.see(shape);
            continue;
        }
        let places = places.get_or_insert_with(|| {
            fields.iter().enumerate().rev().map(|(place, (name, _))| (name.clone(), place)).collect()
        });
        match places.get(&name) {
            Some(&place) => fields[place].1.see(shape),
            None => {
                places.insert(name.clone(), fields.len());
                let mut joined = Shape::Null;
                joined.see(shape);
                fields.push((name, joined));
            }
        }
    }
}

/// A name among `new`, and one that is known, that no table can tell apart.
fn clash<'a>(known: &'a [(String, Shape)], new: &'a [(String, Shape)]) -> Option<(&'a str, &'a str)> {
    let known: HashMap<String, &(String, Shape)> =
        known.iter().rev().map(|field| (field.0.to_lowercase(), field)).collect();
    new.iter().find_map(|(name, shape)| match known.get(&name.to_lowercase()) {
        Some((other, _)) if other != name => Some((name.as_str(), other.as_str())),
        Some((_, other)) => clash_inside(other, shape),
        None => None,
    })
}

fn clash_inside<'a>(known: &'a Shape, new: &'a Shape) -> Option<(&'a str, &'a str)> {
    match (known, new) {
        (Shape::Object(known), Shape::Object(new)) => clash(known, new),
        (Shape::List(known), Shape::List(new)) => clash_inside(known, new),
        _ => None,
    }
}

/// The columns of a sample of lines.
#[derive(Clone, Debug, Default)]
pub struct Sample(Vec<(String, Shape)>);

impl Sample {
    /// Takes a line into account.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn see(&mut self, line: &[u8]) -> std::result::Result<(), String> {
        check_line(line)?;
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        let shape = ShapeOf.deserialize(&mut deserializer).map_err(|error| told(&error))?;
        if let Shape::Object(fields) = shape {
            if let Some((new, known)) = clash(&fields, &fields).or_else(|| clash(&self.0, &fields)) {
                return Err(format!("the key {new:?} differs from {known:?} only in case"));
            }
            join(&mut self.0, fields);
        }
        Ok(())
    }

    /// The columns. The types of those that are `known` do not matter.
    ///
    /// # Errors
    /// `Invalid` naming a field that no type holds.
    pub fn columns(&self, known: impl Fn(&str) -> bool) -> Result<StructType> {
        let fields = self.0.iter().map(|(name, shape)| match known(name) {
            true => (name.clone(), Shape::Text),
            false => (name.clone(), shape.clone()),
        });
        struct_of(&fields.collect::<Vec<_>>(), "")
    }
}

/// Whether the line is one JSON object and nothing else, without a key that is there twice, ignoring case.
///
/// # Errors
/// What is wrong with it.
pub fn check_line(line: &[u8]) -> std::result::Result<(), String> {
    let text = std::str::from_utf8(line).map_err(|_| "the text is not UTF-8".to_owned())?;
    match text.trim_start().bytes().next() {
        Some(b'{') if depth(line) > DEPTH => Err(format!("the object is nested deeper than {DEPTH} levels")),
        Some(b'{') => serde_json::from_str::<KeysOnce>(text.trim_end()).map(drop).map_err(|error| told(&error)),
        Some(b'[') => Err("a line must be one JSON object, not a list".to_owned()),
        _ => Err("a line must be one JSON object".to_owned()),
    }
}

/// Brackets that are open at once, at most.
fn depth(line: &[u8]) -> usize {
    let (mut open, mut most, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                open += 1;
                most = most.max(open);
            }
            b'}' | b']' if !quoted => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// serde's message with the column alone: the line is ours to tell.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if error.is_data() {
        // Ours, on what is JSON and no row.
        return text.rsplit_once(" at line ").map_or(text.clone(), |(what, _)| what.to_owned());
    }
    let what = text.split(" at line ").next().unwrap_or_default();
    format!("not JSON at character {}: {what}", error.column())
}

/// Reads lines that are not blank, each with its number.
pub struct Lines<R> {
    input: R,
    line: u64,
    file: String,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `input`, which messages call `file`.
    pub fn new(input: R, file: String) -> Self {
        Self { input, line: 0, file }
    }

    /// Puts the next line behind `into` and gives its number; `None` at the end.
    ///
    /// # Errors
    /// What the system says; `Invalid` for a line without end.
    pub fn next(&mut self, into: &mut Vec<u8>) -> Result<Option<u64>> {
        let start = into.len();
        loop {
            into.truncate(start);
            let limit = u64::try_from(LINE_BYTES).unwrap_or(u64::MAX);
            let read = std::io::Read::take(&mut self.input, limit).read_until(b'\n', into);
            let read = read.map_err(|error| Error::from(error).with_object(self.file.clone()))?;
            self.line += 1;
            if read == 0 {
                return Ok(None);
            }
            if read == LINE_BYTES {
                return Err(Error::invalid("a line is longer than 16 MiB")
                    .with_object(format!("{}:{}", self.file, self.line))
                    .with_hint("JSON input has one object a line"));
            }
            if self.line == 1 && into[start..].starts_with(b"\xef\xbb\xbf") {
                into.drain(start..start + 3);
            }
            if !into[start..].iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(self.line));
            }
        }
    }
}

/// Any value in which no object has a key twice, ignoring case.
struct KeysOnce;

impl<'de> Deserialize<'de> for KeysOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for KeysOnce {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> std::result::Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> std::result::Result<Self, A::Error> {
        while sequence.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self, A::Error> {
        let mut seen: Vec<Key<'de>> = Vec::new();
        let mut more: HashSet<String> = HashSet::new();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let new = if seen.len() < FEW_KEYS {
                !seen.iter().any(|known| known.is_like(&key))
            } else {
                if more.is_empty() {
                    more.extend(seen.iter().map(|known| known.0.to_lowercase()));
                }
                more.insert(key.0.to_lowercase())
            };
            if !new {
                return Err(serde::de::Error::custom(format!("the key {:?} is there twice, ignoring case", key.0)));
            }
            if seen.len() < FEW_KEYS {
                seen.push(key);
            }
            map.next_value::<Self>()?;
        }
        Ok(self)
    }
}

/// Keys that are compared one by one.
const FEW_KEYS: usize = 32;

/// A key, borrowed where it has no escapes.
struct Key<'de>(Cow<'de, str>);

impl Key<'_> {
    fn is_like(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
            || (!(self.0.is_ascii() && other.0.is_ascii()) && self.0.to_lowercase() == other.0.to_lowercase())
    }
}

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Finds the shape of the next value.
struct ShapeOf;

impl<'de> DeserializeSeed<'de> for ShapeOf {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ShapeOf {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Shape, E> {
        Ok(Shape::Boolean)
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Shape, E> {
        Ok(Shape::Long)
    }

    /// Larger ones keep their digits as text only.
    fn visit_u64<E>(self, value: u64) -> std::result::Result<Shape, E> {
        Ok(if i64::try_from(value).is_ok() { Shape::Long } else { Shape::Text })
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Shape, E> {
        Ok(Shape::Double)
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<Shape, E> {
        Ok(Shape::Text)
    }

    fn visit_unit<E>(self) -> std::result::Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> std::result::Result<Shape, A::Error> {
        let mut element = Shape::Null;
        while let Some(shape) = sequence.next_element_seed(ShapeOf)? {
            element.see(shape);
        }
        Ok(Shape::List(Box::new(element)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Shape, A::Error> {
        let mut all = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            all.push((name, map.next_value_seed(ShapeOf)?));
        }
        let mut fields = Vec::with_capacity(all.len());
        join(&mut fields, all);
        Ok(Shape::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(lines: &[&str]) -> Result<String> {
        let mut sample = Sample::default();
        for line in lines {
            sample.see(line.as_bytes()).map_err(Error::invalid)?;
        }
        Ok(DataType::Struct(sample.columns(|_| false)?).to_string())
    }

    #[test]
    fn shapes_join_in_the_order_of_appearance() {
        let found = columns(&[
            r#"{"z":1,"a":true,"n":null,"x":"t","l":[]}"#,
            r#"{"z":1.5,"b":18446744073709551615,"x":3,"l":[{"k":1},{"m":"x"}],"o":{"p":null}}"#,
        ]);
        let expected = "struct<z:double,a:boolean,n:string,x:string,l:array<struct<k:long,m:string>>,b:string,\
                        o:struct<p:string>>";
        assert_eq!(found.expect("columns"), expected);
    }

    #[test]
    fn many_keys_in_any_order_are_seen_in_no_time() {
        let line = |keys: &mut dyn Iterator<Item = usize>| {
            let fields: Vec<String> = keys.map(|key| format!("\"c{key}\":{key}")).collect();
            format!("{{{}}}", fields.join(","))
        };
        let begin = std::time::Instant::now();
        let (up, down) = (line(&mut (0..50_000)), line(&mut (0..50_000).rev()));
        let mut sample = Sample::default();
        for line in [&up, &down] {
            sample.see(line.as_bytes()).expect("a line");
        }
        assert_eq!(sample.0.len(), 50_000);
        assert!(begin.elapsed().as_secs() < 20, "by the square of the keys it takes minutes");
    }

    #[test]
    fn what_has_no_type_is_named() {
        assert_eq!(columns(&[r#"{"a":{"b":1}}"#, r#"{"a":{"b":[1]}}"#]).expect_err("clash").object(), Some("a.b"));
        assert_eq!(columns(&[r#"{"a":{}}"#]).expect_err("empty").object(), Some("a"));
    }

    #[test]
    fn a_line_is_one_object() {
        assert!(check_line(br#" {"a":[1,{"b":null}]} "#).is_ok());
        assert!(check_line(format!("{{\"a\":\"{}\\\"\"}}", "[".repeat(1000)).as_bytes()).is_ok());
        let deep = format!("{}1{}", "{\"a\":".repeat(101), "}".repeat(101));
        for bad in ["", "[1]", "1", "{\"a\":1}{\"a\":2}", "{\"a\":1", "{\"a\":1},", "{a:1}", &deep] {
            assert!(check_line(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(check_line(b"{\"a\":\"\xff\"}").is_err());
        assert_eq!(check_line(b"{\"a\" 1}"), Err("not JSON at character 6: expected `:`".to_owned()));
    }

    #[test]
    fn a_key_is_there_once() {
        for (line, key) in [
            (r#"{"a":1,"b":{"c":1},"a":2}"#, "a"),
            (r#"{"id":1,"ID":2}"#, "ID"),
            (r#"{"a":[{"b":{"x":1,"\u0058":2}}]}"#, "X"),
            (r#"{"é":1,"É":2}"#, "É"),
        ] {
            let told = format!("the key {key:?} is there twice, ignoring case");
            assert_eq!(check_line(line.as_bytes()), Err(told), "{line}");
        }
        let keys = |last: &str| {
            let keys: Vec<String> = (0..100).map(|n| format!("\"k{n}\":{{\"a\":{n}}}")).collect();
            check_line(format!("{{{},\"{last}\":-1.5}}", keys.join(",")).as_bytes())
        };
        assert!(keys("other").is_ok() && keys("K99").is_err() && keys("k7").is_err());
        let other = columns(&[r#"{"a":[{"x":1}]}"#, r#"{"a":[{"X":1}]}"#]).expect_err("case");
        assert_eq!(other.message(), r#"the key "X" differs from "x" only in case"#);
        assert!(columns(&[r#"{"a":[{"x":1},{"X":1}]}"#]).is_err());
        assert!(columns(&[r#"{"x":1,"y":{"x":2}}"#, r#"{"y":{"x":3}}"#]).is_ok());
    }

    #[test]
    fn lines_are_numbered_and_blank_ones_skipped() {
        let mut lines = Lines::new(&b"\xef\xbb\xbf{}\n\n  \r\n{\"a\":1}"[..], "f".to_owned());
        let mut text = Vec::new();
        assert_eq!(lines.next(&mut text).expect("first"), Some(1));
        assert_eq!(lines.next(&mut text).expect("second"), Some(4));
        assert_eq!(lines.next(&mut text).expect("end"), None);
        assert_eq!(text, b"{}\n{\"a\":1}");
    }
}
