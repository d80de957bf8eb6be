//! How values of flags are read: sizes, durations, versions, assignments.

use lake_format::{At, Durability, Error};
use lake_query::parse_time;

const SECOND_MS: i64 = 1_000;
const DAY_MS: i64 = 24 * 60 * 60 * SECOND_MS;

/// Bytes, as `134217728`, `128MiB`, `1.5g`. Units are powers of 1024, with or without the `i`.
///
/// # Errors
/// Text for the user.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let problem = || format!("{text:?} is not a size: write a number and B, KiB, MiB, GiB or TiB");
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c.is_whitespace());
    let shift = match lower[digits.len()..].trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(problem()),
    };
    let unit = 1_u64 << shift;
    let (whole, part) = digits.trim().split_once('.').unwrap_or((digits.trim(), ""));
    if !whole.chars().chain(part.chars()).all(|c| c.is_ascii_digit()) || part.len() > 9 {
        return Err(problem());
    }
    let whole: u64 = whole.parse().map_err(|_| problem())?;
    let part_bytes = match part {
        "" => 0,
        part => {
            let numerator: u128 = part.parse().map_err(|_| problem())?;
            let denominator = 10_u128.pow(u32::try_from(part.len()).map_err(|_| problem())?);
            u64::try_from(numerator * u128::from(unit) / denominator).map_err(|_| problem())?
        }
    };
    let bytes = whole.checked_mul(unit).and_then(|bytes| bytes.checked_add(part_bytes)).ok_or_else(problem)?;
    if bytes == 0 { Err(problem()) } else { Ok(bytes) }
}

/// `full` or `none`.
///
/// # Errors
/// Text for the user.
pub fn parse_durability(text: &str) -> Result<Durability, String> {
    Durability::parse(text).map_err(|error| error.message().to_owned())
}

/// Milliseconds, as `7 days`, `168h`, `1h 30m`, `0s`.
///
/// # Errors
/// Text for the user.
pub fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let problem = || format!("{text:?} is not a duration: write a number and a unit, as \"7 days\", 168h or 30m");
    let mut rest = text.trim();
    let mut total: i64 = 0;
    if rest.is_empty() {
        return Err(problem());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(problem)?;
        let count: i64 = rest[..digits].parse().map_err(|_| problem())?;
        let behind = rest[digits..].trim_start();
        let letters = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let unit_ms = match behind[..letters].to_ascii_lowercase().as_str() {
            "ms" | "millisecond" | "milliseconds" => 1,
            "s" | "sec" | "secs" | "second" | "seconds" => SECOND_MS,
            "m" | "min" | "mins" | "minute" | "minutes" => 60 * SECOND_MS,
            "h" | "hour" | "hours" => 60 * 60 * SECOND_MS,
            "d" | "day" | "days" => DAY_MS,
            "w" | "week" | "weeks" => 7 * DAY_MS,
            _ => return Err(problem()),
        };
        total = count.checked_mul(unit_ms).and_then(|ms| total.checked_add(ms)).ok_or_else(problem)?;
        rest = behind[letters..].trim_start();
    }
    Ok(total)
}

/// `key=value`. The value may be empty and may hold further `=`.
///
/// # Errors
/// Text for the user.
pub fn parse_assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not an assignment: write key=value")),
    }
}

/// A version (`v3`, `3`) or a time (`2026-01-31`, `2026-01-31T08:00:00Z`), with or without `@` in front.
///
/// # Errors
/// `Invalid`, with what is expected.
pub fn parse_at(text: &str) -> Result<At, Error> {
    let text = text.strip_prefix('@').unwrap_or(text);
    let digits = text.strip_prefix(['v', 'V']).unwrap_or(text);
    if !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()) {
        let version =
            digits.parse().map_err(|_| Error::invalid("no table has that many versions").with_object(text))?;
        return Ok(At::Version(version));
    }
    parse_time(text).map(At::Timestamp).map_err(|_| {
        Error::invalid("neither a version nor a time")
            .with_object(text)
            .with_hint("write a version as v3, or a time as 2026-01-31 or 2026-01-31T08:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1", 1),
            ("12 b", 12),
            ("128MiB", 128 << 20),
            ("128mb", 128 << 20),
            ("2g", 2 << 30),
            ("1.5 GiB", 3 << 29),
            ("0.5k", 512),
            ("1t", 1 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in [
            "",
            "0",
            "x",
            "-1",
            "1.5.5g",
            "99999999999999999999",
            "20000000t",
            "1e3",
            "1 parsec",
            ".",
            "1.0000000000001g",
        ] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations() {
        for (text, ms) in
            [("7 days", 7 * DAY_MS), ("168h", 7 * DAY_MS), ("1h 30m", 5_400_000), ("0s", 0), ("2w", 14 * DAY_MS)]
        {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
        }
        for bad in ["", "7", "days", "-1d", "7 dayz", "1h x", "9223372036854775807w"] {
            assert!(parse_duration_ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_and_times() {
        assert_eq!(parse_at("v3").expect("version"), At::Version(3));
        assert_eq!(parse_at("@12").expect("version"), At::Version(12));
        assert_eq!(parse_at("1970-01-02").expect("day"), At::Timestamp(DAY_MS));
        for bad in ["", "v", "vx", "v-1", "yesterday", "v99999999999999999999"] {
            assert!(parse_at(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn assignments() {
        assert_eq!(parse_assignment("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(parse_assignment(" a ="), Ok(("a".to_owned(), String::new())));
        assert!(parse_assignment("a").is_err() && parse_assignment("=b").is_err());
    }
}
