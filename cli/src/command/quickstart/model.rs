//! The tables that the quickstart makes: their columns, rules, and what they are made from.

use lake_catalog_api::{Bound, ColumnRule, Contract, Layer};
use lake_format::schema::{StructField, parse_declaration};
use lake_format::{CreateOptions, Result};

use crate::context::Governance;

/// Whom the tables name as their owner.
pub const OWNER: &str = "quickstart";
/// By which a table is known as the quickstart's own.
pub const DESCRIPTION: &str = "Made by `lake quickstart`, which drops it and makes it anew when it is run again.";

/// One table.
#[derive(Debug)]
pub struct TableSpec {
    /// Layer and schema, which have the same name.
    pub layer: Layer,
    /// Name.
    pub name: &'static str,
    /// Columns, as `lake create --schema` takes them.
    pub columns: &'static str,
    /// Full names of the tables it is made from.
    pub upstreams: &'static [&'static str],
    /// Least and greatest value of columns.
    pub ranges: &'static [Range],
    /// What of its rows is added up to compare two copies of it.
    pub measure: Option<&'static str>,
}

/// Least and greatest value of a column.
#[derive(Debug)]
pub struct Range {
    /// Column.
    pub column: &'static str,
    /// Least value.
    pub min: &'static str,
    /// Greatest value, if there is one.
    pub max: Option<&'static str>,
}

/// Every table, those that others are made from first.
pub const TABLES: &[TableSpec] = &[
    TableSpec {
        layer: Layer::Bronze,
        name: "customers",
        columns: "customer_id string, name string, email string, country string, signup_date string",
        upstreams: &[],
        ranges: &[],
        measure: Some("SUM(TRY_CAST(customer_id AS BIGINT))"),
    },
    TableSpec {
        layer: Layer::Bronze,
        name: "products",
        columns: "product_id long, name string, category string, price string, added_on string",
        upstreams: &[],
        ranges: &[],
        measure: Some("SUM(product_id)"),
    },
    TableSpec {
        layer: Layer::Bronze,
        name: "orders",
        columns: "order_id long, customer_id long, product_id long, quantity string, unit_price string, \
                  ordered_at string, received_on string",
        upstreams: &[],
        ranges: &[],
        measure: Some("SUM(order_id)"),
    },
    TableSpec {
        layer: Layer::Silver,
        name: "customers",
        columns: "customer_id long not null, name string not null, email string, country string, \
                  signup_date date not null",
        upstreams: &["lake.bronze.customers"],
        ranges: &[Range { column: "customer_id", min: "1", max: None }],
        measure: Some("SUM(customer_id)"),
    },
    TableSpec {
        layer: Layer::Silver,
        name: "customers_rejects",
        columns: "reason string not null, customer_id string, name string, email string, country string, \
                  signup_date string",
        upstreams: &["lake.bronze.customers"],
        ranges: &[],
        measure: None,
    },
    TableSpec {
        layer: Layer::Silver,
        name: "products",
        columns: "product_id long not null, name string not null, category string, price decimal(10,2) not null, \
                  added_on date not null",
        upstreams: &["lake.bronze.products"],
        ranges: &[Range { column: "price", min: "0.01", max: None }],
        measure: Some("SUM(price)"),
    },
    TableSpec {
        layer: Layer::Silver,
        name: "products_rejects",
        columns: "reason string not null, product_id long, name string, category string, price string, added_on string",
        upstreams: &["lake.bronze.products"],
        ranges: &[],
        measure: None,
    },
    TableSpec {
        layer: Layer::Silver,
        name: "orders",
        columns: "order_id long not null, customer_id long not null, product_id long not null, \
                  quantity int not null, unit_price decimal(10,2) not null, amount decimal(12,2) not null, \
                  ordered_at timestamp not null, order_date date not null, late boolean not null",
        upstreams: &["lake.bronze.orders", "lake.silver.customers", "lake.silver.products"],
        ranges: &[
            Range { column: "quantity", min: "1", max: Some("100") },
            Range { column: "unit_price", min: "0.01", max: None },
        ],
        measure: Some("SUM(amount)"),
    },
    TableSpec {
        layer: Layer::Silver,
        name: "orders_rejects",
        columns: "reason string not null, order_id long, customer_id long, product_id long, quantity string, \
                  unit_price string, ordered_at string, received_on string",
        upstreams: &["lake.bronze.orders"],
        ranges: &[],
        measure: None,
    },
    TableSpec {
        layer: Layer::Gold,
        name: "customer_lifetime_value",
        columns: "customer_id long not null, name string, country string, orders long, items long, \
                  revenue decimal(18,2), first_order date, last_order date",
        upstreams: &["lake.silver.orders", "lake.silver.customers"],
        ranges: &[],
        measure: Some("SUM(revenue)"),
    },
    TableSpec {
        layer: Layer::Gold,
        name: "product_performance",
        columns: "product_id long not null, name string, category string, orders long, customers long, items long, \
                  revenue decimal(18,2)",
        upstreams: &["lake.silver.orders", "lake.silver.products"],
        ranges: &[],
        measure: Some("SUM(revenue)"),
    },
    TableSpec {
        layer: Layer::Gold,
        name: "daily_sales",
        columns: "order_date date not null, orders long, customers long, items long, revenue decimal(18,2)",
        upstreams: &["lake.silver.orders"],
        ranges: &[],
        measure: Some("SUM(revenue)"),
    },
];

impl TableSpec {
    /// `lake.<schema>.<table>`.
    pub fn full_name(&self) -> String {
        format!("lake.{}.{}", self.layer, self.name)
    }

    /// What its commits must keep, in silver: every type, every NOT NULL, and the ranges.
    ///
    /// # Errors
    /// None, as long as the columns are declared right.
    pub fn contract(&self) -> Result<Option<Contract>> {
        if self.layer != Layer::Silver {
            return Ok(None);
        }
        let rule = |field: &StructField| {
            let range = self.ranges.iter().find(|range| range.column == field.name);
            ColumnRule {
                name: field.name.clone(),
                data_type: Some(field.data_type.to_string()),
                nullable: (!field.nullable).then_some(false),
                min: range.map(|range| Bound::Text(range.min.to_owned())),
                max: range.and_then(|range| range.max).map(|max| Bound::Text(max.to_owned())),
            }
        };
        let schema = parse_declaration(self.columns)?;
        Ok(Some(Contract { columns: schema.fields.iter().map(rule).collect() }))
    }

    /// What it is to be, with these properties of the Delta table.
    ///
    /// # Errors
    /// None, as long as the columns are declared right.
    pub fn creation(&self, properties: &[(String, String)]) -> Result<(CreateOptions, Governance)> {
        let options = CreateOptions {
            schema: parse_declaration(self.columns)?,
            properties: properties.iter().cloned().collect(),
            description: Some(DESCRIPTION.to_owned()),
            ..CreateOptions::default()
        };
        let governance = Governance {
            owner: Some(OWNER.to_owned()),
            upstreams: self.upstreams.iter().map(|&name| name.to_owned()).collect(),
            contract: self.contract()?,
        };
        Ok((options, governance))
    }
}

/// A step of the work in SQL: the name of its file, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// File name.
    pub name: &'static str,
    /// One statement.
    pub sql: &'static str,
}

macro_rules! script {
    ($name:literal) => {
        Script { name: $name, sql: include_str!(concat!("sql/", $name)) }
    };
}

/// Customers into silver.
pub const SILVER_CUSTOMERS: [Script; 2] = [script!("silver_customers.sql"), script!("silver_customers_rejects.sql")];
/// Products into silver.
pub const SILVER_PRODUCTS: [Script; 2] = [script!("silver_products.sql"), script!("silver_products_rejects.sql")];
/// Orders into silver.
pub const SILVER_ORDERS: [Script; 2] = [script!("silver_orders.sql"), script!("silver_orders_rejects.sql")];
/// Gold.
pub const GOLD: [Script; 3] = [
    script!("gold_customer_lifetime_value.sql"),
    script!("gold_product_performance.sql"),
    script!("gold_daily_sales.sql"),
];
/// What silver refuses.
pub const BAD_BATCH: Script = script!("bad_batch.sql");

/// All scripts.
pub fn scripts() -> impl Iterator<Item = Script> {
    SILVER_CUSTOMERS
        .into_iter()
        .chain(SILVER_PRODUCTS)
        .chain(SILVER_ORDERS)
        .chain(GOLD)
        .chain(std::iter::once(BAD_BATCH))
}

#[cfg(test)]
mod tests {
    use super::super::generate::reason;
    use super::*;

    #[test]
    fn every_table_can_be_made_and_its_upstreams_come_before_it() {
        let mut known = Vec::new();
        for table in TABLES {
            let (_, governance) = table.creation(&[]).expect(table.name);
            assert_eq!(governance.contract.is_some(), table.layer == Layer::Silver);
            assert!(table.upstreams.iter().all(|name| known.contains(&(*name).to_owned())), "{}", table.name);
            assert!(table.layer != Layer::Gold || !table.upstreams.is_empty());
            for range in table.ranges {
                assert!(table.columns.contains(range.column), "{}", range.column);
            }
            known.push(table.full_name());
        }
    }

    #[test]
    fn the_sql_words_each_reason_as_the_counts_do() {
        for (script, reasons) in [
            (SILVER_CUSTOMERS, vec![reason::NO_NAME, reason::BAD_DATE]),
            (SILVER_PRODUCTS, vec![reason::BAD_PRICE, reason::LOW_PRICE]),
            (
                SILVER_ORDERS,
                vec![
                    reason::NO_CUSTOMER,
                    reason::BAD_TIME,
                    reason::BAD_QUANTITY,
                    reason::WRONG_QUANTITY,
                    reason::LOW_UNIT_PRICE,
                    reason::UNKNOWN_CUSTOMER,
                    reason::UNKNOWN_PRODUCT,
                ],
            ),
        ] {
            for reason in reasons {
                assert!(script.iter().all(|script| script.sql.contains(&format!("'{reason}'"))), "{reason}");
            }
        }
    }

    #[test]
    fn accepted_and_rejected_rows_are_told_apart_by_the_same_checks() {
        let checks = |script: &Script| {
            let (_, behind) = script.sql.split_once("WITH checked AS (").expect("checks");
            behind.split_once("\n)\n").expect("end of the checks").0.to_owned()
        };
        for [accepted, rejected] in [SILVER_CUSTOMERS, SILVER_PRODUCTS, SILVER_ORDERS] {
            assert_eq!(checks(&accepted), checks(&rejected), "{}", accepted.name);
        }
    }
}
