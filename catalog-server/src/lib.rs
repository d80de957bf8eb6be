//! The catalog server: names, layers and contracts of tables, and commits that keep them, over HTTP.

pub mod auth;
pub mod catalog;
pub mod config;
mod http;
mod serve;
pub mod store;

pub use config::{AuthMode, Config};
pub use serve::{DRAIN_LIMIT, Server, serve};
