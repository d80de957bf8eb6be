//! Why a request of the catalog was refused: the error, every broken rule, and what became of a commit.

use std::fmt;

use lake_catalog_api::{CommitFailure, CommitState, Detail, Layer, Scope};
use lake_format::Error;

/// Result of everything in the catalog.
pub type Outcome<T> = Result<T, Refusal>;

/// A refusal. It left everything as it was, unless `commit` says that this is not known.
#[derive(Debug)]
pub struct Refusal {
    /// What failed.
    pub error: Error,
    /// Every broken rule. Not empty exactly when rules were broken.
    pub details: Vec<Detail>,
    /// Layer whose rules were broken.
    pub layer: Layer,
    /// What is known of the commit, when the request was one.
    pub commit: Option<CommitFailure>,
    /// The scope that the caller lacks, when that is why.
    pub needs: Option<Scope>,
}

impl Refusal {
    /// A refusal because of `details`; `what` is what they are rules for.
    pub fn rules(what: &str, layer: Layer, details: Vec<Detail>) -> Self {
        let rules = if details.len() == 1 { "a rule is".to_owned() } else { format!("{} rules are", details.len()) };
        let error = Error::invalid(format!("{rules} broken"))
            .with_object(what.to_owned())
            .with_hint("nothing was changed; mend what details lists, then send the request again");
        Self { error, details, layer, commit: None, needs: None }
    }

    /// A refusal of what only callers with `scope` may do.
    pub(super) fn needs(scope: Scope, what: &str, object: String) -> Self {
        let error = Error::denied(format!("{what} needs the scope {}", scope.as_str()))
            .with_object(object)
            .with_hint("nothing was changed; use a token with that scope, or ask an administrator");
        Self { needs: Some(scope), ..Self::from(error) }
    }

    /// The same, about a commit to `version` of which nothing will appear.
    pub(super) fn rejected(mut self, version: u64, head: Option<u64>) -> Self {
        self.commit.get_or_insert(CommitFailure { outcome: CommitState::Rejected, version, head, taken: false });
        self
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, details: Vec::new(), layer: Layer::None, commit: None, needs: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Refusal {}
