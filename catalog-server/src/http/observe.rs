//! Around every request: its id, its deadline, its panic, its line in the log, its count.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use lake_catalog_api::{Failure, REQUEST_ID_HEADER};

use super::app::App;
use super::error::ApiError;

/// A request that has no answer by then gets 503.
const DEADLINE: Duration = Duration::from_secs(30);
const MOST_REQUEST_ID: usize = 128;
const UNMATCHED: &str = "unmatched";

/// Pattern of the route that answered, on its way to the outermost layer.
#[derive(Clone, Copy)]
struct RouteLabel(&'static str);

/// Who called, for the log.
#[derive(Clone)]
pub(super) struct Caller(pub(super) String);

/// `response`, marked as that route's.
pub(super) fn labelled(route: &'static str, mut response: Response) -> Response {
    response.extensions_mut().insert(RouteLabel(route));
    response
}

/// The outermost layer.
pub(super) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id(request.headers(), &app);
    let method = method_name(request.method());
    let answered = tokio::time::timeout(DEADLINE, AssertUnwindSafe(next.run(request)).catch_unwind()).await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => ApiError::new(Failure::Internal, "the server failed on this request").into_response(),
        Err(_) => ApiError::new(Failure::Unavailable, "the server did not finish in time")
            .hint("what was asked may still happen; look before you repeat it")
            .into_response(),
    };
    let route = response.extensions().get::<RouteLabel>().map_or(UNMATCHED, |label| label.0);
    let caller = response.extensions().get::<Caller>().map(|caller| caller.0.clone()).unwrap_or_default();
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let headers = response.headers().clone();
        response = error.into_body(&request_id);
        for (name, value) in &headers {
            response.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID_HEADER, value);
    }
    let status = response.status().as_u16();
    let took = started.elapsed();
    app.metrics.request(route, method, status, took);
    tracing::info!(request_id, method, route, status, took_ms = took.as_millis() as u64, caller, "request");
    response
}

/// The client's id if it is short and plain, else a new one.
fn request_id(headers: &HeaderMap, app: &App) -> String {
    let plain = |text: &&str| {
        (1..=MOST_REQUEST_ID).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
    };
    let given = headers.get(REQUEST_ID_HEADER).and_then(|value| value.to_str().ok()).filter(plain);
    given.map_or_else(|| app.clock.new_id().to_string(), str::to_owned)
}

/// Bounded, whatever clients send.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::PUT => "PUT",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
