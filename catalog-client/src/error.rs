//! From an answer that is no success to an error, with every broken rule in it.

use lake_catalog_api::{CommitFailure, ErrorBody, ErrorInfo, ErrorKind as ApiKind, Failure};
use lake_format::{Error, ErrorKind};

/// A refusal by the server.
#[derive(Debug)]
pub(crate) struct Refused {
    /// What it means.
    pub(crate) error: Error,
    /// What became of the commit, if the request was one and the server said so.
    pub(crate) commit: Option<CommitFailure>,
}

/// Reads the body of an answer that is no success.
pub(crate) fn refused(base: &str, status: u16, bytes: &[u8]) -> Refused {
    match serde_json::from_slice::<ErrorBody>(bytes) {
        Ok(body) => {
            let commit = body.error.commit.clone();
            Refused { error: told(base, body.error), commit }
        }
        Err(_) => {
            let message = format!("the server answered {status} without saying why");
            let error = Error::new(kind_of(Failure::of_status(status).kind()), message)
                .with_object(base.to_owned())
                .with_hint("check the address; a proxy may have answered in its place");
            Refused { error, commit: None }
        }
    }
}

fn kind_of(kind: ApiKind) -> ErrorKind {
    match kind {
        ApiKind::Invalid => ErrorKind::Invalid,
        ApiKind::Denied => ErrorKind::Denied,
        ApiKind::NotFound => ErrorKind::NotFound,
        ApiKind::AlreadyExists => ErrorKind::AlreadyExists,
        ApiKind::Conflict => ErrorKind::Conflict,
        ApiKind::Unsupported => ErrorKind::Unsupported,
        ApiKind::Corrupt => ErrorKind::Corrupt,
        ApiKind::Unavailable => ErrorKind::Unavailable,
        ApiKind::Internal => ErrorKind::Internal,
    }
}

fn told(base: &str, info: ErrorInfo) -> Error {
    let mut message = info.message;
    for detail in &info.details {
        let column = detail.column.as_ref().map(|column| format!(" (column {column})")).unwrap_or_default();
        message.push_str(&format!("\n  {}{column}: {}", detail.rule, detail.message));
    }
    let mut error = Error::new(kind_of(info.kind), message).with_object(info.object.unwrap_or_else(|| base.to_owned()));
    let own_trouble = matches!(info.kind, ApiKind::Internal | ApiKind::Unavailable | ApiKind::Corrupt);
    let request = info.request_id.filter(|_| own_trouble).map(|id| format!("the server's log has it as request {id}"));
    if let Some(hint) = [info.hint, request].into_iter().flatten().reduce(|hint, more| format!("{hint}; {more}")) {
        error = error.with_hint(hint);
    }
    error
}

/// An exchange without a whole answer.
pub(crate) fn exchange_failed(base: &str, error: reqwest::Error) -> Error {
    let (message, hint) = if error.is_timeout() && !error.is_connect() {
        ("the catalog server did not answer in time", "look whether it was done before you repeat it")
    } else if error.is_connect() {
        ("the catalog server can't be reached", "start one with `lake serve`, or check its address")
    } else {
        ("the exchange with the catalog server was cut short", "look whether it was done before you repeat it")
    };
    Error::unavailable(message).with_object(base.to_owned()).with_hint(hint).with_source(error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_broken_rule_is_a_line() {
        let body =
            br#"{"error":{"kind":"invalid","message":"2 rules are broken","object":"lake.silver.t","hint":"mend it",
            "request_id":"r","details":[{"rule":"silver.range","column":"price","message":"too low"},
            {"rule":"gold.owner","message":"none"}],
            "commit":{"outcome":"rejected","version":3,"head":2}}}"#;
        let refused = refused("http://x", 422, body);
        let error = refused.error;
        assert_eq!(
            (error.kind(), error.object(), error.hint()),
            (ErrorKind::Invalid, Some("lake.silver.t"), Some("mend it"))
        );
        let lines: Vec<&str> = error.message().lines().collect();
        assert_eq!(lines, ["2 rules are broken", "  silver.range (column price): too low", "  gold.owner: none"]);
        assert_eq!(refused.commit.and_then(|commit| commit.head), Some(2));
    }

    #[test]
    fn the_servers_own_trouble_names_the_request() {
        let body = br#"{"error":{"kind":"internal","message":"it failed","request_id":"r-1","future":true}}"#;
        let error = refused("http://x", 500, body).error;
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.hint().is_some_and(|hint| hint.contains("r-1")), "{error:?}");
    }

    #[test]
    fn an_answer_of_something_else_is_told_by_its_status() {
        for (status, kind) in [(502, ErrorKind::Unavailable), (404, ErrorKind::NotFound), (401, ErrorKind::Denied)] {
            assert_eq!(refused("http://x", status, b"<html>").error.kind(), kind);
        }
    }
}
