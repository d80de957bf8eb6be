//! What the table's protocol asks of us: features, the gate, typed properties.

mod feature;
mod gate;
mod properties;

pub use feature::{FEATURES, Feature, Support, features_of, has_feature};
pub use gate::{check_read, check_schema, check_write};
pub use properties::{IsolationLevel, TableProperties, check_property_change, parse_interval_ms};

/// The domain that holds the mark of row ids.
pub const ROW_TRACKING_DOMAIN: &str = "delta.rowTracking";
