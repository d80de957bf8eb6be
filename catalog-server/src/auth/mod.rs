//! Who is calling, and may they: static tokens with scopes.

mod token;

use std::sync::Arc;

use lake_catalog_api::Scope;
use lake_format::clock::ClockRef;
use lake_format::{Error, ErrorKind, Result};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::store::{CatalogStore, TokenRecord};

pub use token::{PREFIX, hash_of, head_of, write_secret};

/// Most characters of an `authorization` header that is looked at.
const MAX_HEADER: usize = 512;

/// A caller that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Name of its token; `anonymous` where none is asked for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
}

impl Principal {
    /// Whether it may do what needs `scope`. A scope includes those below it.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|own| *own >= scope)
    }
}

/// Why a caller is turned away.
#[derive(Debug)]
pub enum Refused {
    /// No token was given.
    Missing,
    /// The token is malformed, unknown, revoked or expired. The caller is not told which.
    Unknown,
    /// The token is known, but does not allow this.
    Forbidden(Scope),
    /// The tokens can't be read now.
    Failed(Error),
}

/// Checks callers against the tokens of a store, or lets everyone in.
#[derive(Clone, Debug)]
pub struct Gate {
    store: Arc<dyn CatalogStore>,
    clock: ClockRef,
    open: bool,
}

impl Gate {
    /// A gate that asks for tokens; with `open`, one that asks for nothing.
    pub fn new(store: Arc<dyn CatalogStore>, clock: ClockRef, open: bool) -> Self {
        Self { store, clock, open }
    }

    /// Whether everyone is let in.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Lets a caller through who may do what needs `scope`. Every check of a right goes through here, before anything
    /// else is done.
    ///
    /// # Errors
    /// Why not.
    pub async fn admit(&self, authorization: Option<&str>, scope: Scope) -> Result<Principal, Refused> {
        let principal = self.identify(authorization).await?;
        if principal.may(scope) { Ok(principal) } else { Err(Refused::Forbidden(scope)) }
    }

    async fn identify(&self, authorization: Option<&str>) -> Result<Principal, Refused> {
        if self.open {
            return Ok(Principal { name: "anonymous".to_owned(), scopes: vec![Scope::Admin] });
        }
        let header = authorization.ok_or(Refused::Missing)?;
        let secret = bearer(header).ok_or(Refused::Unknown)?;
        let hash = hash_of(secret);
        let candidates = self.store.tokens_by_hash_head(head_of(&hash)).await.map_err(Refused::Failed)?;
        let now_ms = self.clock.now_ms();
        let known = candidates.into_iter().find(|token| bool::from(token.hash[..].ct_eq(&hash[..])));
        match known {
            Some(token) if token.expires_ms.is_none_or(|at| now_ms < at) => {
                Ok(Principal { name: token.name, scopes: token.scopes })
            }
            _ => Err(Refused::Unknown),
        }
    }

    /// Makes a token and gives its secret, which is not kept.
    ///
    /// # Errors
    /// `Invalid` without name or scope, `AlreadyExists` for a name in use.
    pub async fn issue(
        &self,
        name: &str,
        scopes: &[Scope],
        expires_in_s: Option<u32>,
    ) -> Result<(TokenRecord, String)> {
        if scopes.is_empty() {
            return Err(Error::invalid("a token needs a scope").with_hint("give one of read, write, admin"));
        }
        let (record, secret) = self.draw(name, scopes, expires_in_s);
        self.store.create_token(&record).await?;
        Ok((record, secret))
    }

    fn draw(&self, name: &str, scopes: &[Scope], expires_in_s: Option<u32>) -> (TokenRecord, String) {
        let secret = token::draw(self.clock.as_ref());
        let created_ms = self.clock.now_ms();
        let mut scopes = scopes.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        let record = TokenRecord {
            id: self.clock.new_txn_id(),
            name: name.to_owned(),
            hash: hash_of(&secret),
            scopes,
            created_ms,
            expires_ms: expires_in_s.map(|s| created_ms.saturating_add(i64::from(s) * 1000)),
        };
        (record, secret)
    }

    /// Refuses a token from now on.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for the last token that may administer, which nobody could replace.
    pub async fn revoke(&self, id: Uuid) -> Result<()> {
        let tokens = self.store.tokens().await?;
        let lasting_admin = |token: &&TokenRecord| token.scopes.contains(&Scope::Admin) && token.expires_ms.is_none();
        let mut admins = tokens.iter().filter(lasting_admin);
        if let (Some(only), None) = (admins.next(), admins.next())
            && only.id == id
        {
            return Err(Error::conflict("the last token that may administer is not revoked")
                .with_hint("make another token with the scope admin first"));
        }
        self.store.delete_token(id).await
    }

    /// All tokens, by name.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn tokens(&self) -> Result<Vec<TokenRecord>> {
        self.store.tokens().await
    }

    /// Makes the first token, if there is none yet, and leaves its secret in `file`, which only its owner may read.
    /// True when it did. The file is written first: a crash in between leaves a secret that is replaced next time.
    ///
    /// # Errors
    /// Those of the store and of the file.
    pub async fn ensure_first(&self, file: &std::path::Path) -> Result<bool> {
        if !self.store.tokens().await?.is_empty() {
            return Ok(false);
        }
        let (record, secret) = self.draw("admin", &[Scope::Admin], None);
        write_secret(file, &secret).map_err(|e| Error::from(e).with_object(file.display().to_string()))?;
        match self.store.create_token(&record).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(Error::conflict("another server makes its first token in the same folder")
                    .with_object(file.display().to_string())
                    .with_hint("start one server at a time on a state folder"))
            }
            other => other.map(|()| true),
        }
    }
}

/// The token of `Bearer <token>`.
fn bearer(header: &str) -> Option<&str> {
    if header.len() > MAX_HEADER {
        return None;
    }
    let (scheme, secret) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim()).filter(|secret| secret.starts_with(PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use lake_format::clock::SystemClock;

    fn gate() -> Gate {
        Gate::new(Arc::new(MemoryStore::new()), SystemClock::shared(), false)
    }

    #[tokio::test]
    async fn scopes_include_those_below() {
        let gate = gate();
        for (given, allowed) in [
            (Scope::Read, vec![Scope::Read]),
            (Scope::Write, vec![Scope::Read, Scope::Write]),
            (Scope::Admin, vec![Scope::Read, Scope::Write, Scope::Admin]),
        ] {
            let (_, secret) = gate.issue(given.as_str(), &[given], None).await.expect("issue");
            for wanted in [Scope::Read, Scope::Write, Scope::Admin] {
                let answer = gate.admit(Some(&format!("Bearer {secret}")), wanted).await;
                assert_eq!(answer.is_ok(), allowed.contains(&wanted), "{given:?} for {wanted:?}");
                assert!(answer.is_ok() || matches!(answer, Err(Refused::Forbidden(scope)) if scope == wanted));
            }
        }
    }

    #[tokio::test]
    async fn only_the_exact_secret_is_let_in() {
        let gate = gate();
        let (record, secret) = gate.issue("ci", &[Scope::Read], None).await.expect("issue");
        assert!(gate.admit(Some(&format!("bearer {secret}")), Scope::Read).await.is_ok(), "the scheme has no case");
        assert!(matches!(gate.admit(None, Scope::Read).await, Err(Refused::Missing)));
        let flipped = secret.replace(|c: char| c == secret.chars().last().unwrap_or('x'), "");
        let hash: String = record.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        for bad in [
            format!("Bearer {secret}x"),
            format!("Bearer {}", &secret[..secret.len() - 1]),
            format!("Bearer {flipped}"),
            format!("Bearer lake_{hash}"),
            format!("Bearer {}", secret.to_uppercase()),
            format!("Basic {secret}"),
            secret.clone(),
            "Bearer ".to_owned(),
            "Bearer lake_".to_owned(),
            format!("Bearer lake_{}", "a".repeat(100_000)),
        ] {
            assert!(matches!(gate.admit(Some(&bad), Scope::Read).await, Err(Refused::Unknown)), "{bad:.60}");
        }
    }

    #[tokio::test]
    async fn an_expired_or_revoked_token_is_unknown() {
        let gate = gate();
        let (_, admin) = gate.issue("admin", &[Scope::Admin], None).await.expect("issue");
        let (_, expired) = gate.issue("old", &[Scope::Admin], Some(0)).await.expect("issue");
        assert!(matches!(gate.admit(Some(&format!("Bearer {expired}")), Scope::Read).await, Err(Refused::Unknown)));
        let (record, secret) = gate.issue("ci", &[Scope::Write], None).await.expect("issue");
        gate.revoke(record.id).await.expect("revoke");
        assert!(matches!(gate.admit(Some(&format!("Bearer {secret}")), Scope::Read).await, Err(Refused::Unknown)));
        let last = gate.tokens().await.expect("list").into_iter().find(|t| t.name == "admin").expect("admin");
        assert_eq!(gate.revoke(last.id).await.expect_err("last").kind(), ErrorKind::Conflict);
        assert!(gate.admit(Some(&format!("Bearer {admin}")), Scope::Admin).await.is_ok());
    }

    #[tokio::test]
    async fn the_store_holds_no_usable_token() {
        let gate = gate();
        let (_, secret) = gate.issue("ci", &[Scope::Read], None).await.expect("issue");
        let dump = format!("{:?}", gate.tokens().await.expect("list"));
        assert!(!dump.contains(&secret) && !dump.contains(secret.trim_start_matches(PREFIX)));
    }

    #[tokio::test]
    async fn the_first_token_is_made_once_and_kept_from_others() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("admin.token");
        let gate = gate();
        assert!(gate.ensure_first(&file).await.expect("first"));
        let secret = std::fs::read_to_string(&file).expect("secret");
        assert!(gate.admit(Some(&format!("Bearer {}", secret.trim())), Scope::Admin).await.is_ok());
        assert!(!gate.ensure_first(&file).await.expect("second"));
        assert_eq!(std::fs::read_to_string(&file).expect("secret"), secret);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&file).expect("metadata").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[tokio::test]
    async fn an_open_gate_asks_nothing() {
        let gate = Gate { open: true, ..gate() };
        assert!(gate.admit(None, Scope::Admin).await.is_ok());
    }
}
