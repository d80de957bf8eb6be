//! A predicate as people read it, for EXPLAIN.

use std::fmt::Write;

use chrono::{DateTime, TimeDelta};
use lake_format::expr::{CompareOp, Predicate, Scalar};

/// Longer texts are cut.
const LONGEST: usize = 400;
/// Values of a list shown.
const LISTED: usize = 5;

/// `predicate` in SQL's words, cut when it is long.
pub(crate) fn show(predicate: &Predicate) -> String {
    let mut out = String::new();
    write(predicate, false, &mut out);
    match out.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &out[..end]),
        None => out,
    }
}

fn write(predicate: &Predicate, inside: bool, out: &mut String) {
    // Writing to a String does not fail; what is cut anyway need not be written.
    let _ = match predicate {
        _ if out.len() > 4 * LONGEST => Ok(()),
        Predicate::Literal(value) => write!(out, "{value}"),
        Predicate::Compare { column, op, value } => write!(out, "{column} {} {}", sign(*op), text(value)),
        Predicate::IsNull(column) => write!(out, "{column} IS NULL"),
        Predicate::IsNotNull(column) => write!(out, "{column} IS NOT NULL"),
        Predicate::In { column, values } => {
            let shown: Vec<String> = values.iter().take(LISTED).map(text).collect();
            let more = if values.len() > LISTED { ", …" } else { "" };
            write!(out, "{column} IN ({}{more})", shown.join(", "))
        }
        Predicate::And(parts) => {
            joined(parts, " AND ", inside, out);
            Ok(())
        }
        Predicate::Or(parts) => {
            joined(parts, " OR ", inside, out);
            Ok(())
        }
        Predicate::Not(inner) => {
            out.push_str("NOT (");
            write(inner, false, out);
            out.push(')');
            Ok(())
        }
    };
}

fn joined(parts: &[Predicate], between: &str, inside: bool, out: &mut String) {
    if inside {
        out.push('(');
    }
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.push_str(between);
        }
        write(part, true, out);
    }
    if inside {
        out.push(')');
    }
}

fn sign(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Eq => "=",
        CompareOp::NotEq => "<>",
        CompareOp::Lt => "<",
        CompareOp::LtEq => "<=",
        CompareOp::Gt => ">",
        CompareOp::GtEq => ">=",
    }
}

fn text(value: &Scalar) -> String {
    match value {
        Scalar::String(text) => format!("'{}'", text.replace('\'', "''")),
        Scalar::Date(days) => TimeDelta::try_days(i64::from(*days))
            .and_then(|since| DateTime::UNIX_EPOCH.checked_add_signed(since))
            .map_or_else(|| value.to_string(), |day| day.format("%Y-%m-%d").to_string()),
        Scalar::Timestamp(micros) => moment(*micros, "Z").unwrap_or_else(|| value.to_string()),
        Scalar::TimestampNtz(micros) => moment(*micros, "").unwrap_or_else(|| value.to_string()),
        other => other.to_string(),
    }
}

fn moment(micros: i64, zone: &str) -> Option<String> {
    let time = DateTime::from_timestamp_micros(micros)?;
    Some(format!("{}{zone}", time.format("%Y-%m-%dT%H:%M:%S%.f")))
}
