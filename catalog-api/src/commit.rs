//! Commits on the wire: what is asked, what became of it, who holds a version.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One commit to one version of one table. Safe to repeat: the same `txn_id` and `actions` land at most once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitRequest {
    /// The version to create: one after the table's newest.
    pub version: u64,
    /// Identity of the logical commit, a UUID made before the first attempt.
    pub txn_id: String,
    /// The exact contents of `<version>.json`: one action a line, `commitInfo` with `txnId` first.
    pub actions: String,
    /// Refuse the commit unless the table has this identity: another may have taken its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_id: Option<String>,
    /// Lets the commit change the table's protocol.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_protocol_change: bool,
}

/// How a commit came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommitOutcome {
    /// By this request.
    Committed,
    /// By an earlier request with the same `txn_id` and `actions`.
    AlreadyCommitted,
}

/// The commit is there, for every reader and for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommitResponse {
    /// The version it holds.
    pub version: u64,
    /// How it came to be there.
    pub outcome: CommitOutcome,
}

/// What is known of a commit that was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommitState {
    /// This request left nothing, and nothing of it will appear. It says nothing of an earlier request with the same
    /// `txn_id` that was answered `unknown`.
    Rejected,
    /// It may be there or may appear: repeat the same request to settle it.
    Unknown,
}

/// Why a commit was not acknowledged, inside an error's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommitFailure {
    /// What is known.
    pub outcome: CommitState,
    /// The version that was asked for.
    pub version: u64,
    /// The table's newest version, when it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<u64>,
    /// True when another commit holds the version.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken: bool,
}

/// Who holds a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommitStatus {
    /// The version asked for.
    pub version: u64,
    /// `txnId` of the commit that holds it; absent when its writer gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txn_id: Option<String>,
    /// Operation that the commit names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}
