//! The catalog over HTTP: the only room that knows axum.

mod app;
mod error;
mod extract;
mod health;
mod metrics;
mod native;
mod observe;
mod router;
mod tasks;

pub use app::App;
pub use router::router;
