//! From a refusal to a status and a body.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use lake_catalog_api::{CommitFailure, ErrorBody, ErrorInfo, Failure, Scope};
use lake_format::{Error, ErrorKind};

use crate::auth::Refused;
use crate::catalog::Refusal;

/// Longest message that goes out, in characters.
const MOST_MESSAGE: usize = 2000;

/// A failure on its way out. The body is written by the outermost layer, which knows the request's id.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    failure: Failure,
    info: Box<ErrorInfo>,
}

impl ApiError {
    pub(super) fn new(failure: Failure, message: impl AsRef<str>) -> Self {
        let info = ErrorInfo {
            kind: failure.kind(),
            message: printable(message.as_ref()),
            object: None,
            hint: None,
            request_id: None,
            details: Vec::new(),
            commit: None,
        };
        Self { failure, info: Box::new(info) }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.info.hint = Some(hint.into());
        self
    }

    pub(super) fn commit(mut self, commit: CommitFailure) -> Self {
        self.info.commit = Some(commit);
        self
    }

    /// The answer, for the request with that id.
    pub(super) fn into_body(mut self, request_id: &str) -> Response {
        self.info.request_id = Some(request_id.to_owned());
        let failure = self.failure;
        let mut response = json(status(failure.status()), &ErrorBody { error: *self.info });
        if failure == Failure::Unauthenticated {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if failure == Failure::Unavailable {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status(self.failure.status());
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Refusal::from(error).into()
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let error = &refusal.error;
        let failure = match error.kind() {
            _ if refusal.needs.is_some() => Failure::Forbidden,
            ErrorKind::Invalid if refusal.details.is_empty() => Failure::Invalid,
            ErrorKind::Invalid => Failure::RulesBroken,
            ErrorKind::Conflict => Failure::Conflict,
            ErrorKind::NotFound => Failure::NotFound,
            ErrorKind::AlreadyExists => Failure::AlreadyExists,
            ErrorKind::Unsupported => Failure::Unsupported,
            ErrorKind::Corrupt => Failure::Corrupt,
            // A store that turns the server away is no fault of the caller's token.
            ErrorKind::Unavailable | ErrorKind::Denied => Failure::Unavailable,
            _ => Failure::Internal,
        };
        let own_trouble = matches!(failure, Failure::Internal | Failure::Unavailable);
        if own_trouble || failure == Failure::Corrupt {
            tracing::error!(error = ?error, "a request failed");
        }
        // What lies behind the server's own trouble is for its log; the rest helps the caller.
        let message = match std::error::Error::source(error) {
            Some(source) if !own_trouble => format!("{}: {source}", error.message()),
            _ => error.message().to_owned(),
        };
        let mut api = Self::new(failure, message);
        api.info.object = error.object().map(printable);
        api.info.hint = error.hint().map(printable);
        api.info.details = refusal.details;
        api.info.commit = refusal.commit;
        api
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Missing => Self::new(Failure::Unauthenticated, "this server asks for a token")
                .hint("send it as `authorization: Bearer lake_…`; the first one is in the server's state folder"),
            Refused::Unknown => Self::new(Failure::Unauthenticated, "the token is not known, revoked or expired"),
            Refused::Forbidden(scope) => {
                let asked = scope.as_str();
                let hint = match scope {
                    Scope::Read => "ask for a token with a scope",
                    _ => "use a token with that scope, or ask an administrator for one",
                };
                Self::new(Failure::Forbidden, format!("this needs the scope {asked}")).hint(hint)
            }
            Refused::Failed(error) => error.into(),
        }
    }
}

/// Cut, and without what could steer a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\n').take(MOST_MESSAGE).collect()
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A JSON answer.
pub(super) fn json<T: serde::Serialize>(status: StatusCode, value: &T) -> Response {
    let (status, text) = match serde_json::to_vec(value) {
        Ok(text) => (status, text),
        Err(error) => {
            tracing::error!(%error, "an answer can't be written as JSON");
            (StatusCode::INTERNAL_SERVER_ERROR, Vec::new())
        }
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake_catalog_api::{Detail, ErrorKind as ApiKind, Layer};

    #[test]
    fn the_servers_own_trouble_stays_in_its_log() {
        let cause = || std::io::Error::other("password hunter2");
        let internal = ApiError::from(Error::internal("a statement failed").with_source(cause()));
        assert_eq!((internal.failure.status(), internal.info.message.as_str()), (500, "a statement failed"));
        let invalid = ApiError::from(Error::invalid("can't be parsed").with_source(std::io::Error::other("line 3")));
        assert_eq!((invalid.failure.status(), invalid.info.message.as_str()), (400, "can't be parsed: line 3"));
        let denied = ApiError::from(Error::denied("the store denied access"));
        assert_eq!((denied.failure.status(), denied.info.kind), (503, ApiKind::Unavailable));
    }

    #[test]
    fn broken_rules_have_their_own_status() {
        let detail = Detail { rule: "silver.range".into(), column: Some("a".into()), message: "too low".into() };
        let api = ApiError::from(Refusal::rules("lake.silver.t", Layer::Silver, vec![detail.clone()]));
        assert_eq!((api.failure.status(), api.info.kind), (422, ApiKind::Invalid));
        assert_eq!(api.info.details, vec![detail]);
    }

    #[test]
    fn messages_are_cut_and_cannot_steer_a_terminal() {
        let long = format!("\u{1b}[31m{}", "x".repeat(5000));
        assert_eq!(ApiError::new(Failure::Invalid, long).info.message.chars().count(), MOST_MESSAGE);
        assert!(!ApiError::new(Failure::Invalid, "\u{1b}[31mred").info.message.contains('\u{1b}'));
    }
}
