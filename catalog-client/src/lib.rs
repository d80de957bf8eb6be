//! HTTP client of the catalog: typed calls, from a table's name to its files, and commits through the server.

mod calls;
mod client;
mod commit;
mod error;
mod locate;

pub use calls::PageOptions;
pub use client::{CatalogClient, ClientOptions};
pub use commit::CatalogCommitter;
pub use locate::TableLocation;
