//! Work that must reach its end although its client is gone: counted, so that a stop can wait for it.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};

/// The tasks under way.
#[derive(Clone, Debug)]
pub(super) struct Tasks(Arc<watch::Sender<usize>>);

/// Counts one task for as long as it lives, also when it panics.
struct Counted(Arc<watch::Sender<usize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Tasks {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Runs `work` to its end, whether or not the answer is awaited.
    pub(super) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.0.send_modify(|count| *count += 1);
        let counted = Counted(Arc::clone(&self.0));
        tokio::spawn(async move {
            let _counted = counted;
            work.await
        })
    }

    /// [`Tasks::spawn`], awaited.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        self.spawn(work).await
    }

    /// Waits until none is under way.
    pub(super) async fn idle(&self) {
        // It fails only when the sender is gone, and that is held here.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn work_goes_on_when_nobody_waits_and_a_panic_is_counted_out() {
        let tasks = Tasks::new();
        let done = Arc::new(AtomicBool::new(false));
        let (release, wait) = tokio::sync::oneshot::channel::<()>();
        let flag = Arc::clone(&done);
        let handle = tasks.spawn(async move {
            let _ = wait.await;
            flag.store(true, Ordering::SeqCst);
        });
        drop(handle);
        assert!(tasks.run(async { panic!("on purpose") }).await.is_err());
        assert!(!done.load(Ordering::SeqCst));
        release.send(()).expect("still there");
        tasks.idle().await;
        assert!(done.load(Ordering::SeqCst));
    }
}
