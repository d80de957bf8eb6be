//! What the table's protocol asks of us: features, the gate, typed properties.

mod feature;
mod gate;
mod indexed;
mod properties;
mod rules;
mod upgrade;

pub use feature::{FEATURES, Feature, Support, features_of};
pub use gate::{check_read, check_schema, check_write, column_mapping, is_supported};
pub use indexed::{IndexedLeaf, indexed_leaves};
pub use properties::{
    IsolationLevel, TableProperties, check_property_change, format_columns, parse_columns, parse_interval_ms,
};
pub use rules::{GeneratedColumn, Rule, Rules};
pub(crate) use upgrade::can_set;
pub use upgrade::{Directives, upgraded};

/// The domain that holds the mark of row ids.
pub const ROW_TRACKING_DOMAIN: &str = "delta.rowTracking";
