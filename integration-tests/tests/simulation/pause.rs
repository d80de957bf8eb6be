//! A future that is not run for a while, as when its process is stopped.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Sleep;

pub struct Paused<T> {
    inner: BoxFuture<'static, T>,
    /// Polls before the pause.
    polls: u64,
    length: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<T> Paused<T> {
    /// Runs `inner` for so many polls, and then not for `length`.
    pub fn new(inner: BoxFuture<'static, T>, polls: u64, length: Duration) -> Self {
        Self { inner, polls, length, pause: None }
    }
}

impl<T> Future for Paused<T> {
    type Output = T;

    #[expect(clippy::disallowed_methods, reason = "the time of a simulation is paused")]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if self.polls == 0 && self.pause.is_none() {
            self.pause = Some(Box::pin(tokio::time::sleep(self.length)));
        }
        if let Some(pause) = &mut self.pause
            && pause.as_mut().poll(context).is_pending()
        {
            return Poll::Pending;
        }
        self.polls = self.polls.saturating_sub(1);
        // Once over, the pause stays ready and is not asked again.
        if self.pause.is_some() {
            self.pause = None;
            self.polls = u64::MAX;
        }
        self.inner.as_mut().poll(context)
    }
}
