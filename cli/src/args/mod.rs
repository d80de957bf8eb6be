//! The command line that all commands share: global flags, the variables behind them, and how values are read.

mod env;
mod global;
mod rewrite;
mod value;

pub use env::Env;
pub use global::{Format, Global, TableProfile};
pub use rewrite::{is_table_profile, with_table_profile};
pub use value::{parse_assignment, parse_at, parse_duration_ms, parse_size};
