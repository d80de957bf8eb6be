//! Do the rows give the counts that are promised, for any number of rows, every time?

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Counts again what `Expected` says, from the rows alone, as silver does.
fn recount(rows: u64) -> (BTreeMap<&'static str, u64>, u64) {
    let mut seen = BTreeSet::new();
    let known_customers: BTreeSet<u64> = (0..rows)
        .map(customer)
        .filter(|c| c.name.is_some() && chrono::NaiveDate::parse_from_str(&c.signup_date, "%Y-%m-%d").is_ok())
        .map(|c| c.customer_id)
        .collect();
    let known_products: BTreeSet<u64> =
        (0..rows).map(product).filter(|p| matches!(p.price, Price::Cents(1..))).map(|p| p.product_id).collect();
    let mut counts = BTreeMap::new();
    let mut revenue = 0;
    counts.insert("customers", known_customers.len() as u64);
    counts.insert("products", known_products.len() as u64);
    for order in (0..rows).map(|row| Orders::new(rows).order(row)) {
        let time = chrono::NaiveDateTime::parse_from_str(&order.ordered_at, "%Y-%m-%dT%H:%M:%S");
        let quantity: Option<u64> = order.quantity.parse().ok().filter(|quantity| (1..=100).contains(quantity));
        let price: Option<u64> = order.unit_price.replace('.', "").parse().ok();
        let customer = order.customer_id.filter(|id| known_customers.contains(id));
        let good = time.is_ok() && customer.is_some() && known_products.contains(&order.product_id);
        match (good, quantity, price) {
            (true, Some(quantity), Some(price)) => {
                if seen.insert(order.order_id) {
                    revenue += quantity * price;
                    *counts.entry("orders").or_insert(0) += 1;
                    *counts.entry("hot").or_insert(0) += u64::from(order.product_id == HOT_PRODUCT);
                    *counts.entry("late").or_insert(0) += u64::from(!order.ordered_at.starts_with(&order.received_on));
                } else {
                    *counts.entry("copies").or_insert(0) += 1;
                }
            }
            _ => *counts.entry("rejects").or_insert(0) += 1,
        }
    }
    (counts, revenue)
}

#[test]
fn the_promised_counts_are_those_of_the_rows() {
    for rows in [1, 2, 5, 16, 20, 30, 64, 99, 100, 101, 250, 1000, 12_345] {
        let expected = Expected::of(rows);
        let (counts, revenue) = recount(rows);
        let count = |name: &str| counts.get(name).copied().unwrap_or(0);
        assert_eq!(count("customers"), expected.customers.accepted, "customers of {rows}");
        assert_eq!(count("products"), expected.products.accepted, "products of {rows}");
        assert_eq!(count("orders"), expected.orders.table.accepted, "orders of {rows}");
        assert_eq!(count("copies"), expected.orders.table.duplicates, "copies of {rows}");
        assert_eq!(count("rejects"), expected.orders.table.rejects(), "rejects of {rows}");
        assert_eq!(count("late"), expected.orders.late, "late of {rows}");
        assert_eq!(count("hot"), expected.orders.of_hot_product, "hot of {rows}");
        assert_eq!(revenue, expected.orders.revenue_cents, "revenue of {rows}");
    }
}

#[test]
fn nothing_is_lost_between_the_counts() {
    for rows in [1, 2, 3, 17, 100, 999, 100_000, 1_000_000] {
        let expected = Expected::of(rows);
        for table in [&expected.customers, &expected.products, &expected.orders.table] {
            assert_eq!(table.generated, rows);
            assert_eq!(table.accepted + table.duplicates + table.rejects(), rows, "{table:?}");
            assert!(table.accepted > 0);
        }
    }
}

#[test]
fn a_hundred_thousand_rows_have_these_flaws() {
    let expected = Expected::of(100_000);
    assert_eq!(expected.customers.duplicates, 2_000);
    assert_eq!(expected.customers.rejected, BTreeMap::from([(reason::NO_NAME, 1_000), (reason::BAD_DATE, 1_000)]));
    assert_eq!(expected.customers.nulls, BTreeMap::from([("country", 1_000), ("email", 2_000)]));
    assert_eq!(expected.products.rejected, BTreeMap::from([(reason::BAD_PRICE, 2_000), (reason::LOW_PRICE, 1_000)]));
    assert_eq!(expected.orders.table.duplicates, 3_000);
    assert_eq!(expected.orders.table.rejects(), 7_000);
    assert_eq!(expected.orders.late, 2_000);
    let of_accepted = |count: u64| count * 100 / expected.orders.table.accepted;
    assert!((18..=24).contains(&of_accepted(expected.orders.of_hot_product)), "{expected:?}");
    assert!((76..=84).contains(&of_accepted(expected.orders.of_keen_customers)), "{expected:?}");
}

#[test]
fn rows_are_the_same_every_time() {
    let orders = Orders::new(1000);
    let row = orders.order(123);
    assert_eq!(row, Orders::new(1000).order(123));
    // Fixed for good: a change here changes every checksum that anyone has written down.
    assert_eq!(
        format!("{row:?}"),
        "Order { order_id: 124, customer_id: Some(579), product_id: 76, quantity: \"2\", unit_price: \"151.51\", \
         ordered_at: \"2024-02-15T04:01:39\", received_on: \"2024-02-15\" }"
    );
    assert_eq!(
        format!("{:?}", customer(5)),
        "Customer { customer_id: 6, name: Some(\"Ivo Jensen\"), email: Some(\"customer6@example.com\"), \
         country: Some(\"DE\"), signup_date: \"2022-07-23\" }"
    );
    assert_eq!(
        format!("{:?}", product(5)),
        "Product { product_id: 6, name: \"Dark Boots 6\", category: Some(\"furniture\"), price: Cents(7599), \
         added_on: \"2023-02-14\" }"
    );
}
