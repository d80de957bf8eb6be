//! Is the server alive, is it ready, what does it count: routes without a token.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::json;

use super::app::App;
use super::error;
use super::observe::labelled;

const LIVE: &str = "/health/live";
const READY: &str = "/health/ready";
const METRICS: &str = "/metrics";

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route(LIVE, get(live)).route(READY, get(ready)).route(METRICS, get(metrics))
}

async fn live() -> Response {
    labelled(LIVE, error::json(StatusCode::OK, &json!({ "status": "alive" })))
}

/// Ready: not stopping, and the store of records can be written and read.
async fn ready(State(app): State<Arc<App>>) -> Response {
    let unready =
        |reason: &str| error::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "unready", "reason": reason }));
    let answer = if app.is_draining() {
        unready("the server is stopping")
    } else {
        match app.catalog.check().await {
            Ok(()) => error::json(StatusCode::OK, &json!({ "status": "ready" })),
            Err(error) => {
                tracing::error!(error = ?error, "not ready");
                unready(error.message())
            }
        }
    };
    labelled(READY, answer)
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    labelled(METRICS, app.metrics.render())
}
