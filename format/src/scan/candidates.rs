//! The live files that can hold a wanted row, with all that the log says of them.

use std::sync::Arc;

use futures::TryStreamExt;

use super::ScanRequest;
use super::prune::PredicateSieve;
use super::shared::Shared;
use crate::action::Add;
use crate::action::DeletionVectorDescriptor;
use crate::action::columnar::{FileBatch, Sieve};
use crate::error::Result;
use crate::expr::Predicate;
use crate::log::checkpoint::FilesWanted;
use crate::replay::Distinct;
use crate::snapshot::{Snapshot, listed_twice};

impl Snapshot {
    /// The live files for which neither partition values nor the bounds of a checkpoint rule `predicate` out.
    ///
    /// # Errors
    /// As [`Snapshot::plan_scan`].
    pub(crate) async fn candidates(&self, predicate: &Predicate) -> Result<Vec<Arc<Add>>> {
        let request = ScanRequest { predicate: Some(predicate.clone()), ..ScanRequest::default() };
        let shared = Shared::resolve(self.scan_table(), &request)?;
        let (shared, home) = (&shared, &self.root().home());
        let read = || async move {
            let sieve: Arc<dyn Sieve> = Arc::new(PredicateSieve::new(predicate, shared));
            let wanted = FilesWanted { sieve: Some(sieve), ..FilesWanted::adds() };
            let batches: Vec<FileBatch> = self.batches(&wanted).try_collect().await?;
            let mut distinct = Distinct::new(home.clone());
            let rows = batches.iter().flat_map(|batch| (0..batch.len()).map(move |row| batch.add(row)));
            let adds: Vec<Arc<Add>> = rows.map(Arc::new).collect();
            for add in &adds {
                let vector = add.deletion_vector.as_ref().map(DeletionVectorDescriptor::unique_id);
                distinct.push(&add.path, vector.as_deref());
            }
            match distinct.repeated() {
                Some((at, _)) => Err(listed_twice(&adds[at].path)),
                None => Ok(adds),
            }
        };
        self.with_repair(read).await
    }
}
