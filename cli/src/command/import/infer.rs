//! Which type a column of text has, judged by a sample of its values.

use chrono::NaiveDate;
use lake_format::schema::{DataType, PrimitiveType};

use super::convert::parse_moment;

/// Texts that other programs write for null. They are data until the user says otherwise, but worth a word.
const NULL_WORDS: &[&str] = &["NA", "N/A", "n/a", "null", "NULL", "\\N", "None", "nan", "NaN", "-"];

/// What the values of one column have in common.
#[derive(Clone, Debug)]
pub struct Guess {
    /// With every value.
    all: Traits,
    /// Without those that look like null.
    real: Traits,
    null_word: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Traits {
    any: bool,
    boolean: bool,
    long: bool,
    double: bool,
    date: bool,
    timestamp: bool,
}

impl Default for Guess {
    fn default() -> Self {
        let traits = Traits { any: false, boolean: true, long: true, double: true, date: true, timestamp: true };
        Self { all: traits, real: traits, null_word: None }
    }
}

impl Guess {
    /// Takes one value, not null, into account.
    pub fn see(&mut self, text: &str) {
        let text = text.trim();
        self.all.see(text);
        if NULL_WORDS.contains(&text) {
            self.null_word.get_or_insert_with(|| text.to_owned());
        } else {
            self.real.see(text);
        }
    }

    /// What two samples of one column have in common.
    pub fn join(&mut self, other: &Self) {
        self.all.join(other.all);
        self.real.join(other.real);
        if self.null_word.is_none() {
            self.null_word.clone_from(&other.null_word);
        }
    }

    /// The narrowest type that held every value.
    pub fn data_type(&self) -> DataType {
        DataType::Primitive(self.all.data_type())
    }

    /// The text that alone made this column one of strings, and the type that it would have without.
    pub fn spoilt_by(&self) -> Option<(&str, PrimitiveType)> {
        let without = self.real.data_type();
        let spoilt = self.real.any && self.all.data_type() != without;
        self.null_word.as_deref().filter(|_| spoilt).map(|word| (word, without))
    }
}

impl Traits {
    fn see(&mut self, text: &str) {
        self.any = true;
        self.boolean &= text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false");
        self.long &= is_long(text);
        self.double &= is_double(text);
        self.date &= is_date(text);
        self.timestamp = self.timestamp && (is_date(text) || parse_moment(text).is_some());
    }

    fn join(&mut self, other: Self) {
        self.any |= other.any;
        self.boolean &= other.boolean;
        self.long &= other.long;
        self.double &= other.double;
        self.date &= other.date;
        self.timestamp &= other.timestamp;
    }

    fn data_type(self) -> PrimitiveType {
        match self {
            Self { any: false, .. } => PrimitiveType::String,
            Self { boolean: true, .. } => PrimitiveType::Boolean,
            Self { long: true, .. } => PrimitiveType::Long,
            Self { double: true, .. } => PrimitiveType::Double,
            Self { date: true, .. } => PrimitiveType::Date,
            Self { timestamp: true, .. } => PrimitiveType::Timestamp,
            _ => PrimitiveType::String,
        }
    }
}

/// A whole number of 64 bits. With a zero in front it is a code, as a postcode is, and stays text.
fn is_long(text: &str) -> bool {
    !coded(text) && !text.starts_with('+') && text.parse::<i64>().is_ok()
}

/// A number with a point or an exponent, or a whole one of 64 bits.
fn is_double(text: &str) -> bool {
    if is_long(text) {
        return true;
    }
    let plain = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'));
    plain && !coded(text) && text.contains(['.', 'e', 'E']) && !text.starts_with('+') && text.parse::<f64>().is_ok()
}

fn coded(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    matches!(digits, [b'0', second, ..] if second.is_ascii_digit())
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(values: &[&str]) -> String {
        let mut guess = Guess::default();
        values.iter().for_each(|value| guess.see(value));
        guess.data_type().to_string()
    }

    #[test]
    fn the_narrowest_type_wins() {
        assert_eq!(guess(&[]), "string");
        assert_eq!(guess(&["true", "FALSE"]), "boolean");
        assert_eq!(guess(&["1", "-5", "9223372036854775807", " 0 "]), "long");
        assert_eq!(guess(&["1", "2.5", "-1e9", ".5"]), "double");
        assert_eq!(guess(&["2024-02-29", "1999-12-31"]), "date");
        assert_eq!(guess(&["2024-02-29", "2024-02-29T10:00:00Z"]), "timestamp");
        assert_eq!(guess(&["2013-01-01 05:00:00", "2013-01-01 05:00:00.25"]), "timestamp");
    }

    #[test]
    fn what_a_number_would_lose_stays_text() {
        for values in [
            &["00501"][..],
            &["-007"],
            &["9223372036854775808"],
            &["+49 30"],
            &["+5"],
            &["1", "x"],
            &["true", "1"],
            &["2023-02-29"],
            &["2024-1-1"],
            &["1,5"],
            &["inf"],
            &["1_000"],
            &[""],
        ] {
            assert_eq!(guess(values), "string", "{values:?}");
        }
    }

    #[test]
    fn a_word_for_null_is_pointed_out() {
        let mut spoilt = Guess::default();
        ["517", "NA", "533"].iter().for_each(|value| spoilt.see(value));
        assert_eq!(spoilt.spoilt_by(), Some(("NA", PrimitiveType::Long)));
        let mut text = Guess::default();
        ["NA", "x"].iter().for_each(|value| text.see(value));
        assert_eq!(text.spoilt_by(), None);
        let mut other = Guess::default();
        other.see("1.5");
        other.join(&spoilt);
        assert_eq!(other.spoilt_by(), Some(("NA", PrimitiveType::Double)));
    }
}
