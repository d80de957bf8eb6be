//! From text to one parsed statement: versions behind names read, too much and too deep refused.

use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};
use lake_format::{Error, Result};

use super::dialect::LakeDialect;
use super::merge::ALL_COLUMNS;
use super::refuse::refuse;
use crate::error::{from_parser, too_deep};
use crate::reference::{parse_at, split_version};

/// Parentheses, subqueries and the like inside each other.
const MAX_DEPTH: usize = 100;
/// Operators in a row, each of which puts the ones before it a level deeper.
const MAX_CHAIN: usize = 500;
/// Set operations and joins in a row.
const MAX_SETS: usize = 250;
/// Subqueries used as values inside each other: the engine plans the inner ones again and again.
const MAX_SCALARS: usize = 10;

/// The one statement that `text` is. A semicolon may stand behind it.
///
/// # Errors
/// `Invalid` with line and column for what is no SQL, several statements, or nesting beyond measure; `Unsupported`
/// naming a statement that is never run.
pub(super) fn parse(text: &str) -> Result<Statement> {
    let tokens = Tokenizer::new(&LakeDialect, text).tokenize_with_location();
    let tokens = tokens.map_err(|error| from_parser(&ParserError::from(error)))?;
    check_single(&tokens)?;
    refuse(&tokens)?;
    check_chains(&tokens)?;
    let tokens = name_stars(join_versions(tokens)?);
    let mut parser = Parser::new(&LakeDialect).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let statement = parser.parse_statement().map_err(|error| from_parser(&error))?;
    while parser.consume_token(&Token::SemiColon) {}
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        return Err(Error::invalid(format!("the SQL can't be read: {} was not expected here", rest.token))
            .with_object(place(rest.span.start)));
    }
    Ok(statement)
}

/// Gives the stars of `UPDATE SET *` and `INSERT *` in a MERGE a form that the parser reads.
fn name_stars(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is = |token: &TokenWithSpan, keyword: &str| matches!(&token.token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(keyword));
    let mut blank = |token: &&TokenWithSpan| !is_blank(&token.token);
    if !tokens.iter().find(&mut blank).is_some_and(|first| is(first, "MERGE")) {
        return tokens;
    }
    let mut named: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let before = named.iter().rev().find(|before| !is_blank(&before.token));
        let replaced = match (&token.token, before) {
            (Token::Mul, Some(before)) if is(before, "SET") => format!("\"{ALL_COLUMNS}\" = 0"),
            (Token::Mul, Some(before)) if is(before, "INSERT") => format!("(\"{ALL_COLUMNS}\") VALUES (0)"),
            _ => {
                named.push(token);
                continue;
            }
        };
        let replaced = Tokenizer::new(&LakeDialect, &replaced).tokenize().unwrap_or_default();
        named.extend(replaced.into_iter().map(|part| TokenWithSpan { token: part, span: token.span }));
    }
    named
}

fn place(location: Location) -> String {
    format!("line {}, column {}", location.line, location.column)
}

fn is_blank(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_) | Token::EOF)
}

fn check_single(tokens: &[TokenWithSpan]) -> Result<()> {
    let statements: Vec<String> = tokens
        .split(|token| token.token == Token::SemiColon)
        .filter_map(|statement| statement.iter().find(|token| !is_blank(&token.token)))
        .map(|first| first.token.to_string().to_uppercase())
        .collect();
    match statements.len() {
        0 => Err(Error::invalid("there is no SQL statement")),
        1 => Ok(()),
        count => {
            let shown = statements.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
            Err(Error::invalid(format!("{count} statements were given, and one is run at a time"))
                .with_object(shown)
                .with_hint("give them one by one; nothing was run"))
        }
    }
}

/// What was met since a bracket opened: how deep the tree of it can be.
#[derive(Default)]
struct Level {
    /// Opened by CASE, closed by END.
    case: bool,
    /// AND and OR since the last comma or clause.
    logical: usize,
    /// Other operators since the last of those.
    operators: usize,
    /// Set operations and joins.
    sets: usize,
    /// Subqueries used as values around here.
    scalars: usize,
}

impl Level {
    fn is_too_deep(&self) -> bool {
        self.logical > MAX_CHAIN || self.operators > MAX_CHAIN || self.sets > MAX_SETS || self.scalars > MAX_SCALARS
    }
}

/// Refuses chains of operators that would become a tree too deep to walk.
fn check_chains(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut levels = vec![Level::default()];
    let mut before = &Token::EOF;
    let mut tokens = tokens.iter().filter(|token| !is_blank(&token.token)).peekable();
    while let Some(token) = tokens.next() {
        let depth = levels.len();
        let Some(level) = levels.last_mut() else { return Err(Error::internal("brackets were counted wrong")) };
        match weight(&token.token) {
            Weight::None => {}
            Weight::Separator => (level.logical, level.operators) = (0, 0),
            Weight::Logical => (level.logical, level.operators) = (level.logical + 1, 0),
            Weight::Operator => level.operators += 1,
            Weight::Set => level.sets += 1,
            Weight::Open { case } => {
                // `a[1][2]` and `f(1)(2)` are chains as well.
                level.operators += 1;
                let inside = tokens.peek().map(|next| &next.token);
                let scalars = level.scalars + usize::from(!case && is_value(before) && inside.is_some_and(is_query));
                levels.push(Level { case, scalars, ..Level::default() });
            }
            Weight::Close { case } if depth > 1 && level.case == case => {
                levels.pop();
            }
            Weight::Close { .. } => {}
        }
        if levels.len() > 2 * MAX_DEPTH || levels.last().is_some_and(Level::is_too_deep) {
            return Err(too_deep().with_object(place(token.span.start)));
        }
        before = &token.token;
    }
    Ok(())
}

/// Whether a parenthesis behind this token holds a value rather than a table or a whole query.
fn is_value(before: &Token) -> bool {
    const TABLES: [&str; 9] = ["FROM", "JOIN", "LATERAL", "AS", "UNION", "ALL", "EXCEPT", "INTERSECT", "DISTINCT"];
    match before {
        Token::Word(word) => !TABLES.iter().any(|table| word.value.eq_ignore_ascii_case(table)),
        Token::LParen | Token::EOF => false,
        _ => true,
    }
}

fn is_query(token: &Token) -> bool {
    let is = |word: &Word| ["SELECT", "WITH"].iter().any(|verb| word.value.eq_ignore_ascii_case(verb));
    matches!(token, Token::Word(word) if word.quote_style.is_none() && is(word))
}

enum Weight {
    None,
    Separator,
    Logical,
    Operator,
    Set,
    Open { case: bool },
    Close { case: bool },
}

fn weight(token: &Token) -> Weight {
    match token {
        Token::Comma | Token::SemiColon => Weight::Separator,
        Token::LParen | Token::LBracket | Token::LBrace => Weight::Open { case: false },
        Token::RParen | Token::RBracket | Token::RBrace => Weight::Close { case: false },
        Token::Word(word) if word.quote_style.is_none() => match word.value.to_ascii_uppercase().as_str() {
            "AND" | "OR" | "XOR" => Weight::Logical,
            "SELECT" | "FROM" | "WHERE" | "ON" | "HAVING" | "QUALIFY" | "GROUP" | "ORDER" | "WHEN" | "THEN"
            | "ELSE" => Weight::Separator,
            "NOT" | "IS" | "LIKE" | "ILIKE" | "SIMILAR" | "BETWEEN" | "IN" | "COLLATE" | "AT" | "DIV" | "OVERLAPS" => {
                Weight::Operator
            }
            "UNION" | "EXCEPT" | "INTERSECT" | "MINUS" | "JOIN" => Weight::Set,
            "CASE" => Weight::Open { case: true },
            "END" => Weight::Close { case: true },
            _ => Weight::None,
        },
        Token::Whitespace(_)
        | Token::Word(_)
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::Period
        | Token::EOF => Weight::None,
        _ => Weight::Operator,
    }
}

/// Makes `orders@v3` and `orders@2026-01-31T00:00:00Z`, which are several tokens, one name each.
fn join_versions(tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>> {
    let mut joined: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let (Token::AtSign, Some(name)) = (&token.token, joined.last().and_then(|last| name_of(&last.token))) else {
            joined.push(token.clone());
            at += 1;
            continue;
        };
        let Some((suffix, length)) = longest_version(&tokens[at + 1..]) else {
            let text: String = tokens[at + 1..].iter().map_while(|token| part_of_version(&token.token)).collect();
            // Says what is wrong with it, in the words for references outside of SQL.
            let wrong = split_version(&format!("./t@{text}")).err();
            let wrong = wrong.unwrap_or_else(|| Error::invalid("not a version of a table").with_object(text.clone()));
            return Err(Error::invalid(wrong.message())
                .with_object(format!("{name}@{text}, {}", place(token.span.start)))
                .with_hint(wrong.hint().unwrap_or("a version looks like @v12 or @2026-01-31T00:00:00Z")));
        };
        let word = match joined.last().map(|last| &last.token) {
            Some(Token::SingleQuotedString(_)) => Token::SingleQuotedString(format!("{name}@{suffix}")),
            _ => Token::Word(Word {
                value: format!("{name}@{suffix}"),
                quote_style: Some('"'),
                keyword: datafusion::sql::sqlparser::keywords::Keyword::NoKeyword,
            }),
        };
        if let Some(last) = joined.last_mut() {
            last.token = word;
            last.span.end = tokens[at + length].span.end;
        }
        at += 1 + length;
    }
    Ok(joined)
}

fn name_of(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) => Some(word.value.clone()),
        Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => Some(text.clone()),
        _ => None,
    }
}

/// The longest version that the tokens begin with, and how many of them it takes.
fn longest_version(tokens: &[TokenWithSpan]) -> Option<(String, usize)> {
    let (mut text, mut longest) = (String::new(), None);
    for (at, token) in tokens.iter().enumerate() {
        let Some(part) = part_of_version(&token.token) else { break };
        text.push_str(&part);
        if parse_at(&text).is_ok() {
            longest = Some((text.clone(), at + 1));
        }
    }
    // A number that more hangs on to is the start of a time that is none.
    longest.filter(|(text, length)| {
        let number = text.bytes().all(|byte| byte.is_ascii_digit());
        let next = tokens.get(*length).filter(|next| next.span.start == tokens[length - 1].span.end);
        !number || next.is_none_or(|next| part_of_version(&next.token).is_none())
    })
}

fn part_of_version(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.clone()),
        Token::Number(..) | Token::Minus | Token::Plus | Token::Colon | Token::Period => Some(token.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lake_format::ErrorKind;

    use super::*;

    fn refused(text: &str) -> Error {
        parse(text).expect_err(text)
    }

    #[test]
    fn one_statement_is_read_with_or_without_a_semicolon() {
        for text in [
            "SELECT 1",
            " select 1 ; ",
            "SELECT 1;;-- end",
            "(SELECT 1)",
            "VALUES (1)",
            "WITH a AS (SELECT 1) SELECT * FROM a",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in ["", "  ", ";", "-- nothing"] {
            assert_eq!(refused(text).to_string(), "there is no SQL statement", "{text:?}");
        }
        let error = refused("SELECT ';'; DROP TABLE x");
        assert_eq!((error.kind(), error.object()), (ErrorKind::Invalid, Some("SELECT, DROP")));
    }

    #[test]
    fn versions_are_read_behind_names_and_left_alone_in_strings() {
        let shown = |text: &str| parse(text).unwrap().to_string();
        assert_eq!(shown("SELECT * FROM a.b@v3"), r#"SELECT * FROM a."b@v3""#);
        assert_eq!(shown("SELECT * FROM a.b@7 x"), r#"SELECT * FROM a."b@7" x"#);
        assert_eq!(shown("SELECT * FROM a.b@v3 x, c.d@v0"), r#"SELECT * FROM a."b@v3" x, c."d@v0""#);
        assert_eq!(
            shown("SELECT * FROM (SELECT 1 FROM t@2026-01-31)"),
            r#"SELECT * FROM (SELECT 1 FROM "t@2026-01-31")"#
        );
        for time in
            ["2026-01-31T00:00:00Z", "2026-01-31T09:05:07.250Z", "2026-01-31T00:00:00+02:00", "2026-01-31T00:00"]
        {
            assert_eq!(
                shown(&format!("SELECT * FROM t@{time} WHERE a")),
                format!(r#"SELECT * FROM "t@{time}" WHERE a"#)
            );
        }
        assert_eq!(shown(r#"SELECT * FROM "./t"@v1"#), r#"SELECT * FROM "./t@v1""#);
        assert_eq!(shown("SELECT * FROM './t'@v1"), "SELECT * FROM './t@v1'");
        assert_eq!(shown("SELECT 'a@v3', 'it''s'"), "SELECT 'a@v3', 'it''s'");
        assert_eq!(shown("SELECT a@v3 FROM t -- b@v4"), r#"SELECT "a@v3" FROM t"#);
    }

    #[test]
    fn a_version_that_is_none_is_named() {
        let error = refused("SELECT *\nFROM a.b@v3x");
        assert_eq!(error.object(), Some("b@v3x, line 2, column 9"));
        assert!(refused("SELECT * FROM a.b@2026-13-01").hint().unwrap().contains("2026-01-31"));
        assert_eq!(refused("SELECT * FROM a.b@work").kind(), ErrorKind::Invalid);
    }

    #[test]
    fn errors_say_where() {
        assert_eq!(refused("SELECT *\nFORM t").object(), Some("line 2, column 1"));
        assert_eq!(refused("SELECT 'x").kind(), ErrorKind::Invalid);
        assert_eq!(refused("SELECT 1 SELECT 2").kind(), ErrorKind::Invalid);
        assert_eq!(refused("hello world").kind(), ErrorKind::Invalid);
    }

    #[test]
    fn nesting_beyond_measure_is_an_error() {
        let deep = |open: &str, close: &str| format!("SELECT {}1{}", open.repeat(10_000), close.repeat(10_000));
        let long = |part: &str, count: usize| format!("SELECT 1{}", part.repeat(count));
        let texts = [
            deep("(", ")"),
            deep("(SELECT ", ")"),
            deep("NOT ", ""),
            deep("- ", ""),
            deep("[", "]"),
            deep("f(", ")"),
            deep("CASE WHEN true THEN ", " END"),
            format!("SELECT {}1{}", "(SELECT ".repeat(30), ")".repeat(30)),
            long(" + 1", 100_000),
            long(" OR true", 100_000),
            long("::int", 100_000),
            long(" IS NULL", 100_000),
            long(" UNION ALL SELECT 1, 2", 100_000),
            long("[1]", 100_000),
            format!("SELECT * FROM a{}", " JOIN a USING (x)".repeat(100_000)),
        ];
        for text in texts {
            let error = refused(&text);
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.message().contains("too deep"), "{error}: {}", &text[..40]);
        }
        assert!(parse(&long(" OR a + 1 = 1", 400)).is_ok());
        assert!(parse(&format!("SELECT CASE a{} END", " WHEN 1 + 1 THEN 2 + 2".repeat(100_000))).is_ok());
        assert!(parse(&format!("{}SELECT 1{}", "SELECT * FROM (".repeat(40), ")".repeat(40))).is_ok());
        assert!(parse(&long(" + CASE WHEN a THEN 1 END", 100_000)).is_err());
        assert!(parse(&format!("SELECT 1 IN (1{})", ", 1".repeat(100_000))).is_ok());
    }
}
