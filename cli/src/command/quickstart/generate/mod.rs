//! The quickstart's raw data, row by row, and the exact counts that must come out of it.

mod customer;
mod date;
mod order;
mod product;
mod random;
pub mod reason;

use std::collections::BTreeMap;

pub use customer::customer;
pub use order::{HOT_PRODUCT, Order, Orders, cents};
pub use product::{Price, product};
pub use random::mix;

/// Rows of one repeating block: oddities sit at fixed places of it, so that every count is known.
const BLOCK: u64 = 100;

/// What one raw table must come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableExpected {
    /// Rows in the files.
    pub generated: u64,
    /// Rows that reach silver.
    pub accepted: u64,
    /// Rows that repeat an accepted one exactly.
    pub duplicates: u64,
    /// Rows put aside, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Accepted rows with a null, by column.
    pub nulls: BTreeMap<&'static str, u64>,
}

impl TableExpected {
    /// Rows put aside, for whatever reason.
    pub fn rejects(&self) -> u64 {
        self.rejected.values().sum()
    }

    fn reject(&mut self, reason: &'static str) {
        *self.rejected.entry(reason).or_default() += 1;
    }

    fn accept_null(&mut self, column: &'static str) {
        self.accepted += 1;
        *self.nulls.entry(column).or_default() += 1;
    }
}

/// What everything must come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Customers.
    pub customers: TableExpected,
    /// Products.
    pub products: TableExpected,
    /// Orders.
    pub orders: order::OrdersExpected,
}

impl Expected {
    /// The counts of `rows` customers, products and orders each.
    pub fn of(rows: u64) -> Self {
        Self {
            customers: customer::expected(rows),
            products: product::expected(rows),
            orders: Orders::new(rows).expected(),
        }
    }
}

#[cfg(test)]
mod tests;
