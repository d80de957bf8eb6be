//! Columns as a user declares them: `id long not null, tags array<string>`.

use std::iter::Peekable;
use std::vec::IntoIter;

use crate::error::{Error, Result};

use super::json::decimal;
use super::names::{Place, check_names};
use super::{ArrayType, DataType, MapType, PrimitiveType, StructField, StructType};

/// Reads columns, comma between, each `name type [NOT NULL]`; a colon may stand behind a name. Types are the
/// protocol's names and SQL's usual ones, in any case; `array<T>`, `map<K,V>` and `struct<name:T,…>` nest. Names with
/// other characters than letters, digits, `_` and `$` are quoted by backticks or double quotes (doubled inside).
///
/// # Errors
/// [`Invalid`](crate::error::ErrorKind::Invalid), saying what was expected where, counted in characters from 1.
pub fn parse_declaration(text: &str) -> Result<StructType> {
    let mut parser = Parser { tokens: tokenize(text)?.into_iter().peekable(), length: text.chars().count() };
    let fields = parser.fields(None, &mut Place::default())?;
    let schema = StructType { fields };
    check_names(&schema)?;
    Ok(schema)
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(char),
}

impl Token {
    fn show(&self) -> String {
        match self {
            Self::Word(text) => format!("`{text}`"),
            Self::Quoted(text) => format!("the quoted name `{text}`"),
            Self::Sign(sign) => format!("`{sign}`"),
        }
    }
}

fn tokenize(text: &str) -> Result<Vec<(usize, Token)>> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().enumerate().peekable();
    while let Some((at, c)) = chars.next() {
        let token = match c {
            _ if c.is_whitespace() => continue,
            ',' | ':' | '<' | '>' | '(' | ')' => Token::Sign(c),
            '`' | '"' => {
                let mut name = String::new();
                loop {
                    match chars.next() {
                        None => return Err(misread(at, "the quoted name does not end")),
                        Some((_, end)) if end == c => match chars.next_if(|(_, next)| *next == c) {
                            Some(_) => name.push(c),
                            None => break Token::Quoted(name),
                        },
                        Some((_, other)) => name.push(other),
                    }
                }
            }
            _ if is_word(c) => {
                let mut word = String::from(c);
                while let Some((_, next)) = chars.next_if(|(_, next)| is_word(*next)) {
                    word.push(next);
                }
                Token::Word(word)
            }
            _ => return Err(misread(at, &format!("unexpected `{c}`")).with_hint("quote such a name by backticks")),
        };
        tokens.push((at, token));
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn misread(at: usize, what: &str) -> Error {
    Error::invalid(format!("the column declaration is wrong at character {}: {what}", at + 1))
}

struct Parser {
    tokens: Peekable<IntoIter<(usize, Token)>>,
    length: usize,
}

impl Parser {
    fn expected(&mut self, what: &str) -> Error {
        match self.tokens.peek() {
            Some((at, token)) => misread(*at, &format!("expected {what}, found {}", token.show())),
            None => misread(self.length, &format!("expected {what}, found the end")),
        }
    }

    fn take_sign(&mut self, sign: char) -> bool {
        self.tokens.next_if(|(_, token)| *token == Token::Sign(sign)).is_some()
    }

    fn expect_sign(&mut self, sign: char) -> Result<()> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.expected(&format!("`{sign}`"))) }
    }

    /// Takes the next word if it is `word`, whatever the case.
    fn take_word(&mut self, word: &str) -> bool {
        let is = |token: &Token| matches!(token, Token::Word(text) if text.eq_ignore_ascii_case(word));
        self.tokens.next_if(|(_, token)| is(token)).is_some()
    }

    /// Fields up to `end`, or up to the end of the text.
    fn fields(&mut self, end: Option<char>, place: &mut Place) -> Result<Vec<StructField>> {
        let mut fields = Vec::new();
        loop {
            fields.push(self.field(place)?);
            if self.take_sign(',') {
                continue;
            }
            match end {
                None if self.tokens.peek().is_none() => return Ok(fields),
                None => return Err(self.expected("`,`, `not null` or the end")),
                Some(sign) if self.take_sign(sign) => return Ok(fields),
                Some(sign) => return Err(self.expected(&format!("`,` or `{sign}`"))),
            }
        }
    }

    fn field(&mut self, place: &mut Place) -> Result<StructField> {
        let name = match self.tokens.next_if(|(_, token)| !matches!(token, Token::Sign(_))) {
            Some((_, Token::Word(name) | Token::Quoted(name))) => name,
            _ => return Err(self.expected("a column name")),
        };
        self.take_sign(':');
        let data_type = self.part(&name, place)?;
        let nullable = if self.take_word("not") {
            if !self.take_word("null") {
                return Err(self.expected("`null` behind `not`"));
            }
            false
        } else {
            self.take_word("null");
            true
        };
        Ok(StructField::new(name, data_type, nullable))
    }

    fn part(&mut self, name: &str, place: &mut Place) -> Result<DataType> {
        place.enter(name)?;
        let data_type = self.data_type(place)?;
        place.leave();
        Ok(data_type)
    }

    fn data_type(&mut self, place: &mut Place) -> Result<DataType> {
        let Some((at, Token::Word(word))) = self.tokens.next_if(|(_, token)| matches!(token, Token::Word(_))) else {
            return Err(self.expected(&format!("a type for `{place}`")));
        };
        match word.to_ascii_lowercase().as_str() {
            "array" => {
                self.expect_sign('<')?;
                let element_type = self.part("element", place)?;
                self.expect_sign('>')?;
                Ok(DataType::Array(Box::new(ArrayType { element_type, contains_null: true })))
            }
            "map" => {
                self.expect_sign('<')?;
                let key_type = self.part("key", place)?;
                self.expect_sign(',')?;
                let value_type = self.part("value", place)?;
                self.expect_sign('>')?;
                Ok(DataType::Map(Box::new(MapType { key_type, value_type, value_contains_null: true })))
            }
            "struct" => {
                self.expect_sign('<')?;
                Ok(DataType::Struct(StructType { fields: self.fields(Some('>'), place)? }))
            }
            "decimal" | "numeric" | "dec" => self.decimal(at),
            "double" => {
                self.take_word("precision");
                Ok(DataType::Primitive(PrimitiveType::Double))
            }
            "variant" => Ok(DataType::Variant),
            lower => self.simple(at, &word, lower),
        }
    }

    fn simple(&mut self, at: usize, word: &str, lower: &str) -> Result<DataType> {
        let Some(primitive) = alias(lower) else {
            return Err(misread(at, &format!("`{word}` is not a type")).with_hint(
                "types are string, long, integer, short, byte, float, double, decimal(p,s), boolean, binary, date, \
                 timestamp, timestamp_ntz, array<T>, map<K,V> and struct<name:T,…>",
            ));
        };
        if let Some((at, _)) = self.tokens.next_if(|(_, token)| *token == Token::Sign('(')) {
            return Err(misread(at, &format!("`{word}` takes no length")).with_hint("lengths are not enforced"));
        }
        Ok(DataType::Primitive(primitive))
    }

    fn decimal(&mut self, at: usize) -> Result<DataType> {
        let (mut precision, mut scale) = (10, 0);
        if self.take_sign('(') {
            precision = self.number()?;
            if self.take_sign(',') {
                scale = self.number()?;
            }
            self.expect_sign(')')?;
        }
        decimal(precision, scale).map(DataType::Primitive).ok_or_else(|| {
            misread(at, "a decimal has 1 to 38 digits, and no more of them behind the point than in all")
        })
    }

    fn number(&mut self) -> Result<u8> {
        let parsed = match self.tokens.peek() {
            Some((_, Token::Word(word))) => word.parse().ok(),
            _ => None,
        };
        let number = parsed.ok_or_else(|| self.expected("a number from 0 to 38"))?;
        self.tokens.next();
        Ok(number)
    }
}

/// Every name of a type without parts, ours and SQL's.
fn alias(name: &str) -> Option<PrimitiveType> {
    Some(match name {
        "string" | "text" | "varchar" | "char" | "str" | "utf8" => PrimitiveType::String,
        "long" | "bigint" | "int64" => PrimitiveType::Long,
        "integer" | "int" | "int32" => PrimitiveType::Integer,
        "short" | "smallint" | "int16" => PrimitiveType::Short,
        "byte" | "tinyint" => PrimitiveType::Byte,
        "float" | "real" | "float32" => PrimitiveType::Float,
        "float64" => PrimitiveType::Double,
        "boolean" | "bool" => PrimitiveType::Boolean,
        "binary" | "bytes" | "blob" | "varbinary" | "bytea" => PrimitiveType::Binary,
        "date" => PrimitiveType::Date,
        "timestamp" | "timestamptz" | "timestamp_ltz" => PrimitiveType::Timestamp,
        "timestamp_ntz" => PrimitiveType::TimestampNtz,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
