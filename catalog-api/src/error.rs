//! The error body, and the one table from a failure to its kind and HTTP status.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::CommitFailure;

/// Kind of a failure: what the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request is wrong, or breaks rules that `details` lists: change it.
    Invalid,
    /// The credentials are missing, unknown, or do not allow this.
    Denied,
    /// The object is not there, or this caller may not know that it is.
    NotFound,
    /// The name or the location is taken.
    AlreadyExists,
    /// Another writer was first, or the object is in use: read again, then decide.
    Conflict,
    /// Lake does not do this, or refuses it as unsafe.
    Unsupported,
    /// Stored bytes contradict the table format.
    Corrupt,
    /// A store or the server can't answer now: try again later.
    Unavailable,
    /// A defect of the server.
    Internal,
}

/// Every way a request fails, finer than its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Malformed or impossible request.
    Invalid,
    /// No token, or one that is not known.
    Unauthenticated,
    /// A known token whose scopes do not allow this.
    Forbidden,
    /// No such route or object.
    NotFound,
    /// The route does not take this method.
    MethodNotAllowed,
    /// The name or the location is taken.
    AlreadyExists,
    /// Another writer was first, or the object is in use.
    Conflict,
    /// The body is over its limit.
    TooLarge,
    /// The body is not `application/json`.
    MediaType,
    /// A commit breaks rules of its layer or contract; `details` lists all of them.
    RulesBroken,
    /// Not done by Lake, or refused as unsafe.
    Unsupported,
    /// Stored bytes contradict the table format.
    Corrupt,
    /// A defect of the server.
    Internal,
    /// A store or the server can't answer now, or the deadline passed.
    Unavailable,
}

/// The table. A corrupt table is the server's trouble and not mended by another request, hence 500; what Lake does
/// not do is 422, since the request itself is well formed and a repetition won't help.
const TABLE: &[(Failure, ErrorKind, u16, &str)] = &[
    (Failure::Invalid, ErrorKind::Invalid, 400, "the request is malformed or impossible"),
    (Failure::Unauthenticated, ErrorKind::Denied, 401, "no token, or one that is not known"),
    (Failure::Forbidden, ErrorKind::Denied, 403, "the token's scopes do not allow this"),
    (Failure::NotFound, ErrorKind::NotFound, 404, "no such object"),
    (Failure::MethodNotAllowed, ErrorKind::Invalid, 405, "the route does not take this method"),
    (Failure::AlreadyExists, ErrorKind::AlreadyExists, 409, "the name or the location is taken"),
    (Failure::Conflict, ErrorKind::Conflict, 409, "another writer was first, or the object is in use"),
    (Failure::TooLarge, ErrorKind::Invalid, 413, "the body is over its limit"),
    (Failure::MediaType, ErrorKind::Invalid, 415, "the body is not application/json"),
    (Failure::RulesBroken, ErrorKind::Invalid, 422, "rules of the layer or the contract are broken; details lists all"),
    (Failure::Unsupported, ErrorKind::Unsupported, 422, "not done, or refused as unsafe"),
    (Failure::Corrupt, ErrorKind::Corrupt, 500, "stored bytes contradict the table format"),
    (Failure::Internal, ErrorKind::Internal, 500, "a defect of the server"),
    (Failure::Unavailable, ErrorKind::Unavailable, 503, "a store or the server can't answer now"),
];

impl Failure {
    /// All failures, in the table's order.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    fn row(self) -> (ErrorKind, u16, &'static str) {
        let row = TABLE.iter().find(|row| row.0 == self);
        row.map_or((ErrorKind::Internal, 500, ""), |row| (row.1, row.2, row.3))
    }

    /// The kind on the wire.
    pub fn kind(self) -> ErrorKind {
        self.row().0
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        self.row().1
    }

    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        self.row().2
    }

    /// The best guess for an answer without a readable body, as a proxy gives.
    pub fn of_status(status: u16) -> Self {
        match TABLE.iter().find(|row| row.1 != ErrorKind::Corrupt && row.2 == status) {
            Some(row) => row.0,
            None if (400..500).contains(&status) && status != 408 && status != 429 => Self::Invalid,
            None => Self::Unavailable,
        }
    }
}

/// Body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// The failure.
    pub error: ErrorInfo,
}

/// One failure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorInfo {
    /// Decide by this.
    pub kind: ErrorKind,
    /// What failed.
    pub message: String,
    /// The object concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Id of the request, as in the header `x-request-id` and the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Every broken rule, when rules were broken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
    /// What became of a commit, when the request was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitFailure>,
}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Detail {
    /// Stable name of the rule, as `silver.not_null`.
    pub rule: String,
    /// The column concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// How it is broken.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_one_row_and_a_status_of_an_error() {
        let mut seen = std::collections::HashSet::new();
        for failure in Failure::all() {
            assert!(seen.insert(failure), "{failure:?} twice");
            assert!((400..600).contains(&failure.status()), "{failure:?}");
            assert!(!failure.meaning().is_empty());
        }
        assert_eq!(seen.len(), 14);
    }

    #[test]
    fn a_status_without_body_gives_the_likely_kind() {
        for (status, kind) in [
            (400, ErrorKind::Invalid),
            (401, ErrorKind::Denied),
            (403, ErrorKind::Denied),
            (404, ErrorKind::NotFound),
            (418, ErrorKind::Invalid),
            (429, ErrorKind::Unavailable),
            (500, ErrorKind::Internal),
            (502, ErrorKind::Unavailable),
            (503, ErrorKind::Unavailable),
            (504, ErrorKind::Unavailable),
        ] {
            assert_eq!(Failure::of_status(status).kind(), kind, "{status}");
        }
    }

    #[test]
    fn empty_parts_stay_off_the_wire() {
        let info = ErrorInfo {
            kind: ErrorKind::NotFound,
            message: "no such table".into(),
            object: None,
            hint: None,
            request_id: None,
            details: Vec::new(),
            commit: None,
        };
        let text = serde_json::to_string(&ErrorBody { error: info.clone() }).expect("json");
        assert_eq!(text, r#"{"error":{"kind":"not_found","message":"no such table"}}"#);
        assert_eq!(serde_json::from_str::<ErrorBody>(&text).expect("back").error, info);
    }
}
