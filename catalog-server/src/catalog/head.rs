//! What must be known of a table to judge its next commit, and where that is kept between commits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use lake_format::action::{Action, Metadata, Protocol};
use lake_format::protocol::{TableProperties, check_read, check_write};
use lake_format::schema::{StructType, parse_schema};
use lake_format::transaction::Marks;
use lake_format::{At, ClockRef, Result, Snapshot, TableRoot};
use uuid::Uuid;

/// Tables whose newest version is remembered.
const MOST_SLOTS: usize = 1024;

/// A table at one version, without its files.
#[derive(Clone, Debug)]
pub struct TableHead {
    /// The version.
    pub version: u64,
    /// The protocol in force.
    pub protocol: Protocol,
    /// The table's own description.
    pub metadata: Metadata,
    /// The columns.
    pub schema: Arc<StructType>,
    /// What its versions have counted up to.
    pub marks: Marks,
}

impl TableHead {
    /// The newest version of the table at `root`.
    ///
    /// # Errors
    /// As [`Snapshot::load`].
    pub async fn load(root: &TableRoot, clock: &ClockRef) -> Result<Self> {
        let snapshot = Snapshot::load(root.clone(), At::Latest, Arc::clone(clock)).await?;
        Ok(Self {
            version: snapshot.version(),
            protocol: snapshot.protocol().clone(),
            metadata: snapshot.metadata().clone(),
            schema: Arc::clone(snapshot.schema()),
            marks: Marks::of(&snapshot)?,
        })
    }

    /// The table after one more commit.
    ///
    /// # Errors
    /// `Unsupported` or `Corrupt` when it would be one that Lake can't read or write, `Invalid` for a commit without the
    /// time or row ids that the table asks for.
    pub fn after(&self, actions: &[Action]) -> Result<Self> {
        let mut next = Self { version: self.version + 1, ..self.clone() };
        for action in actions {
            match action {
                Action::Protocol(protocol) => next.protocol = protocol.clone(),
                Action::Metadata(metadata) => {
                    next.schema = Arc::new(parse_schema(&metadata.schema_string)?);
                    next.metadata = (**metadata).clone();
                }
                _ => {}
            }
        }
        check_read(&next.protocol, &next.metadata)?;
        check_write(&next.protocol, &next.metadata, &next.schema)?;
        let properties = TableProperties::parse(&next.metadata.configuration);
        next.marks = self.marks.after(&next.protocol, &properties, actions)?;
        Ok(next)
    }
}

/// One table's turn to commit, and its newest version as far as this server knows.
pub(super) type Slot = Arc<tokio::sync::Mutex<Option<TableHead>>>;

/// The slots of the tables that were committed to lately. They put commits of one table in a row, so that each is
/// judged against the one before; who wins a version is decided by the store.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<HashMap<Uuid, Slot>>);

impl Slots {
    /// The slot of a table.
    pub(super) fn of(&self, table: Uuid) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MOST_SLOTS && !slots.contains_key(&table) {
            // Slots in use stay: dropping one would let two commits be judged at once.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(table).or_default())
    }

    /// Forgets a table.
    pub(super) fn forget(&self, table: Uuid) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.get(&table).is_some_and(|slot| Arc::strong_count(slot) == 1) {
            slots.remove(&table);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_bounded_and_those_in_use_stay() {
        use lake_format::clock::{Clock, SystemClock};
        let slots = Slots::default();
        let used = SystemClock.new_id();
        let held = slots.of(used);
        for _ in 0..3 * MOST_SLOTS {
            drop(slots.of(SystemClock.new_id()));
        }
        assert!(slots.0.lock().expect("slots").len() <= MOST_SLOTS);
        assert!(Arc::ptr_eq(&held, &slots.of(used)));
    }
}
