//! What the engine's failures mean: kind, place in the text and the next step.

use datafusion::arrow::error::ArrowError;
use datafusion::common::utils::datafusion_strsim::levenshtein;
use datafusion::common::{Column, Diagnostic, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use lake_format::{Error, ErrorKind};

/// Names listed in a hint, at most.
const LISTED_NAMES: usize = 20;

/// Carries one of our errors through the engine. [`from_engine`] gives it back.
pub(crate) fn into_engine(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The engine's failure as ours.
pub(crate) fn from_engine(error: &DataFusionError) -> Error {
    let mut error = error;
    let mut place = None;
    loop {
        match error {
            DataFusionError::Context(_, inner) => error = inner,
            DataFusionError::Shared(inner) => error = inner,
            DataFusionError::Diagnostic(diagnostic, inner) => {
                place = place.or_else(|| place_of(diagnostic));
                error = inner;
            }
            DataFusionError::Collection(all) if !all.is_empty() => error = &all[0],
            _ => break,
        }
    }
    let translated = translate(error);
    match place {
        Some(place) if translated.kind() == ErrorKind::Invalid => translated.with_object(place),
        _ => translated,
    }
}

fn place_of(diagnostic: &Diagnostic) -> Option<String> {
    let start = diagnostic.span?.start;
    (start.line > 0).then(|| format!("line {}, column {}", start.line, start.column))
}

fn translate(error: &DataFusionError) -> Error {
    match error {
        DataFusionError::External(inner) => from_external(inner.as_ref()),
        DataFusionError::ArrowError(inner, _) => from_arrow(inner),
        DataFusionError::SQL(inner, _) => from_parser(inner),
        DataFusionError::SchemaError(inner, _) => from_schema(inner),
        DataFusionError::ObjectStore(inner) => {
            Error::new(store_kind(inner), "a file could not be read").with_source(inner.to_string())
        }
        DataFusionError::IoError(inner) => {
            let kind = Error::from(std::io::Error::from(inner.kind())).kind();
            Error::new(kind, "file access failed").with_source(inner.to_string())
        }
        DataFusionError::ParquetError(inner) => {
            Error::corrupt("a Parquet file is damaged").with_source(inner.to_string())
        }
        DataFusionError::NotImplemented(text) => Error::unsupported(clean(text)),
        DataFusionError::Plan(text) | DataFusionError::Configuration(text) => Error::invalid(clean(text)),
        DataFusionError::Execution(text) => Error::invalid(clean(text)),
        DataFusionError::ResourcesExhausted(text) => exhausted(text),
        DataFusionError::Internal(text) => Error::internal("the query engine failed").with_source(clean(text)),
        other => Error::internal("the query engine failed").with_source(other.strip_backtrace()),
    }
}

fn store_kind(error: &datafusion::object_store::Error) -> ErrorKind {
    use datafusion::object_store::Error as E;
    match error {
        E::NotFound { .. } => ErrorKind::NotFound,
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => ErrorKind::Denied,
        E::InvalidPath { .. } => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    }
}

fn exhausted(text: &str) -> Error {
    let first = text.lines().next().unwrap_or_default();
    if text.contains("disk") || text.contains("spill") && text.contains("limit") {
        return Error::unavailable("the disk space for spilling is used up")
            .with_source(clean(first))
            .with_hint("free some, or name a larger disk with --spill-dir");
    }
    Error::unavailable("the query needs more memory than it may use")
        .with_source(clean(first))
        .with_hint("raise the limit with --memory, or read fewer columns and rows")
}

type External = dyn std::error::Error + Send + Sync + 'static;

fn from_external(error: &External) -> Error {
    if let Some(ours) = error.downcast_ref::<Error>() {
        return copy(ours);
    }
    if let Some(inner) = error.downcast_ref::<DataFusionError>() {
        return from_engine(inner);
    }
    if let Some(inner) = error.downcast_ref::<ArrowError>() {
        return from_arrow(inner);
    }
    Error::internal("the query engine failed").with_source(error.to_string())
}

/// The same error once more; its cause as text.
fn copy(error: &Error) -> Error {
    let mut copied = Error::new(error.kind(), error.message());
    if let Some(object) = error.object() {
        copied = copied.with_object(object);
    }
    if let Some(hint) = error.hint() {
        copied = copied.with_hint(hint);
    }
    match std::error::Error::source(error) {
        Some(source) => copied.with_source(source.to_string()),
        None => copied,
    }
}

fn from_arrow(error: &ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(inner) => from_external(inner.as_ref()),
        ArrowError::DivideByZero => {
            Error::invalid("a number is divided by zero").with_hint("guard the divisor, for example with nullif(x, 0)")
        }
        ArrowError::CastError(text) | ArrowError::ParseError(text) => {
            Error::invalid("a value can't be converted").with_source(clean(text))
        }
        ArrowError::ArithmeticOverflow(text) => Error::invalid("a number is out of range").with_source(clean(text)),
        ArrowError::ComputeError(text)
        | ArrowError::InvalidArgumentError(text)
        | ArrowError::JsonError(text)
        | ArrowError::CsvError(text) => Error::invalid(clean(text)),
        ArrowError::NotYetImplemented(text) => Error::unsupported(clean(text)),
        ArrowError::IoError(text, inner) => {
            let kind = Error::from(std::io::Error::from(inner.kind())).kind();
            Error::new(kind, "file access failed").with_source(clean(text))
        }
        other => Error::internal("the query engine failed").with_source(other.to_string()),
    }
}

/// A text that is no SQL.
pub(crate) fn from_parser(error: &ParserError) -> Error {
    let text = match error {
        ParserError::RecursionLimitExceeded => return too_deep(),
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
    };
    let (text, place) = match text.rsplit_once(" at Line: ") {
        Some((before, place)) => (before, Some(format!("line {}", place.replace(", Column: ", ", column ")))),
        None => (text.as_str(), None),
    };
    let error = Error::invalid(format!("the SQL can't be read: {}", clean(text).replace(": ", " ")));
    match place {
        Some(place) => error.with_object(place),
        None => error,
    }
}

/// A statement whose parts are inside each other too often.
pub(crate) fn too_deep() -> Error {
    Error::invalid("the SQL is nested too deeply")
        .with_hint("split it with WITH, or write a long chain of OR as x IN (…)")
}

fn from_schema(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => unknown_column(field, valid_fields),
        SchemaError::AmbiguousReference { field } => {
            Error::invalid(format!("the column {:?} is in more than one table", field.name()))
                .with_hint(format!("write the table in front, as in t.{}", field.name()))
        }
        SchemaError::DuplicateQualifiedField { qualifier, name } => {
            Error::invalid(format!("there are two columns {:?}", format!("{}.{name}", qualifier.table())))
                .with_hint("give one of the tables another name with AS")
        }
        SchemaError::DuplicateUnqualifiedField { name } => {
            Error::invalid(format!("there are two columns {name:?}")).with_hint("give one of them another name with AS")
        }
    }
}

fn unknown_column(field: &Column, known: &[Column]) -> Error {
    let names: Vec<String> = known.iter().map(Column::flat_name).collect();
    let error = Error::invalid(format!("there is no column {:?}", field.flat_name()));
    match nearest(field.name(), known.iter().map(Column::name)) {
        Some(at) => error.with_hint(format!("did you mean {}?", names[at])),
        None if names.is_empty() => error,
        None => error.with_hint(listed("the columns are", &names)),
    }
}

/// `text a, b, c and 7 more`
pub(crate) fn listed(text: &str, names: &[String]) -> String {
    let shown = names.iter().take(LISTED_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(LISTED_NAMES) {
        Some(more) if more > 0 => format!("{text} {shown} and {more} more"),
        _ => format!("{text} {shown}"),
    }
}

/// Position of the name that `wanted` is most likely a slip of.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<usize> {
    let wanted = wanted.to_lowercase();
    let allowed = (wanted.chars().count() / 3).max(1);
    let distances = names.enumerate().map(|(at, name)| (levenshtein(&wanted, &name.to_lowercase()), at));
    distances.min().filter(|(distance, _)| *distance <= allowed).map(|(_, at)| at)
}

/// The engine's sentence in our style: one line, no capital in front, no full stop behind.
fn clean(text: &str) -> String {
    let text = text.split("\n\nbacktrace: ").next().unwrap_or(text);
    let text = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn our_own_errors_come_through_whatever_wraps_them() {
        let ours = || Error::not_found("a data file is gone").with_object("f").with_hint("h").with_source("cause");
        let wrapped = [
            into_engine(ours()),
            DataFusionError::Context("c".into(), Box::new(into_engine(ours()))),
            DataFusionError::Shared(Arc::new(into_engine(ours()))),
            DataFusionError::ArrowError(Box::new(ArrowError::ExternalError(Box::new(into_engine(ours())))), None),
            DataFusionError::ArrowError(Box::new(ArrowError::ExternalError(Box::new(ours()))), None),
        ];
        for error in wrapped {
            let back = from_engine(&error);
            assert_eq!((back.kind(), back.message()), (ErrorKind::NotFound, "a data file is gone"));
            assert_eq!((back.object(), back.hint()), (Some("f"), Some("h")));
            assert_eq!(back.to_string(), "a data file is gone (f): cause");
        }
    }

    #[test]
    fn a_parser_error_says_where() {
        let error =
            from_parser(&ParserError::ParserError("Expected: an expression, found: FROM at Line: 3, Column: 9".into()));
        assert_eq!(error.to_string(), "the SQL can't be read: expected an expression, found FROM (line 3, column 9)");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn an_unknown_column_hints_at_its_neighbour() {
        let known = ["customer_id", "amount"].map(Column::from_name);
        let of = |name: &str| unknown_column(&Column::from_name(name), &known).hint().map(str::to_owned);
        assert_eq!(of("custmer_id").as_deref(), Some("did you mean customer_id?"));
        assert_eq!(of("zzz").as_deref(), Some("the columns are customer_id, amount"));
    }

    #[test]
    fn too_little_memory_is_no_defect() {
        let error = from_engine(&DataFusionError::ResourcesExhausted("Failed to allocate. More\nlines".into()));
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.hint().unwrap().contains("--memory"));
    }

    #[test]
    fn sentences_are_trimmed_to_our_style() {
        assert_eq!(clean("Cannot do\n  that.\n\nbacktrace: 0x"), "cannot do that");
        assert_eq!(clean("SELECT is odd"), "SELECT is odd");
        assert_eq!(clean("É"), "É");
    }
}
