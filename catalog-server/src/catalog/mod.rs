//! The catalog itself: names, tables, contracts and commits. Knows no HTTP.

mod commit;
mod contract;
mod files;
mod head;
mod layout;
mod location;
mod namespace;
mod proposal;
mod refusal;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use lake_catalog_api::{NameProblem, check_name};
use lake_format::{ClockRef, Error, Result};
use uuid::Uuid;

pub use contract::{Case, UPSTREAMS_KEY, UpstreamState, judge};
pub use head::TableHead;
pub use location::{Roots, Storage};
pub use refusal::{Outcome, Refusal};

use crate::store::{CatalogStore, Page};
use head::Slots;

/// The catalog over a store of records and the stores of the tables.
#[derive(Debug)]
pub struct Catalog {
    store: Arc<dyn CatalogStore>,
    storage: Storage,
    clock: ClockRef,
    slots: Slots,
}

impl Catalog {
    /// A catalog whose records are in `store` and whose tables are on `storage`.
    pub fn new(store: Arc<dyn CatalogStore>, storage: Storage, clock: ClockRef) -> Self {
        Self { store, storage, clock, slots: Slots::default() }
    }

    /// Whether the store of records works.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn check(&self) -> Result<()> {
        self.store.check(self.clock.now_ms()).await
    }

    /// A fresh identity; later ones sort behind earlier ones.
    fn new_id(&self) -> Uuid {
        self.clock.new_txn_id()
    }
}

/// Part of a list, as a client asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// Most entries, already checked.
    pub limit: Option<u32>,
    /// `next_page_token` of the page before.
    pub token: Option<String>,
}

impl PageRequest {
    /// One entry more than asked for tells whether there is a next page.
    fn page(&self) -> Result<(Page, usize)> {
        let limit = self.limit.unwrap_or(lake_catalog_api::DEFAULT_PAGE);
        if !(1..=lake_catalog_api::MAX_PAGE).contains(&limit) {
            return Err(Error::invalid(format!("limit must be 1 to {}", lake_catalog_api::MAX_PAGE))
                .with_object(limit.to_string()));
        }
        if let Some(token) = &self.token {
            check_name(token).map_err(|_| {
                Error::invalid("page_token is not one that this server gave")
                    .with_hint("start again without page_token")
            })?;
        }
        Ok((Page { after: self.token.clone(), limit: limit + 1 }, limit as usize))
    }
}

/// Cuts a list to its page; gives the token of the next one.
fn cut<T>(entries: &mut Vec<T>, limit: usize, name: impl Fn(&T) -> &str) -> Option<String> {
    let more = entries.len() > limit;
    entries.truncate(limit);
    if more { entries.last().map(|last| name(last).to_owned()) } else { None }
}

fn checked_name(name: &str) -> Result<()> {
    check_name(name).map_err(|problem| {
        let shown: String = name.chars().take(160).filter(|c| !c.is_control()).collect();
        Error::invalid(problem.to_string()).with_object(shown).with_hint(NameProblem::HINT)
    })
}

/// Refuses text that is too long, or that could steer a terminal.
fn checked_text(what: &str, text: &str, most_bytes: usize) -> Result<()> {
    if text.len() > most_bytes {
        return Err(Error::invalid(format!("the {what} is longer than {most_bytes} bytes")));
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(Error::invalid(format!("the {what} has control characters")));
    }
    Ok(())
}

const MOST_PROPERTIES: usize = 200;

fn checked_properties(properties: &BTreeMap<String, String>) -> Result<()> {
    if properties.len() > MOST_PROPERTIES {
        return Err(Error::invalid(format!("more than {MOST_PROPERTIES} properties")));
    }
    for (key, value) in properties {
        if key.is_empty() {
            return Err(Error::invalid("a property needs a name"));
        }
        checked_text("name of a property", key, 256)?;
        checked_text("value of a property", value, 4096).map_err(|e| e.with_object(key.clone()))?;
    }
    Ok(())
}

/// Sets and, for null, removes properties.
fn merge_properties(into: &mut BTreeMap<String, String>, changes: BTreeMap<String, Option<String>>) -> Result<()> {
    for (key, value) in changes {
        match value {
            Some(value) => into.insert(key, value),
            None => into.remove(&key),
        };
    }
    checked_properties(into)
}

fn no_such(what: &str, name: &str) -> Error {
    let shown: String = name.chars().take(160).filter(|c| !c.is_control()).collect();
    Error::not_found(format!("no such {what}")).with_object(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_followed_only_when_there_is_more() {
        let request = PageRequest { limit: Some(2), token: None };
        let (page, limit) = request.page().expect("page");
        assert_eq!((page.limit, limit), (3, 2));
        let mut full = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
        assert_eq!(cut(&mut full, limit, |name| name), Some("b".to_owned()));
        assert_eq!(full, ["a", "b"]);
        assert_eq!(cut(&mut full, limit, |name| name), None);
        for bad in [
            PageRequest { limit: Some(0), token: None },
            PageRequest { limit: Some(1001), token: None },
            PageRequest { limit: None, token: Some("../x".into()) },
        ] {
            assert!(bad.page().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn text_cannot_steer_a_terminal() {
        checked_text("owner", "Zoë\nline", 100).expect("plain");
        for bad in ["\u{1b}[31m", "a\u{0}b", "\u{9b}x"] {
            assert!(checked_text("owner", bad, 100).is_err(), "{bad:?}");
        }
        assert!(checked_text("owner", "abc", 2).is_err());
    }
}
