//! The table's columns: types, their JSON text, their Arrow form, and how they may change.

mod arrow;
mod change;
mod declare;
mod evolve;
mod fit;
mod json;
pub mod mapping;
mod names;
mod types;
pub mod widening;

pub(crate) use arrow::arrow_primitive;
pub use arrow::{from_arrow, to_arrow, to_arrow_field};
pub use change::{Position, SchemaChange, apply};
pub use declare::parse_declaration;
pub use evolve::{add_columns, merge, merge_widening};
pub use fit::fits;
pub use json::{parse_schema, write_schema};
pub use mapping::MappingMode;
pub use names::{MAX_TYPE_DEPTH, check_added_names, check_names, check_new_names};
pub use types::{ArrayType, DataType, MapType, PrimitiveType, StructField, StructType};
