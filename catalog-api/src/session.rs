//! Who is calling, and the tokens that say so.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a caller may do. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// See and read.
    Read,
    /// Make tables, change what is said about them, give them a contract, and commit to them.
    Write,
    /// Make, change and drop catalogs, schemas and tokens; register and drop tables; change or remove a contract that
    /// is there.
    Admin,
}

impl Scope {
    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// The scope with that lower-case name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Admin].into_iter().find(|scope| scope.as_str() == text)
    }
}

/// What the server knows of the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Name of the token; `anonymous` where the server asks for none.
    pub principal: String,
    /// What the caller may do.
    pub scopes: Vec<Scope>,
    /// Version of the server.
    pub server_version: String,
    /// The catalog that a name without one means.
    pub default_catalog: String,
}

/// A token, without its secret: that is shown once, when it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Identity.
    pub id: String,
    /// Name, for people.
    pub name: String,
    /// What it allows.
    pub scopes: Vec<Scope>,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
    /// Milliseconds since the epoch from which on it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
}

/// All tokens, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenList {
    /// The tokens.
    pub tokens: Vec<Token>,
}

/// Makes a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// Name, for people. Unique.
    pub name: String,
    /// What it allows. `write` includes `read`, `admin` includes both.
    pub scopes: Vec<Scope>,
    /// Seconds from now until it is refused; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_s: Option<u32>,
}

/// A new token with its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// The token as it is listed.
    pub token: Token,
    /// The secret. The server keeps only its hash.
    pub secret: String,
}

impl fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedToken").field("token", &self.token).field("secret", &"***").finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let token =
            Token { id: "1".into(), name: "ci".into(), scopes: vec![Scope::Read], created_ms: 0, expires_ms: None };
        let created = CreatedToken { token, secret: "lake_hunter2".into() };
        assert!(!format!("{created:?}").contains("hunter2"));
    }
}
