//! What the commits above the checkpoint say of files: in memory, or read when first needed.

use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::action::Action;
use crate::error::Result;
use crate::log::{Wanted, stream_commit};
use crate::replay::{Tail, TailFold};
use crate::store::{ObjectInfo, TableRoot};

/// The commits above a checkpoint, oldest first.
#[derive(Debug, Default)]
pub(super) struct Above {
    commits: Vec<Piece>,
    tail: OnceCell<Arc<Tail>>,
}

/// A commit, or several made into one.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// Its actions that speak of files.
    Held(Arc<Vec<Action>>),
    /// Its newest version and its file.
    Listed(u64, ObjectInfo),
}

impl Piece {
    /// What `actions` say of files.
    pub(super) fn of(actions: Vec<Action>) -> Self {
        let of_file = |action: &Action| matches!(action, Action::Add(_) | Action::Remove(_));
        Self::Held(Arc::new(actions.into_iter().filter(of_file).collect()))
    }
}

impl Above {
    pub(super) fn new(commits: Vec<Piece>) -> Self {
        Self { commits, tail: OnceCell::new() }
    }

    /// With one more commit.
    pub(super) fn pushed(&self, actions: Vec<Action>) -> Self {
        let mut commits = self.commits.clone();
        commits.push(Piece::of(actions));
        Self::new(commits)
    }

    /// What they say together.
    ///
    /// # Errors
    /// `Corrupt` for a damaged commit, the store's own.
    pub(super) async fn tail(&self, root: &TableRoot) -> Result<Arc<Tail>> {
        let fold = || async {
            let mut fold = TailFold::new(root.home());
            for commit in self.commits.iter().rev() {
                match commit {
                    Piece::Held(actions) => actions.iter().cloned().try_for_each(|action| fold.take(action))?,
                    Piece::Listed(version, object) => {
                        stream_commit(root, &object.path, *version, Wanted::All, |action| fold.take(action)).await?;
                    }
                }
            }
            fold.finish().map(Arc::new)
        };
        self.tail.get_or_try_init(fold).await.cloned()
    }
}
