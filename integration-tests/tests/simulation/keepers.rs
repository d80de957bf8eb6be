//! Those who write no rows: a checkpointer, a log cleaner and readers.

use std::sync::Arc;

use lake_format::{At, Snapshot};
use lake_testkit::SplitMix64;

use super::client::Client;
use super::config::DAY_MS;

/// Writes a checkpoint now and then, also while others commit.
pub async fn checkpointer(client: Client, mut rng: SplitMix64) {
    for day in 0..client.config.days {
        let within = if rng.chance(500) { client.config.round_ms * 2 } else { DAY_MS / 2 };
        client.sleep_until_ms(day * DAY_MS + rng.below(within)).await;
        if let Ok(snapshot) = client.load(At::Latest).await
            && snapshot.version() > 0
            && let Ok(standing) = snapshot.write_checkpoint().await
        {
            client.look(&standing, 0, false).await;
        }
    }
}

/// Cleans the log up once or twice a day.
pub async fn cleaner(client: Client, mut rng: SplitMix64) {
    for half in 1..=client.config.days * 2 {
        client.sleep_until_ms(half * DAY_MS / 2 + rng.below(client.config.round_ms)).await;
        if let Ok(snapshot) = client.load(At::Latest).await {
            let _ = snapshot.clean_log().await;
        }
    }
}

/// Looks at the newest version, at older ones, and follows the table from version to version.
pub async fn reader(client: Client, mut rng: SplitMix64) {
    let mut followed: Option<Arc<Snapshot>> = None;
    let rounds = client.config.operations + 1;
    for round in 0..rounds {
        let day = round * client.config.days / rounds;
        client.sleep_until_ms(day * DAY_MS + round * 30_000 + rng.below(client.config.round_ms * 2)).await;
        let told_before = client.history().told;
        let (found, latest) = match (&followed, rng.below(3)) {
            (Some(old), 0 | 1) => (old.refreshed().await, true),
            (Some(old), _) => (client.load(At::Version(rng.below(old.version() + 1))).await.map(Arc::new), false),
            (None, _) => (client.load(At::Latest).await.map(Arc::new), true),
        };
        match found {
            Ok(snapshot) => {
                client.look(&snapshot, told_before, latest).await;
                if latest {
                    followed = Some(snapshot);
                }
            }
            Err(error) => {
                client.check(&error);
                followed = None;
            }
        }
    }
}
