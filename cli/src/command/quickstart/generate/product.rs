//! The raw products.

use super::date::{DAYS, FIRST_DAY, day};
use super::random::Values;
use super::{BLOCK, TableExpected, reason};

const VALUES: Values = Values::of(2);

const KINDS: [&str; 12] =
    ["Chair", "Desk", "Lamp", "Shelf", "Kettle", "Mug", "Pan", "Knife", "Tent", "Rope", "Stove", "Boots"];
const LOOKS: [&str; 8] = ["Amber", "Blue", "Coral", "Dark", "Elm", "Flat", "Grey", "High"];
const CATEGORIES: [&str; 5] = ["furniture", "kitchen", "lighting", "outdoor", "storage"];
const BAD_PRICES: [&str; 3] = ["n/a", "call us", "12,90 EUR"];

/// A price as the JSON file gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Price {
    /// A proper price, in cents; negative in a corrupt row.
    Cents(i64),
    /// Text that is no number, in a corrupt row.
    Text(&'static str),
    /// Not even text, in a corrupt row.
    Flag(bool),
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// From 1.
    pub product_id: u64,
    /// Name.
    pub name: String,
    /// May be missing.
    pub category: Option<&'static str>,
    /// Price of one.
    pub price: Price,
    /// A day.
    pub added_on: String,
}

/// What is odd about a row, by its place in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Oddity {
    None,
    NoCategory,
    TextPrice,
    FlagPrice,
    NegativePrice,
    /// An exact copy of the row so many before.
    CopyOf(u64),
}

const fn oddity(row: u64) -> Oddity {
    match row % BLOCK {
        11 => Oddity::NoCategory,
        43 => Oddity::TextPrice,
        83 => Oddity::FlagPrice,
        59 => Oddity::NegativePrice,
        31 | 97 => Oddity::CopyOf(2),
        _ => Oddity::None,
    }
}

/// Price of the product with that id, in cents.
pub(super) const fn price_cents(product_id: u64) -> u64 {
    199 + VALUES.below(product_id.saturating_sub(1), 4, 19_801)
}

/// Row `row`, from 0.
pub fn product(row: u64) -> Product {
    let odd = oddity(row);
    let row = if let Oddity::CopyOf(back) = odd { row.saturating_sub(back) } else { row };
    let cents = price_cents(row + 1).cast_signed();
    Product {
        product_id: row + 1,
        name: format!("{} {} {}", VALUES.pick(row, 1, &LOOKS), VALUES.pick(row, 2, &KINDS), row + 1),
        category: (odd != Oddity::NoCategory).then(|| VALUES.pick(row, 3, &CATEGORIES)),
        price: match odd {
            Oddity::TextPrice => Price::Text(VALUES.pick(row, 5, &BAD_PRICES)),
            Oddity::FlagPrice => Price::Flag(VALUES.below(row, 5, 2) == 1),
            Oddity::NegativePrice => Price::Cents(-cents),
            _ => Price::Cents(cents),
        },
        added_on: day(FIRST_DAY - 1 - VALUES.below(row, 6, DAYS).cast_signed()),
    }
}

/// Whether the row is accepted into silver as the first of its id.
fn accepted(row: u64) -> bool {
    matches!(oddity(row), Oddity::None | Oddity::NoCategory)
}

/// Id of the accepted product at `row` or next before it. Row 0 is always accepted.
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
            Oddity::NoCategory => counts.accept_null("category"),
            Oddity::TextPrice | Oddity::FlagPrice => counts.reject(reason::BAD_PRICE),
            Oddity::NegativePrice => counts.reject(reason::LOW_PRICE),
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
            assert_eq!(product(row), product(row - 2));
            assert!(accepted(row - 2));
        }
    }

    #[test]
    fn an_accepted_id_is_one_of_an_accepted_row() {
        for row in 0..3 * BLOCK {
            let id = accepted_id(row);
            assert!(id <= row + 1 && accepted(id - 1), "{row} -> {id}");
        }
    }
}
