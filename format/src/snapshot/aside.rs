//! A checkpoint that is written while later versions are made.

use std::sync::Arc;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::watch;

use super::Snapshot;
use super::above::{Above, Piece};
use super::base::Base;
use super::build::with_tally;
use super::cleanup::Cleaned;
use crate::log::checkpoint::Totals;
use crate::replay::FileTally;

/// One that is on its way.
#[derive(Clone, Debug)]
pub(super) struct Aside {
    end: watch::Receiver<Option<End>>,
    /// What was committed after the version that it is of.
    since: Arc<Above>,
    /// How many files came and went since; `None` when that can't be told.
    tally: Option<FileTally>,
}

/// How it ended: what there is to stand on, and how many files it lists; `None` when it failed.
#[derive(Clone, Debug)]
struct End {
    base: Option<(Arc<Base>, Option<Totals>)>,
    cleaned: Option<Cleaned>,
}

impl Snapshot {
    /// This version, whose successors have their checkpoints written beside what is done next.
    pub(crate) fn checkpointing_aside(&self) -> Self {
        Self { checkpoints_aside: true, ..self.clone() }
    }

    /// Begins the checkpoint of this version, once the one before it has ended, and does not wait for it; `None` where
    /// nobody asked for that, or the runtime has no thread for it.
    pub(crate) async fn begin_checkpoint(&self) -> Option<Self> {
        let runtime =
            Handle::try_current().ok().filter(|handle| handle.runtime_flavor() != RuntimeFlavor::CurrentThread);
        let runtime = runtime.filter(|_| self.checkpoints_aside)?;
        let standing = self.settled().await;
        let (tell, end) = watch::channel(None);
        let work = standing.clone();
        runtime.spawn(async move {
            let ended = match work.write_checkpoint().await {
                Ok(mut written) => {
                    written.clean_log_told().await;
                    End { base: Some((written.base, written.totals)), cleaned: written.cleaned }
                }
                Err(error) => {
                    let (table, version) = (work.root().display(), work.version());
                    tracing::warn!(table, version, %error, "no checkpoint of this version");
                    End { base: None, cleaned: work.cleaned }
                }
            };
            tell.send_replace(Some(ended));
        });
        let aside = Aside { end, since: Arc::default(), tally: Some(FileTally::default()) };
        Some(Self { aside: Some(aside), ..standing })
    }

    /// This version once no checkpoint is on its way any more.
    pub(crate) async fn settled(&self) -> Self {
        let Some(aside) = &self.aside else { return self.clone() };
        // An error means that it was cut short.
        let ended = aside.end.clone().wait_for(Option::is_some).await.map(|end| end.clone());
        self.standing(ended.ok().flatten().as_ref())
    }

    /// This version on what is there to stand on now.
    pub(super) fn rested(&self) -> Self {
        let Some(aside) = &self.aside else { return self.clone() };
        // Asked first: what is said at the end is said before it.
        let is_over = aside.end.has_changed().is_err();
        let ended = aside.end.borrow().clone();
        if ended.is_none() && !is_over { self.clone() } else { self.standing(ended.as_ref()) }
    }

    fn standing(&self, ended: Option<&End>) -> Self {
        let mut standing = Self { aside: None, ..self.clone() };
        if let (Some(aside), Some(End { base: Some((base, totals)), cleaned })) = (&self.aside, ended) {
            let counted = totals.zip(aside.tally).and_then(|(totals, tally)| with_tally(totals, tally));
            standing.totals = counted.or(self.totals);
            standing.base = Arc::clone(base);
            standing.above = Arc::clone(&aside.since);
            standing.cleaned = *cleaned;
        }
        standing
    }
}

impl Aside {
    /// The same after one more commit.
    pub(super) fn pushed(&self, piece: &Piece, tally: Option<FileTally>) -> Self {
        let tally = self.tally.zip(tally).map(|(before, new)| before.and(new));
        Self { end: self.end.clone(), since: Arc::new(self.since.with(piece.clone())), tally }
    }
}
