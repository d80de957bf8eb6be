//! Domains: named configuration that users and programs keep with a table.

use std::sync::Arc;

use super::{WriteOutcome, report};
use crate::action::{Action, DomainMetadata};
use crate::conflict::Reads;
use crate::error::{Error, Result};
use crate::protocol::is_supported;
use crate::snapshot::Snapshot;
use crate::transaction::{Base, Committer, Operation, Staged, transact};
use crate::write::Written;

/// Sets the configuration of a domain, or replaces it.
///
/// # Errors
/// `Invalid` for a name that is empty or the protocol's own (`delta.`), `Unsupported` where the table lacks the feature
/// `domainMetadata`, `Conflict` when another commit changed the same domain (CON-6).
pub async fn set_domain(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    name: &str,
    configuration: &str,
) -> Result<WriteOutcome> {
    let domain = DomainMetadata { domain: name.into(), configuration: configuration.into(), removed: false };
    change(snapshot, committer, Operation::new("SET DOMAIN METADATA"), domain).await
}

/// Removes a domain.
///
/// # Errors
/// As [`set_domain`], and `NotFound` where the table has no such domain.
pub async fn remove_domain(snapshot: &Arc<Snapshot>, committer: &dyn Committer, name: &str) -> Result<WriteOutcome> {
    check_name(name)?;
    let Some(known) = snapshot.domain(name) else {
        return Err(Error::not_found("the table has no such domain").with_object(name));
    };
    let domain = DomainMetadata { removed: true, ..known.clone() };
    change(snapshot, committer, Operation::new("REMOVE DOMAIN METADATA"), domain).await
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Error::invalid("a domain needs a printable name").with_object(name));
    }
    if name.to_ascii_lowercase().starts_with("delta.") {
        return Err(Error::invalid("domains that begin with \"delta.\" belong to the protocol")
            .with_object(name)
            .with_hint("nothing was changed; choose another name"));
    }
    Ok(())
}

async fn change(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    operation: Operation,
    domain: DomainMetadata,
) -> Result<WriteOutcome> {
    check_name(&domain.domain)?;
    snapshot.check_writable()?;
    if !is_supported(snapshot.protocol(), "domainMetadata") {
        return Err(Error::unsupported("the table lacks the feature \"domainMetadata\", which domains need")
            .with_object(snapshot.root().display())
            .with_hint("nothing was changed; ask for the feature first: a protocol is never upgraded silently"));
    }
    let operation = operation.with("domain", domain.domain.clone());
    let staged = Staged { operation, actions: vec![Action::Domain(domain)], reads: Reads::Nothing };
    let outcome = transact(Base::On(Arc::clone(snapshot)), staged, committer).await?;
    Ok(report(outcome, &Written::default(), 0, 0))
}
