//! The raw orders: most of them good, a few late, doubled or corrupt, and skewed as real ones are.

use super::date::{DAYS, FIRST_DAY, day};
use super::random::Values;
use super::{BLOCK, TableExpected, customer, product, reason};

const VALUES: Values = Values::of(3);

/// Added to the number of rows to make an id that no customer or product has.
const NOWHERE: u64 = 10_000_000;
/// The product that one order in five is for.
pub const HOT_PRODUCT: u64 = 1;
/// Files that the orders come in, if there are as many rows.
const FILES: u64 = 8;

const BAD_TIMES: [&str; 4] = ["yesterday", "2024-02-30T10:00:00", "31/12/2024 10:00", "2024-13-01T00:00:00"];
const BAD_QUANTITIES: [&str; 3] = ["three", "1.5.2", "many"];
const WRONG_QUANTITIES: [&str; 4] = ["0", "-2", "101", "5000"];

/// One row of the files. What may be corrupt is text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// From 1.
    pub order_id: u64,
    /// Missing in a corrupt row.
    pub customer_id: Option<u64>,
    /// Product.
    pub product_id: u64,
    /// A number from 1 to 100, but in a corrupt row.
    pub quantity: String,
    /// Price of one, but in a corrupt row.
    pub unit_price: String,
    /// A time, but in a corrupt row.
    pub ordered_at: String,
    /// The day on which the row reached us.
    pub received_on: String,
}

/// What is odd about a row, by its place in the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Oddity {
    None,
    Late,
    BadTime,
    BadQuantity,
    WrongQuantity,
    LowPrice,
    NoCustomer,
    UnknownCustomer,
    UnknownProduct,
    /// An exact copy of the row so many before.
    CopyOf(u64),
}

const fn oddity(row: u64) -> Oddity {
    match row % BLOCK {
        33 | 63 => Oddity::Late,
        7 => Oddity::BadTime,
        27 => Oddity::BadQuantity,
        47 => Oddity::WrongQuantity,
        57 => Oddity::LowPrice,
        77 => Oddity::NoCustomer,
        87 => Oddity::UnknownCustomer,
        91 => Oddity::UnknownProduct,
        15 | 55 | 95 => Oddity::CopyOf(1),
        _ => Oddity::None,
    }
}

/// The orders of a world with `rows` customers, products and orders each.
#[derive(Clone, Copy, Debug)]
pub struct Orders {
    rows: u64,
}

impl Orders {
    /// The orders of that world.
    pub fn new(rows: u64) -> Self {
        Self { rows }
    }

    /// Number of files.
    pub fn files(self) -> u64 {
        FILES.min(self.rows).max(1)
    }

    /// Number of files of the first load; the others come in a second one, if there are any.
    pub fn files_of_first_load(self) -> u64 {
        (self.files() * 3).div_ceil(4)
    }

    /// The rows of one file, from 0.
    pub fn rows_of_file(self, file: u64) -> std::ops::Range<u64> {
        let start = |file: u64| self.rows * file / self.files();
        start(file)..start(file + 1)
    }

    /// Number of rows of the first load.
    pub fn rows_of_first_load(self) -> u64 {
        self.rows_of_file(self.files_of_first_load()).start
    }

    /// The fifth of the customers who place four orders in five: ids up to this.
    pub fn keen_customers(self) -> u64 {
        (self.rows / 5).max(1)
    }

    /// Row `row`, from 0.
    pub fn order(self, row: u64) -> Order {
        let odd = oddity(row);
        let row = if let Oddity::CopyOf(back) = odd { row.saturating_sub(back) } else { row };
        let product_id = self.product_of(row);
        let price = cents(product::price_cents(product_id));
        let (received, ordered) = self.days_of(row, odd);
        let second = VALUES.below(row, 5, 86_400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        Order {
            order_id: row + 1,
            customer_id: match odd {
                Oddity::NoCustomer => None,
                Oddity::UnknownCustomer => Some(self.rows + NOWHERE + row),
                _ => Some(self.customer_of(row)),
            },
            product_id: if odd == Oddity::UnknownProduct { self.rows + NOWHERE + row } else { product_id },
            quantity: match odd {
                Oddity::BadQuantity => VALUES.pick(row, 6, &BAD_QUANTITIES).to_owned(),
                Oddity::WrongQuantity => VALUES.pick(row, 6, &WRONG_QUANTITIES).to_owned(),
                _ => quantity_of(row).to_string(),
            },
            unit_price: if odd == Oddity::LowPrice { format!("-{price}") } else { price },
            ordered_at: match odd {
                Oddity::BadTime => VALUES.pick(row, 7, &BAD_TIMES).to_owned(),
                _ => format!("{}T{hour:02}:{minute:02}:{second:02}", day(ordered)),
            },
            received_on: day(received),
        }
    }

    fn customer_of(self, row: u64) -> u64 {
        let keen = self.keen_customers();
        let at = if VALUES.below(row, 8, 5) == 0 && self.rows > keen {
            keen + VALUES.below(row, 1, self.rows - keen)
        } else {
            VALUES.below(row, 1, keen)
        };
        customer::accepted_id(at)
    }

    fn product_of(self, row: u64) -> u64 {
        if VALUES.below(row, 9, 5) == 0 { HOT_PRODUCT } else { product::accepted_id(VALUES.below(row, 2, self.rows)) }
    }

    /// Days on which the row was received and ordered. Rows are received in order, over a year.
    fn days_of(self, row: u64, odd: Oddity) -> (i64, i64) {
        let received = FIRST_DAY + (row * DAYS / self.rows.max(1)).cast_signed();
        let late = if odd == Oddity::Late { 30 + VALUES.below(row, 4, 31) } else { 0 };
        (received, received - late.cast_signed())
    }

    /// The counts of all rows.
    pub(super) fn expected(self) -> OrdersExpected {
        let mut counts = OrdersExpected {
            table: TableExpected { generated: self.rows, ..TableExpected::default() },
            ..OrdersExpected::default()
        };
        for row in 0..self.rows {
            match oddity(row) {
                Oddity::None => self.accept(row, &mut counts),
                Oddity::Late => {
                    counts.late += 1;
                    self.accept(row, &mut counts);
                }
                Oddity::BadTime => counts.table.reject(reason::BAD_TIME),
                Oddity::BadQuantity => counts.table.reject(reason::BAD_QUANTITY),
                Oddity::WrongQuantity => counts.table.reject(reason::WRONG_QUANTITY),
                Oddity::LowPrice => counts.table.reject(reason::LOW_UNIT_PRICE),
                Oddity::NoCustomer => counts.table.reject(reason::NO_CUSTOMER),
                Oddity::UnknownCustomer => counts.table.reject(reason::UNKNOWN_CUSTOMER),
                Oddity::UnknownProduct => counts.table.reject(reason::UNKNOWN_PRODUCT),
                Oddity::CopyOf(_) => counts.table.duplicates += 1,
            }
        }
        counts
    }

    fn accept(self, row: u64, counts: &mut OrdersExpected) {
        let product = self.product_of(row);
        counts.table.accepted += 1;
        counts.accepted_of_first_load += u64::from(row < self.rows_of_first_load());
        counts.of_hot_product += u64::from(product == HOT_PRODUCT);
        counts.of_keen_customers += u64::from(self.customer_of(row) <= self.keen_customers());
        counts.items += quantity_of(row);
        counts.revenue_cents += quantity_of(row) * product::price_cents(product);
    }
}

/// What the orders must come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrdersExpected {
    /// Rows.
    pub table: TableExpected,
    /// Accepted orders of the first load.
    pub accepted_of_first_load: u64,
    /// Accepted orders that were received more than a day after they were placed.
    pub late: u64,
    /// Accepted orders of [`HOT_PRODUCT`].
    pub of_hot_product: u64,
    /// Accepted orders of the fifth of the customers who order most.
    pub of_keen_customers: u64,
    /// Items of all accepted orders.
    pub items: u64,
    /// Revenue of all accepted orders.
    pub revenue_cents: u64,
}

fn quantity_of(row: u64) -> u64 {
    1 + VALUES.below(row, 3, 9)
}

/// `1234` as `12.34`.
pub fn cents(amount: u64) -> String {
    format!("{}.{:02}", amount / 100, amount % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_cut_the_rows_without_a_gap() {
        for rows in [1, 2, 3, 7, 8, 9, 99, 1000, 100_003] {
            let orders = Orders::new(rows);
            let mut next = 0;
            for file in 0..orders.files() {
                let range = orders.rows_of_file(file);
                assert_eq!(range.start, next);
                assert!(!range.is_empty(), "file {file} of {rows}");
                next = range.end;
            }
            assert_eq!(next, rows);
            assert!((1..=rows).contains(&orders.rows_of_first_load()), "{rows}");
        }
    }

    #[test]
    fn a_copy_is_exact_and_of_an_accepted_row() {
        let orders = Orders::new(10 * BLOCK);
        for row in (0..10 * BLOCK).filter(|&row| matches!(oddity(row), Oddity::CopyOf(_))) {
            assert_eq!(orders.order(row), orders.order(row - 1));
            assert_eq!(oddity(row - 1), Oddity::None);
        }
    }

    #[test]
    fn every_corrupt_row_breaks_one_rule_and_no_other_row_does() {
        let orders = Orders::new(10 * BLOCK);
        for row in 0..10 * BLOCK {
            let order = orders.order(row);
            let known = 1..=10 * BLOCK;
            let quantity: Result<i64, _> = order.quantity.parse();
            let broken = [
                (Oddity::NoCustomer, order.customer_id.is_none()),
                (Oddity::UnknownCustomer, order.customer_id.is_some_and(|id| !known.contains(&id))),
                (Oddity::UnknownProduct, !known.contains(&order.product_id)),
                (Oddity::BadQuantity, quantity.is_err()),
                (Oddity::WrongQuantity, quantity.is_ok_and(|quantity| !(1..=100).contains(&quantity))),
                (Oddity::LowPrice, order.unit_price.starts_with('-')),
                (
                    Oddity::BadTime,
                    chrono::NaiveDateTime::parse_from_str(&order.ordered_at, "%Y-%m-%dT%H:%M:%S").is_err(),
                ),
            ];
            for (rule, is_broken) in broken {
                assert_eq!(is_broken, oddity(row) == rule, "{rule:?} of {order:?}");
            }
        }
    }

    #[test]
    fn a_late_order_is_older_than_the_day_it_came() {
        let orders = Orders::new(1000);
        for row in 0..1000 {
            let order = orders.order(row);
            if matches!(oddity(row), Oddity::BadTime | Oddity::CopyOf(_)) {
                continue;
            }
            assert_eq!(!order.ordered_at.starts_with(&order.received_on), oddity(row) == Oddity::Late, "{order:?}");
        }
    }
}
