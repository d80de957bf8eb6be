//! The native API: from wire to catalog and back, one function a route.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, body::Body};
use lake_catalog_api::{
    CommitFailure, CommitOutcome, CommitRequest, CommitState, CreateCatalog, CreateSchema, CreateTable, CreateToken,
    CreatedToken, DEFAULT_CATALOG, Failure, MAX_BODY_BYTES, MAX_COMMIT_BODY_BYTES, RegisterTable, Scope, Session,
    Token, TokenList, UpdateCatalog, UpdateSchema, UpdateTable, check_name,
};

use super::app::App;
use super::error::{ApiError, json};
use super::extract::{Json, Paging, Place};
use crate::auth::Principal;
use crate::catalog::{Outcome, Refusal};
use crate::store::TokenRecord;

type Answer = Result<Response, ApiError>;
type Server = State<Arc<App>>;
type Small<T> = Json<T, MAX_BODY_BYTES>;

/// Shorter than the deadline of requests, so that the answer can say what it means for a commit.
const COMMIT_DEADLINE: Duration = Duration::from_secs(25);

fn ok<T: serde::Serialize>(outcome: Outcome<T>) -> Answer {
    Ok(json(StatusCode::OK, &outcome?))
}

fn created<T: serde::Serialize>(outcome: Outcome<T>) -> Answer {
    Ok(json(StatusCode::CREATED, &outcome?))
}

fn gone(outcome: Outcome<()>) -> Answer {
    outcome?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn get_session(Extension(principal): Extension<Principal>) -> Answer {
    ok(Ok(Session {
        principal: principal.name,
        scopes: principal.scopes,
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        default_catalog: DEFAULT_CATALOG.to_owned(),
    }))
}

pub(super) async fn get_openapi(State(app): Server) -> Response {
    let mut response = Response::new(Body::from(app.openapi.clone()));
    let kind = axum::http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, kind);
    response
}

fn token_out(record: TokenRecord) -> Token {
    Token {
        id: record.id.to_string(),
        name: record.name,
        scopes: record.scopes,
        created_ms: record.created_ms,
        expires_ms: record.expires_ms,
    }
}

pub(super) async fn list_tokens(State(app): Server) -> Answer {
    let tokens = app.gate.tokens().await?.into_iter().map(token_out).collect();
    ok(Ok(TokenList { tokens }))
}

pub(super) async fn create_token(State(app): Server, Json(request): Small<CreateToken>) -> Answer {
    check_name(&request.name).map_err(|problem| ApiError::new(Failure::Invalid, problem.to_string()))?;
    let (record, secret) = app.gate.issue(&request.name, &request.scopes, request.expires_in_s).await?;
    created(Ok(CreatedToken { token: token_out(record), secret }))
}

pub(super) async fn revoke_token(State(app): Server, place: Place) -> Answer {
    gone(app.gate.revoke(place.id).await.map_err(Refusal::from))
}

pub(super) async fn list_catalogs(State(app): Server, Paging(page): Paging) -> Answer {
    ok(app.catalog.list_catalogs(&page).await)
}

pub(super) async fn create_catalog(State(app): Server, Json(request): Small<CreateCatalog>) -> Answer {
    created(app.catalog.create_catalog(request).await)
}

pub(super) async fn get_catalog(State(app): Server, place: Place) -> Answer {
    ok(app.catalog.get_catalog(&place.catalog).await)
}

pub(super) async fn update_catalog(State(app): Server, place: Place, Json(request): Small<UpdateCatalog>) -> Answer {
    ok(app.catalog.update_catalog(&place.catalog, request).await)
}

pub(super) async fn delete_catalog(State(app): Server, place: Place) -> Answer {
    gone(app.catalog.delete_catalog(&place.catalog).await)
}

pub(super) async fn list_schemas(State(app): Server, place: Place, Paging(page): Paging) -> Answer {
    ok(app.catalog.list_schemas(&place.catalog, &page).await)
}

pub(super) async fn create_schema(State(app): Server, place: Place, Json(request): Small<CreateSchema>) -> Answer {
    created(app.catalog.create_schema(&place.catalog, request).await)
}

pub(super) async fn get_schema(State(app): Server, place: Place) -> Answer {
    ok(app.catalog.get_schema(&place.catalog, &place.schema).await)
}

pub(super) async fn update_schema(State(app): Server, place: Place, Json(request): Small<UpdateSchema>) -> Answer {
    ok(app.catalog.update_schema(&place.catalog, &place.schema, request).await)
}

pub(super) async fn delete_schema(State(app): Server, place: Place) -> Answer {
    gone(app.catalog.delete_schema(&place.catalog, &place.schema).await)
}

pub(super) async fn list_tables(State(app): Server, place: Place, Paging(page): Paging) -> Answer {
    ok(app.catalog.list_tables(&place.catalog, &place.schema, &page).await)
}

pub(super) async fn create_table(State(app): Server, place: Place, Json(request): Small<CreateTable>) -> Answer {
    let catalog = Arc::clone(&app.catalog);
    let work = async move { catalog.create_table(&place.catalog, &place.schema, request).await };
    created(app.tasks.run(work).await.map_err(failed)?)
}

pub(super) async fn register_table(State(app): Server, place: Place, Json(request): Small<RegisterTable>) -> Answer {
    created(app.catalog.register_table(&place.catalog, &place.schema, request).await)
}

pub(super) async fn get_table(State(app): Server, place: Place) -> Answer {
    ok(app.catalog.get_table(&place.catalog, &place.schema, &place.table).await)
}

pub(super) async fn update_table(
    State(app): Server,
    Extension(principal): Extension<Principal>,
    place: Place,
    Json(request): Small<UpdateTable>,
) -> Answer {
    let may_lift = principal.may(Scope::Admin);
    ok(app.catalog.update_table(&place.catalog, &place.schema, &place.table, request, may_lift).await)
}

pub(super) async fn drop_table(State(app): Server, place: Place) -> Answer {
    ok(app.catalog.drop_table(&place.catalog, &place.schema, &place.table).await)
}

pub(super) async fn load_table(State(app): Server, place: Place) -> Answer {
    ok(app.catalog.load_table(&place.catalog, &place.schema, &place.table).await)
}

pub(super) async fn get_commit(State(app): Server, place: Place) -> Answer {
    ok(app.catalog.commit_status(&place.catalog, &place.schema, &place.table, place.version).await)
}

/// The commit goes on when the client is gone or the deadline has passed: between the store's put and its answer
/// nothing may be cut.
pub(super) async fn commit(State(app): Server, place: Place, request: Request) -> Answer {
    // Taken before the body is read, so that bodies in memory are bounded.
    let permit = Arc::clone(&app.commits).acquire_owned().await;
    let permit = permit.map_err(|_| ApiError::new(Failure::Unavailable, "the server is stopping"))?;
    let Json(request) = Json::<CommitRequest, MAX_COMMIT_BODY_BYTES>::from_request(request, &()).await?;
    let version = request.version;
    let catalog = Arc::clone(&app.catalog);
    let server = Arc::clone(&app);
    let task = app.tasks.spawn(async move {
        let _permit = permit;
        let outcome = catalog.commit(&place.catalog, &place.schema, &place.table, request).await;
        count(&server, &outcome);
        outcome
    });
    let unknown = CommitFailure { outcome: CommitState::Unknown, version, head: None, taken: false };
    match tokio::time::timeout(COMMIT_DEADLINE, task).await {
        Ok(Ok(outcome)) => ok(outcome),
        Ok(Err(error)) => Err(failed(error).commit(unknown)),
        Err(_) => Err(ApiError::new(Failure::Unavailable, "the commit is still under way")
            .hint("repeat the same request to learn what became of it")
            .commit(unknown)),
    }
}

fn failed(error: tokio::task::JoinError) -> ApiError {
    tracing::error!(%error, "a task failed");
    ApiError::new(Failure::Internal, "the server failed on this request")
}

fn count(app: &App, outcome: &Outcome<lake_catalog_api::CommitResponse>) {
    let label = match outcome {
        Ok(response) if response.outcome == CommitOutcome::Committed => "committed",
        Ok(_) => "already_committed",
        Err(refusal) => match &refusal.commit {
            Some(failure) if failure.outcome == CommitState::Unknown => "unknown",
            Some(failure) if failure.taken => "conflict",
            _ if !refusal.details.is_empty() => {
                app.metrics.refusal(refusal.layer.as_str());
                "rules_broken"
            }
            _ => "rejected",
        },
    };
    app.metrics.commit(label);
}
