//! One history: a table, its clients, the weather, the calm after it, and the judgement.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lake_format::ClockRef;
use lake_format::action::{Action, Metadata, Protocol};
use lake_format::transaction::{Base, Operation, Reads, Staged, transact};
use lake_testkit::{SplitMix64, simulate};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::client::{Client, Commons, root};
use super::committer::Wrong;
use super::config::{Config, DAY_MS};
use super::disk::Disk;
use super::faults::Activations;
use super::history::History;
use super::keepers::{checkpointer, cleaner, reader};
use super::oracle::{Judge, Tally};
use super::store::Weather;
use super::writer::Writer;

const SCHEMA: &str = r#"{"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{}},{"name":"p","type":"long","nullable":true,"metadata":{}}]}"#;

/// How one history went.
pub struct Run {
    pub verdict: Result<(), String>,
    pub tally: Tally,
    pub activations: Arc<Activations>,
    /// One number for all that happened in the store.
    pub trace: u64,
}

/// Runs the history of `seed`.
pub fn run(seed: u64, wrong: Option<Wrong>) -> Run {
    simulate(seed, |rng| history(rng, wrong))
}

async fn history(rng: SplitMix64, wrong: Option<Wrong>) -> Run {
    let config = Arc::new(Config::draw(&mut rng.fork(1)));
    let commons = Commons {
        config: Arc::clone(&config),
        disk: Arc::new(Disk::new()),
        history: Arc::default(),
        activations: Arc::default(),
        wrong,
        start: Instant::now(),
    };
    let calm = commons.client(&rng.fork(2), Weather::default(), 0);
    create(&calm).await;
    let mut chance = rng.fork(3);
    let (mut stores, mut tasks) = (Vec::new(), Vec::new());
    let mut client = |part: u64, off_ms: i64| {
        let client = commons.client(&rng.fork(part), config.weather.clone(), off_ms);
        stores.push(client.store.clone());
        client
    };
    for me in 0..config.writers {
        let skewed = config.clock_faults > 0;
        let off_ms = if skewed { chance.below(4 * DAY_MS) as i64 - 2 * DAY_MS as i64 } else { 0 };
        let client = client(100 + me, off_ms);
        let writer = Writer { client, rng: rng.fork(200 + me), me, files: 0, snapshot: None, opened_ms: 0, skewed };
        tasks.push(tokio::spawn(writer.run()));
    }
    for part in 0..2 {
        tasks.push(tokio::spawn(reader(client(300 + part, 0), rng.fork(310 + part))));
    }
    if config.checkpoints {
        tasks.push(tokio::spawn(checkpointer(client(400, 0), rng.fork(410))));
        tasks.push(tokio::spawn(cleaner(client(401, chance.below(2 * DAY_MS) as i64), rng.fork(411))));
    }
    let storm_ends = commons.start + Duration::from_millis(config.days * DAY_MS);
    sleep_until(storm_ends).await;
    stores.iter().for_each(super::store::SimStore::heal);
    let bound = storm_ends + Duration::from_millis(5 * DAY_MS);
    let ended = timeout_at(bound, futures::future::join_all(tasks)).await;
    while commons.disk.state().pending > 0 {
        calm.sleep_ms(60_000).await;
    }
    let mut history = std::mem::take(&mut *commons.history.lock().unwrap_or_else(PoisonError::into_inner));
    match ended {
        Err(_) => history.defects.push("not all clients ended within five days after the faults".to_owned()),
        Ok(ended) if ended.iter().any(Result::is_err) => history.defects.push("a client panicked".to_owned()),
        Ok(_) => {}
    }
    let trace = commons.disk.trace();
    let mut judge = Judge {
        config: &config,
        disk: &commons.disk,
        history: &history,
        truth: root(calm.store.clone()),
        clock: Arc::clone(&calm.clock) as ClockRef,
        versions: Vec::new(),
        tally: Tally::default(),
    };
    let verdict = judge.judge().await;
    Run { verdict, tally: judge.tally, activations: commons.activations, trace }
}

async fn create(client: &Client) {
    let config = &client.config;
    let names = |names: &[(&str, bool)]| -> Vec<String> {
        names.iter().filter(|(_, on)| *on).map(|(name, _)| (*name).to_owned()).collect()
    };
    let readers = [("deletionVectors", true), ("v2Checkpoint", config.v2_checkpoints)];
    let writers = [
        ("deletionVectors", true),
        ("v2Checkpoint", config.v2_checkpoints),
        ("appendOnly", true),
        ("domainMetadata", true),
        ("inCommitTimestamp", config.in_commit_timestamps),
        ("rowTracking", config.row_tracking),
    ];
    let protocol = Protocol {
        min_reader_version: 3,
        min_writer_version: 7,
        reader_features: Some(names(&readers)),
        writer_features: Some(names(&writers)),
    };
    let mut configuration = BTreeMap::from([
        ("delta.checkpointInterval".to_owned(), config.checkpoint_interval.to_string()),
        ("delta.logRetentionDuration".to_owned(), format!("interval {} hours", config.log_retention_hours)),
        // Setting a compressor up takes longer than all else in files this small.
        ("delta.parquet.compression.codec".to_owned(), "uncompressed".to_owned()),
        ("delta.deletedFileRetentionDuration".to_owned(), "interval 90 days".to_owned()),
    ]);
    let mut set = |key: &str, value: &str| drop(configuration.insert(key.to_owned(), value.to_owned()));
    if config.in_commit_timestamps {
        set("delta.enableInCommitTimestamps", "true");
    }
    if config.v2_checkpoints {
        set("delta.checkpointPolicy", "v2");
    }
    if config.write_serializable {
        set("delta.isolationLevel", "WriteSerializable");
    }
    let metadata = Metadata {
        id: "sim".to_owned(),
        schema_string: SCHEMA.to_owned(),
        partition_columns: vec!["p".to_owned()],
        configuration,
        ..Metadata::default()
    };
    let actions = vec![Action::Protocol(protocol), Action::Metadata(Box::new(metadata))];
    let staged = Staged { operation: Operation::new("CREATE TABLE"), actions, reads: Reads::Nothing };
    let base = Base::New(client.root.clone(), Arc::clone(&client.clock) as ClockRef);
    transact(
        base,
        staged,
        &super::committer::Watched { history: Arc::new(Mutex::new(History::default())), wrong: None },
    )
    .await
    .expect("created without faults");
}
