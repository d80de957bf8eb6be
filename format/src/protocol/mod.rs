//! What the table's protocol asks of us: features, the gate, typed properties.

mod feature;
mod gate;
mod properties;

pub use feature::{FEATURES, Feature, Support};
pub use gate::{check_read, check_schema, check_write};
pub use properties::{TableProperties, check_property_change, parse_interval_ms};
