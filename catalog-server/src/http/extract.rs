//! What a request says: names in its path, its page, its body. Everything wrong is told as JSON.

use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures::StreamExt;
use lake_catalog_api::{Failure, NameProblem, check_name};
use uuid::Uuid;

use super::error::ApiError;
use crate::catalog::PageRequest;

/// The parameters of the path, checked. Those that a route does not have are empty.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) catalog: String,
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) version: u64,
    pub(super) id: Uuid,
}

impl<S: Send + Sync> FromRequestParts<S> for Place {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let parameters = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::new(Failure::Invalid, "the path is not UTF-8"))?;
        let mut place = Self::default();
        for (key, value) in &parameters {
            match key {
                "version" => {
                    let wrong = |_| ApiError::new(Failure::Invalid, "a version is a number from 0 on");
                    place.version = value.parse().map_err(wrong)?;
                }
                "id" => {
                    let wrong = |_| ApiError::new(Failure::Invalid, "an id is a UUID");
                    place.id = value.parse().map_err(wrong)?;
                }
                name => {
                    let wrong = |problem: NameProblem| {
                        ApiError::new(Failure::Invalid, format!("{problem} ({name} in the path)"))
                            .hint(NameProblem::HINT)
                    };
                    check_name(value).map_err(wrong)?;
                    let target = match name {
                        "catalog" => &mut place.catalog,
                        "schema" => &mut place.schema,
                        _ => &mut place.table,
                    };
                    value.clone_into(target);
                }
            }
        }
        Ok(place)
    }
}

/// `limit` and `page_token`.
#[derive(Debug)]
pub(super) struct Paging(pub(super) PageRequest);

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut page = PageRequest::default();
        for (key, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            match key.as_ref() {
                "limit" => {
                    let wrong = |_| ApiError::new(Failure::Invalid, "limit is not a number");
                    page.limit = Some(value.parse().map_err(wrong)?);
                }
                "page_token" if value.is_empty() => {}
                "page_token" => page.token = Some(value.into_owned()),
                other => {
                    let message = format!("no parameter is called {other:?}");
                    return Err(ApiError::new(Failure::Invalid, message).hint("a list takes limit and page_token"));
                }
            }
        }
        Ok(Self(page))
    }
}

/// A JSON body of at most `LIMIT` bytes, without fields that are not known.
#[derive(Debug)]
pub(super) struct Json<T, const LIMIT: usize>(pub(super) T);

impl<S: Send + Sync, T: serde::de::DeserializeOwned, const LIMIT: usize> FromRequest<S> for Json<T, LIMIT> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::new(Failure::MediaType, "the body must be JSON")
                .hint("send it with `content-type: application/json`"));
        }
        let announced =
            request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let too_large = || ApiError::new(Failure::TooLarge, format!("the body has more than {LIMIT} bytes"));
        if announced.is_some_and(|length: u64| length > LIMIT as u64) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        let mut stream = request.into_body().into_data_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| ApiError::new(Failure::Invalid, "the body ended early"))?;
            if bytes.len() + chunk.len() > LIMIT {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        // A list would pass for the fields in their order.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(ApiError::new(Failure::Invalid, "the body is not a JSON object"));
        }
        let wrong = |e: serde_json::Error| ApiError::new(Failure::Invalid, format!("the body can't be used: {e}"));
        Ok(Self(serde_json::from_slice(&bytes).map_err(wrong)?))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
