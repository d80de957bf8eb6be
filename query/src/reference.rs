//! Which table is meant: a path, a URL or a catalog name, and which version of it.

use std::fmt;

use chrono::{NaiveDate, NaiveTime};
use lake_format::snapshot::At;
use lake_format::{Error, Result};

const MS_PER_MINUTE: i64 = 60_000;

/// A table as a user names it, and the version wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRef {
    /// Where it is.
    pub place: Place,
    /// Which version of it.
    pub at: At,
}

/// Where a table is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A local path or a URL.
    Location(String),
    /// A name in a catalog.
    Name {
        /// The catalog; the session's own when absent.
        catalog: Option<String>,
        /// The schema.
        schema: String,
        /// The table.
        table: String,
    },
}

impl TableRef {
    /// Reads `./trips`, `/data/trips`, `s3://bucket/trips`, `schema.table` or `catalog.schema.table`, each with
    /// `@v12`, `@12` or a time as for [`parse_time`] behind it, if wanted. One word is a local path. A path that itself ends
    /// like `@v12` is written with a slash behind.
    ///
    /// # Errors
    /// `Invalid`, with a hint at the right form.
    pub fn parse(text: &str) -> Result<Self> {
        let (place, at) = split_version(text)?;
        if place.is_empty() {
            return Err(invalid("a table reference is empty", text));
        }
        let place = parse_place(place).map_err(|error| error.with_object(text.to_owned()))?;
        Ok(Self { place, at })
    }

    /// The newest version of the table at `place`.
    pub fn newest(place: Place) -> Self {
        Self { place, at: At::Latest }
    }
}

impl Place {
    /// The name of the table alone: the last part of a name, the last directory of a path.
    pub fn last_part(&self) -> &str {
        match self {
            Self::Name { table, .. } => table,
            Self::Location(location) => {
                let trimmed = location.trim_end_matches(['/', '\\']);
                trimmed.rsplit(['/', '\\']).next().unwrap_or(trimmed)
            }
        }
    }
}

impl fmt::Display for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)?;
        match self.at {
            At::Latest => Ok(()),
            At::Version(version) => write!(f, "@v{version}"),
            At::Timestamp(ms) | At::NewestBy(ms) => match chrono::DateTime::from_timestamp_millis(ms) {
                Some(time) if ms % 1000 == 0 => write!(f, "@{}", time.format("%Y-%m-%dT%H:%M:%SZ")),
                Some(time) => write!(f, "@{}", time.format("%Y-%m-%dT%H:%M:%S%.3fZ")),
                None => write!(f, "@{ms} ms"),
            },
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Location(location) => f.write_str(location),
            Self::Name { catalog, schema, table } => {
                if let Some(catalog) = catalog {
                    write!(f, "{catalog}.")?;
                }
                write!(f, "{schema}.{table}")
            }
        }
    }
}

/// Whether `part` can be a catalog's, a schema's or a table's name.
pub(crate) fn is_name(part: &str) -> bool {
    let mut chars = part.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    first && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// The text before the version's `@`, and the version. An `@` that nothing like a version follows is part of a path.
pub(crate) fn split_version(text: &str) -> Result<(&str, At)> {
    let Some((place, suffix)) = text.rsplit_once('@') else { return Ok((text, At::Latest)) };
    if suffix.contains(['/', '\\']) {
        return Ok((text, At::Latest));
    }
    match parse_at(suffix) {
        Ok(at) => Ok((place, at)),
        Err(_) if is_path(text) && !suffix.starts_with(['v', 'V']) && !starts_with_digit(suffix) => {
            Ok((text, At::Latest))
        }
        Err(error) => Err(error.with_object(text.to_owned())),
    }
}

/// A version as it stands behind the `@`: `v12` or `12`, or a time.
pub(crate) fn parse_at(suffix: &str) -> Result<At> {
    if let Some(digits) = suffix.strip_prefix(['v', 'V']) {
        let version = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
        return version.map(At::Version).ok_or_else(|| {
            invalid("not a version of a table", suffix)
                .with_hint("a version looks like @v12; put a slash behind a path that ends in such a way")
        });
    }
    if !suffix.is_empty() && suffix.bytes().all(|b| b.is_ascii_digit()) {
        return suffix.parse().map(At::Version).map_err(|_| invalid("not a version of a table", suffix));
    }
    parse_time(suffix).map(At::Timestamp)
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

fn is_path(text: &str) -> bool {
    text.contains(['/', '\\']) || !text.contains('.')
}

fn parse_place(text: &str) -> Result<Place> {
    if text.contains(char::is_control) {
        return Err(Error::invalid("a table reference holds a control character"));
    }
    if is_path(text) || text == "." || text == ".." {
        return Ok(Place::Location(text.to_owned()));
    }
    let parts: Vec<&str> = text.split('.').collect();
    if let Some(odd) = parts.iter().find(|part| !is_name(part)) {
        return Err(Error::invalid(format!("{odd:?} is no name in a catalog")).with_hint(NAME_HINT));
    }
    let of = |part: &str| part.to_owned();
    match parts[..] {
        [schema, table] => Ok(Place::Name { catalog: None, schema: of(schema), table: of(table) }),
        [catalog, schema, table] => {
            Ok(Place::Name { catalog: Some(of(catalog)), schema: of(schema), table: of(table) })
        }
        _ => Err(Error::invalid(format!("a name of {} parts is no table", parts.len())).with_hint(NAME_HINT)),
    }
}

const NAME_HINT: &str = "a name is schema.table or catalog.schema.table; a path with a dot is written with ./ in front";

fn invalid(message: &str, text: &str) -> Error {
    Error::invalid(message).with_object(text.to_owned())
}

/// Milliseconds since the epoch of `2026-01-31`, `2026-01-31T12:30`, `2026-01-31 12:30:15.250`, each time of day with
/// `Z` or an offset like `+02:00` behind it; without one it is UTC. Digits below the millisecond are cut.
///
/// # Errors
/// `Invalid`, with a hint at the right form.
pub fn parse_time(text: &str) -> Result<i64> {
    read_time(text).ok_or_else(|| {
        invalid("not a time", text)
            .with_hint("a time looks like 2026-01-31, 2026-01-31T12:30:00Z or 2026-01-31T12:30:00+02:00")
    })
}

fn read_time(text: &str) -> Option<i64> {
    if !text.is_ascii() {
        return None;
    }
    let (date, rest) = text.split_at_checked(10)?;
    let date = read_date(date)?;
    let (time, offset_minutes) = match rest.strip_prefix(['T', 't', ' ']) {
        None if rest.is_empty() => (NaiveTime::MIN, 0),
        None => return None,
        Some(rest) => {
            let end = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
            let (clock, offset) = rest.split_at(end);
            (read_clock(clock)?, read_offset(offset)?)
        }
    };
    let local_ms = date.and_time(time).and_utc().timestamp_millis();
    local_ms.checked_sub(offset_minutes * MS_PER_MINUTE)
}

fn read_date(text: &str) -> Option<NaiveDate> {
    let (year, rest) = text.split_once('-')?;
    let (month, day) = rest.split_once('-')?;
    NaiveDate::from_ymd_opt(i32::try_from(digits(year, 4)?).ok()?, digits(month, 2)?, digits(day, 2)?)
}

fn read_clock(text: &str) -> Option<NaiveTime> {
    let mut parts = text.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let (second, ms) = match parts.next() {
        None => (0, 0),
        Some(seconds) => {
            let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
            if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            (digits(whole, 2)?, format!("{fraction:0<3}").get(..3)?.parse().ok()?)
        }
    };
    if parts.next().is_some() {
        return None;
    }
    NaiveTime::from_hms_milli_opt(hour, minute, second, ms)
}

/// Minutes east of UTC.
fn read_offset(text: &str) -> Option<i64> {
    if matches!(text, "" | "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some(parts) => parts,
        None if rest.len() == 4 => rest.split_at_checked(2)?,
        None => (rest, "00"),
    };
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours <= 18 && minutes < 60).then(|| sign * i64::from(hours * 60 + minutes))
}

/// Exactly `count` digits.
fn digits(text: &str, count: usize) -> Option<u32> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use lake_format::ErrorKind;
    use proptest::prelude::*;

    use super::*;

    fn location(text: &str) -> Place {
        Place::Location(text.to_owned())
    }

    fn name(catalog: Option<&str>, schema: &str, table: &str) -> Place {
        Place::Name { catalog: catalog.map(str::to_owned), schema: schema.to_owned(), table: table.to_owned() }
    }

    #[test]
    fn paths_and_urls_are_locations() {
        for text in
            ["trips", "./trips", "/data/a.b/trips", "../x", ".", "s3://bucket/t", "file:///x", "my trips", "a-b"]
        {
            let parsed = TableRef::parse(text).unwrap();
            assert_eq!(parsed, TableRef::newest(location(text)), "{text}");
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn dotted_words_are_names() {
        assert_eq!(TableRef::parse("bronze.orders").unwrap().place, name(None, "bronze", "orders"));
        assert_eq!(TableRef::parse("lake.gold.day-sales").unwrap().place, name(Some("lake"), "gold", "day-sales"));
        for text in ["a.b.c.d", "a..b", ".b", "a.", "-a.b", "a.b c", "a.ü"] {
            let error = TableRef::parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert_eq!(error.hint(), Some(NAME_HINT), "{text}");
        }
    }

    #[test]
    fn a_version_or_a_time_stands_behind_an_at_sign() {
        let at = |text: &str| TableRef::parse(text).unwrap().at;
        assert_eq!(at("./trips@v12"), At::Version(12));
        assert_eq!((at("./trips@12"), at("a.b@20260131")), (At::Version(12), At::Version(20_260_131)));
        assert_eq!(at("bronze.orders@v0"), At::Version(0));
        assert_eq!(at("s3://b/t@1970-01-02"), At::Timestamp(86_400_000));
        assert_eq!(at("a.b.c@1970-01-01T00:00:01.5Z"), At::Timestamp(1_500));
        assert_eq!(TableRef::parse("./a@b/t@v1").unwrap(), TableRef { place: location("./a@b/t"), at: At::Version(1) });
    }

    #[test]
    fn an_at_sign_may_be_part_of_a_path() {
        for text in ["./me@work", "s3://b/x@y/t", "./old@v3/", "/data/a@v1/t"] {
            assert_eq!(TableRef::parse(text).unwrap(), TableRef::newest(location(text)), "{text}");
        }
    }

    #[test]
    fn what_looks_like_a_version_and_is_none_is_refused() {
        for text in [
            "./trips@v",
            "./trips@v1x",
            "./trips@v-1",
            "./t@v99999999999999999999",
            "./t@2026-13-01",
            "./t@2026-1-1",
            "./t@99999999999999999999",
            "a.b@work",
            "a.b@",
            "./t@2026-01-31T25:00:00Z",
            "./t@2026-02-30",
            "@v3",
            "",
        ] {
            let error = TableRef::parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
        }
        assert!(TableRef::parse("./a\u{1b}[2J").is_err());
    }

    #[test]
    fn times_are_read_in_utc_unless_they_say_otherwise() {
        let noon = 1_769_860_800_000;
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00",
            "2026-01-31t12:00:00.000z",
            "2026-01-31T14:00:00+02:00",
            "2026-01-31T14:00+0200",
            "2026-01-31T14:00:00+02",
            "2026-01-31T06:30:00-05:30",
            "2026-01-31T12:00:00.000999Z",
        ] {
            assert_eq!(parse_time(text).unwrap(), noon, "{text}");
        }
        assert_eq!(parse_time("2026-01-31T12:00:00.25Z").unwrap(), noon + 250);
        assert_eq!(parse_time("1969-12-31T23:59:59.999Z").unwrap(), -1);
        for text in [
            "2026-01-31T",
            "2026-01-31T12",
            "2026-01-31T12:00:60Z",
            "2026-01-31Z",
            "2026-01-31T12:00:00.Z",
            "20260131",
            "2026-01-31T12:00:00+19:00",
            "2026-01-31T12:00:00+1",
            "+026-01-31",
            "2026-01-31T+1:00",
            "２０26-01-31",
            "now",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_last_part_names_the_table() {
        assert_eq!(location("s3://b/trips/").last_part(), "trips");
        assert_eq!(location("trips").last_part(), "trips");
        assert_eq!(name(None, "a", "b").last_part(), "b");
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails_and_comes_back(text in "[a-z./@v0-9:TZ +-]{0,30}|\\PC{0,20}") {
            if let Ok(parsed) = TableRef::parse(&text) {
                prop_assert_eq!(TableRef::parse(&parsed.to_string()).unwrap(), parsed);
            }
        }

        #[test]
        fn any_time_comes_back(ms in -62_135_596_800_000_i64..253_402_300_800_000) {
            let reference = TableRef { place: location("./t"), at: At::Timestamp(ms) };
            prop_assert_eq!(TableRef::parse(&reference.to_string()).unwrap(), reference);
        }
    }
}
