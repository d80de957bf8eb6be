//! DataFusion over Lake tables: references, predicates, the table provider, SQL.

mod error;
mod predicate;
mod provider;
mod reference;
mod resolver;
mod session;
mod sql;

pub use provider::LakeTableProvider;
pub use reference::{Place, TableRef, parse_time};
pub use resolver::{PathResolver, TableResolver};
pub use session::{Session, SessionBuilder};
pub use sql::{Condition, SqlAnswer};
