//! Reasons for which silver puts a row aside, as its SQL words them.

pub const NO_NAME: &str = "name is missing";
pub const BAD_DATE: &str = "signup_date is not a date";

pub const BAD_PRICE: &str = "price is not a number";
pub const LOW_PRICE: &str = "price is not positive";

pub const NO_CUSTOMER: &str = "customer_id is missing";
pub const BAD_TIME: &str = "ordered_at is not a time";
pub const BAD_QUANTITY: &str = "quantity is not a whole number";
pub const WRONG_QUANTITY: &str = "quantity is not between 1 and 100";
pub const LOW_UNIT_PRICE: &str = "unit_price is not positive";
pub const UNKNOWN_CUSTOMER: &str = "the customer is unknown";
pub const UNKNOWN_PRODUCT: &str = "the product is unknown";
