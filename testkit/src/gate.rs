//! How a test holds a request at one point while others go on.

use std::sync::Arc;

use tokio::sync::watch;

/// A point where requests wait until the test lets them go. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<State>>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    arrived: u64,
    open: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }

    /// Waits until `count` requests have come to the gate since it was made.
    pub async fn reached(&self, count: u64) {
        self.wait(|state| state.arrived >= count).await;
    }

    /// Lets all go, those waiting and those to come.
    pub fn open(&self) {
        self.0.send_modify(|state| state.open = true);
    }

    /// Holds those that come from now on.
    pub fn close(&self) {
        self.0.send_modify(|state| state.open = false);
    }

    /// Comes to the gate and waits until it is open.
    pub async fn pass(&self) {
        self.0.send_modify(|state| state.arrived += 1);
        self.wait(|state| state.open).await;
    }

    async fn wait(&self, until: impl FnMut(&State) -> bool) {
        // Fails only when the sender is gone, and `self` holds it.
        let _ = self.0.subscribe().wait_for(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gate_holds_until_it_is_opened() {
        let gate = Gate::new();
        let held = gate.clone();
        let task = tokio::spawn(async move { held.pass().await });
        gate.reached(1).await;
        assert!(!task.is_finished());
        gate.open();
        task.await.unwrap();
        gate.pass().await;
        gate.reached(2).await;
    }
}
