//! Names of catalogs, schemas and tables: which are allowed, and how a dotted table name is taken apart.

use std::fmt;

/// The catalog that a name without one means.
pub const DEFAULT_CATALOG: &str = "lake";

/// Most characters of a name.
pub const MAX_NAME_LENGTH: usize = 128;

/// Why a name is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameProblem {
    /// No character at all.
    Empty,
    /// More than [`MAX_NAME_LENGTH`] characters.
    TooLong,
    /// A character other than a letter, a digit, `_` or `-`, or a `-` in front.
    Character(char),
    /// Not `table`-like: a dotted name needs two or three parts.
    Parts(usize),
}

impl fmt::Display for NameProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name is empty"),
            Self::TooLong => write!(f, "a name has more than {MAX_NAME_LENGTH} characters"),
            Self::Character(c) => write!(f, "a name may not have the character {c:?} there"),
            Self::Parts(n) => write!(f, "a table's name has two or three parts, not {n}"),
        }
    }
}

impl std::error::Error for NameProblem {}

impl NameProblem {
    /// What a name looks like.
    pub const HINT: &'static str = "names take ASCII letters, digits, _ and - (not in front), at most 128 of them";
}

/// Checks one name: `[A-Za-z0-9_][A-Za-z0-9_-]{0,127}`. Names are equal when they differ in case alone.
///
/// # Errors
/// The first problem.
pub fn check_name(name: &str) -> Result<(), NameProblem> {
    if name.is_empty() {
        return Err(NameProblem::Empty);
    }
    for (i, c) in name.chars().enumerate() {
        if i >= MAX_NAME_LENGTH {
            return Err(NameProblem::TooLong);
        }
        if !(c.is_ascii_alphanumeric() || c == '_' || (c == '-' && i > 0)) {
            return Err(NameProblem::Character(c));
        }
    }
    Ok(())
}

/// Full name of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableName {
    /// Catalog.
    pub catalog: String,
    /// Schema.
    pub schema: String,
    /// Table.
    pub table: String,
}

impl TableName {
    /// Takes `[catalog.]schema.table` apart.
    ///
    /// # Errors
    /// What is wrong with the first bad part.
    pub fn parse(text: &str) -> Result<Self, NameProblem> {
        let parts: Vec<&str> = text.split('.').collect();
        let (catalog, schema, table) = match parts[..] {
            [schema, table] => (DEFAULT_CATALOG, schema, table),
            [catalog, schema, table] => (catalog, schema, table),
            _ => return Err(NameProblem::Parts(parts.len())),
        };
        for part in [catalog, schema, table] {
            check_name(part)?;
        }
        Ok(Self { catalog: catalog.to_owned(), schema: schema.to_owned(), table: table.to_owned() })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.catalog, self.schema, self.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = "x".repeat(128);
        for good in ["a", "A-b_c", "_x", "0", longest.as_str()] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        let too_long = "x".repeat(129);
        for (bad, problem) in [
            ("", NameProblem::Empty),
            (too_long.as_str(), NameProblem::TooLong),
            ("-a", NameProblem::Character('-')),
            ("a b", NameProblem::Character(' ')),
            ("é", NameProblem::Character('é')),
            ("a.b", NameProblem::Character('.')),
            ("..", NameProblem::Character('.')),
            ("a/b", NameProblem::Character('/')),
            ("a*", NameProblem::Character('*')),
            ("a\u{1b}", NameProblem::Character('\u{1b}')),
        ] {
            assert_eq!(check_name(bad), Err(problem), "{bad:?}");
        }
    }

    #[test]
    fn dotted_names() {
        assert_eq!(TableName::parse("bronze.t").expect("two").to_string(), "lake.bronze.t");
        assert_eq!(TableName::parse("c.s.t").expect("three").to_string(), "c.s.t");
        assert_eq!(TableName::parse("t"), Err(NameProblem::Parts(1)));
        assert_eq!(TableName::parse("a.b.c.d"), Err(NameProblem::Parts(4)));
        assert_eq!(TableName::parse("a..b"), Err(NameProblem::Empty));
    }
}
