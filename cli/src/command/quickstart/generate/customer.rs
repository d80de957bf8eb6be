//! The raw customers.

use super::date::{DAYS, FIRST_DAY, day};
use super::random::Values;
use super::{BLOCK, TableExpected, reason};

const VALUES: Values = Values::of(1);

const FIRST: [&str; 16] = [
    "Ada", "Bruno", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hana", "Ivo", "Jonas", "Kenji", "Lena", "Maria",
    "Noor", "Olga", "Priya",
];
const LAST: [&str; 16] = [
    "Almeida",
    "Berg",
    "Costa",
    "Dubois",
    "Eriksen",
    "Fischer",
    "Garcia",
    "Haas",
    "Ito",
    "Jensen",
    "Khan",
    "Lopez",
    "Moreau",
    "Novak",
    "O'Brien",
    "Petrov, Jr.",
];
const COUNTRIES: [&str; 8] = ["BR", "DE", "ES", "FR", "IN", "JP", "NO", "US"];
const BAD_DATES: [&str; 4] = ["2023-02-30", "soon", "31/12/2023", "2023-13-01"];

/// One line of the file. Everything is text, as it is in a CSV file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// From 1.
    pub customer_id: u64,
    /// Missing in a corrupt row.
    pub name: Option<String>,
    /// May be missing.
    pub email: Option<String>,
    /// Two letters; may be missing.
    pub country: Option<&'static str>,
    /// Not a date in a corrupt row.
    pub signup_date: String,
}

/// What is odd about a row, by its place in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Oddity {
    None,
    NoEmail,
    NoCountry,
    NoName,
    BadDate,
    /// An exact copy of the row so many before.
    CopyOf(u64),
}

const fn oddity(row: u64) -> Oddity {
    match row % BLOCK {
        13 | 64 => Oddity::NoEmail,
        37 => Oddity::NoCountry,
        29 => Oddity::BadDate,
        67 => Oddity::NoName,
        19 | 71 => Oddity::CopyOf(3),
        _ => Oddity::None,
    }
}

/// Row `row`, from 0.
pub fn customer(row: u64) -> Customer {
    let odd = oddity(row);
    let row = if let Oddity::CopyOf(back) = odd { row.saturating_sub(back) } else { row };
    let name = format!("{} {}", VALUES.pick(row, 1, &FIRST), VALUES.pick(row, 2, &LAST));
    let signed_up = FIRST_DAY - 1 - VALUES.below(row, 4, 3 * DAYS).cast_signed();
    Customer {
        customer_id: row + 1,
        name: (odd != Oddity::NoName).then_some(name),
        email: (odd != Oddity::NoEmail).then(|| format!("customer{}@example.com", row + 1)),
        country: (odd != Oddity::NoCountry).then(|| VALUES.pick(row, 3, &COUNTRIES)),
        signup_date: match odd {
            Oddity::BadDate => VALUES.pick(row, 5, &BAD_DATES).to_owned(),
            _ => day(signed_up),
        },
    }
}

/// Whether the row is accepted into silver as the first of its id.
fn accepted(row: u64) -> bool {
    !matches!(oddity(row), Oddity::NoName | Oddity::BadDate | Oddity::CopyOf(_))
}

/// Id of the accepted customer at `row` or next before it. Row 0 is always accepted.
pub(super) fn accepted_id(row: u64) -> u64 {
    let mut row = row;
    while row > 0 && !accepted(row) {
        row -= 1;
    }
    row + 1
}

/// The counts of the first `rows` rows.
pub(super) fn expected(rows: u64) -> TableExpected {
    let mut counts = TableExpected { generated: rows, ..TableExpected::default() };
    for row in 0..rows {
        match oddity(row) {
            Oddity::None => counts.accepted += 1,
            Oddity::NoEmail => counts.accept_null("email"),
            Oddity::NoCountry => counts.accept_null("country"),
            Oddity::NoName => counts.reject(reason::NO_NAME),
            Oddity::BadDate => counts.reject(reason::BAD_DATE),
            Oddity::CopyOf(_) => counts.duplicates += 1,
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_exact_and_of_an_accepted_row() {
        for row in (0..10 * BLOCK).filter(|&row| matches!(oddity(row), Oddity::CopyOf(_))) {
            assert_eq!(customer(row), customer(row - 3));
            assert!(accepted(row - 3));
        }
    }

    #[test]
    fn corrupt_rows_are_corrupt_and_the_others_are_not() {
        for row in 0..10 * BLOCK {
            let customer = customer(row);
            let is_date = chrono::NaiveDate::parse_from_str(&customer.signup_date, "%Y-%m-%d").is_ok();
            assert_eq!(is_date, oddity(row) != Oddity::BadDate, "{customer:?}");
            assert_eq!(customer.name.is_none(), oddity(row) == Oddity::NoName, "{customer:?}");
        }
    }
}
