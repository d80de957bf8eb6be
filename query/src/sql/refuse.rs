//! Statements that are never run, refused by name before anything is looked at.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use lake_format::{Error, Result};

/// Statements of SQL and of its neighbours that are not ours, each with what to do instead.
const REFUSED: &[(&str, &str)] = &[
    ("ALTER", "change a table with `lake alter`"),
    ("ANALYZE", "statistics are kept with every write"),
    ("ATTACH", ONE_STATEMENT),
    ("BEGIN", ONE_STATEMENT),
    ("CACHE", ONE_STATEMENT),
    ("CALL", ONE_STATEMENT),
    ("CLONE", ONE_STATEMENT),
    ("COMMENT", "change a table with `lake alter`"),
    ("COMMIT", ONE_STATEMENT),
    ("COPY", "read files with `lake import`, write them with `lake sql --format`"),
    ("DEALLOCATE", ONE_STATEMENT),
    ("DECLARE", ONE_STATEMENT),
    ("DETACH", ONE_STATEMENT),
    ("DISCARD", ONE_STATEMENT),
    ("DROP", "catalog tables are managed with `lake tables`"),
    ("END", ONE_STATEMENT),
    ("EXECUTE", ONE_STATEMENT),
    ("FETCH", ONE_STATEMENT),
    ("GRANT", ONE_STATEMENT),
    ("INSTALL", ONE_STATEMENT),
    ("KILL", ONE_STATEMENT),
    ("LOAD", "read files with `lake import`"),
    ("LOCK", ONE_STATEMENT),
    ("MSCK", ONE_STATEMENT),
    ("OPTIMIZE", "use `lake optimize`"),
    ("PRAGMA", ONE_STATEMENT),
    ("PREPARE", ONE_STATEMENT),
    ("REFRESH", "every statement reads the newest version"),
    ("RELEASE", ONE_STATEMENT),
    ("RENAME", "catalog tables are managed with `lake tables`"),
    ("REPLACE", REWRITE),
    ("RESET", SETTINGS),
    ("RESTORE", "use `lake restore`"),
    ("REVOKE", ONE_STATEMENT),
    ("ROLLBACK", ONE_STATEMENT),
    ("SAVEPOINT", ONE_STATEMENT),
    ("SET", SETTINGS),
    ("SHOW", "list tables with `lake tables`, see one with `lake show` or DESCRIBE"),
    ("START", ONE_STATEMENT),
    ("TRUNCATE", REWRITE),
    ("UNCACHE", ONE_STATEMENT),
    ("UNLOAD", "write files with `lake sql --format`"),
    ("USE", "name tables with their schema, as in bronze.orders"),
    ("VACUUM", "use `lake vacuum`"),
];

const REWRITE: &str = "replace the rows with INSERT OVERWRITE … SELECT, which keeps the older version";
const SETTINGS: &str = "settings are flags and environment variables";
const ONE_STATEMENT: &str = "queries, CREATE TABLE, INSERT, DELETE, UPDATE and MERGE are run, each on its own";

/// Words that may stand between CREATE and what is created.
const BETWEEN: &[&str] = &[
    "OR",
    "REPLACE",
    "ALTER",
    "TEMP",
    "TEMPORARY",
    "GLOBAL",
    "LOCAL",
    "TRANSIENT",
    "EXTERNAL",
    "UNLOGGED",
    "MATERIALIZED",
    "UNIQUE",
    "VOLATILE",
    "DYNAMIC",
    "RECURSIVE",
];

/// Refuses a statement that begins like one that is never run.
pub(super) fn refuse(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut words = tokens.iter().filter_map(|token| match &token.token {
        Token::Whitespace(_) => None,
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
        _ => Some(String::new()),
    });
    let Some(first) = words.next() else { return Ok(()) };
    if first == "CREATE" {
        let mut name = vec![first];
        for word in words.by_ref().take(BETWEEN.len()) {
            let more = BETWEEN.contains(&word.as_str());
            name.push(word);
            if !more {
                break;
            }
        }
        // Anything else than a word is left to the parser, which says what is missing.
        return match name.last().map(String::as_str) {
            Some("TABLE" | "" | "CREATE") => Ok(()),
            _ => Err(refused(&name.join(" "), ONE_STATEMENT)),
        };
    }
    match REFUSED.iter().find(|(verb, _)| *verb == first) {
        Some(("SHOW", hint)) => {
            let what: Vec<String> =
                std::iter::once(first).chain(words.next()).filter(|word| !word.is_empty()).collect();
            Err(refused(&what.join(" "), hint))
        }
        Some((verb, hint)) => Err(refused(verb, hint)),
        None => Ok(()),
    }
}

/// The refusal of a statement by its name.
pub(super) fn refused(statement: &str, hint: &str) -> Error {
    Error::unsupported(format!("the statement {statement} is not run by this version of Lake")).with_hint(hint)
}

/// The refusal of a part of a statement that is run otherwise.
pub(super) fn refused_part(part: &str) -> Error {
    Error::unsupported(format!("{part} is not done by this version of Lake")).with_hint("leave it out; nothing was run")
}

#[cfg(test)]
mod tests {
    use lake_format::ErrorKind;

    use super::super::text::parse;

    #[test]
    fn other_statements_are_refused_by_name() {
        for (text, name) in [
            ("truncate table t", "TRUNCATE"),
            ("REPLACE INTO t VALUES (1)", "REPLACE"),
            ("/* c */ DROP TABLE t", "DROP"),
            ("CREATE VIEW v AS SELECT 1", "CREATE VIEW"),
            ("create or replace temporary view v as select 1", "CREATE OR REPLACE TEMPORARY VIEW"),
            ("CREATE SCHEMA s", "CREATE SCHEMA"),
            ("SHOW TABLES", "SHOW TABLES"),
            ("SET a = 1", "SET"),
            ("BEGIN", "BEGIN"),
            ("VACUUM t", "VACUUM"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{text}");
            assert_eq!(error.message(), format!("the statement {name} is not run by this version of Lake"));
            assert!(error.hint().is_some());
        }
        assert_eq!(parse("CREATE").expect_err("nothing is created").kind(), ErrorKind::Invalid);
    }
}
