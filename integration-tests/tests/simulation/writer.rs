//! A writer: opens the table or keeps it open, decides, commits, and records what it was told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use futures::FutureExt;
use futures::future::BoxFuture;
use lake_format::action::{Action, Add, DeletionVectorDescriptor, DomainMetadata, Remove, Txn};
use lake_format::expr::{ColumnPath, CompareOp, Predicate, Scalar};
use lake_format::operation::{self, AppendOptions, OverwriteOptions, Unchanged, settle};
use lake_format::replay::Home;
use lake_format::transaction::{Base, Operation, Outcome, ReadSet, Reads, Staged, transact};
use lake_format::{At, Error, ErrorKind, Input, Snapshot, WriteOutcome};
use lake_testkit::SplitMix64;

use super::client::Client;
use super::config::DAY_MS;
use super::faults::Fault;
use super::history::{APPS, Answer, Attempt, DOMAINS, Kind};
use super::pause::Paused;

const PARTITIONS: u64 = 3;

pub struct Writer {
    pub client: Client,
    pub rng: SplitMix64,
    pub me: u64,
    pub files: u64,
    pub snapshot: Option<Arc<Snapshot>>,
    /// When it was opened, by the store's clock.
    pub opened_ms: i64,
    pub skewed: bool,
}

type Done = Result<Answer, Error>;

impl Writer {
    /// All rounds, then one append that must land once everything works again.
    pub async fn run(mut self) {
        let config = Arc::clone(&self.client.config);
        for round in 0..config.operations {
            let day = round * config.days / config.operations;
            let at_ms = day * DAY_MS + round * 60_000 + self.rng.below(config.round_ms);
            self.client.sleep_until_ms(at_ms).await;
            self.disturb_clock();
            self.operate(round).await;
        }
        self.client.healed().await;
        self.client.clock.freeze(false);
        self.finish().await;
    }

    fn disturb_clock(&mut self) {
        if self.skewed {
            self.client.count(Fault::Skew);
            self.skewed = false;
        }
        if !self.rng.chance(self.client.config.clock_faults) {
            return;
        }
        if self.rng.chance(500) {
            self.client.count(Fault::Step);
            self.client.clock.step(self.rng.below(4 * DAY_MS) as i64 - 2 * DAY_MS as i64);
        } else {
            self.client.count(Fault::Freeze);
            self.client.clock.freeze(true);
        }
    }

    /// The table: as it was, refreshed, or opened anew.
    async fn open(&mut self) -> Option<Arc<Snapshot>> {
        for _ in 0..4 {
            let found = match (&self.snapshot, self.rng.below(10)) {
                (Some(old), 0..=2) => {
                    if self.client.disk.now_ms() - self.opened_ms > DAY_MS as i64 {
                        self.client.count(Fault::OldHandle);
                    }
                    Ok(Arc::clone(old))
                }
                (Some(old), 3..=7) => old.refreshed().await,
                _ => self.client.load(At::Latest).await.map(Arc::new),
            };
            match found {
                Ok(snapshot) => {
                    if self.snapshot.as_ref().is_none_or(|old| !Arc::ptr_eq(old, &snapshot)) {
                        self.opened_ms = self.client.disk.now_ms();
                    }
                    self.snapshot = Some(Arc::clone(&snapshot));
                    return Some(snapshot);
                }
                Err(error) => self.client.check(&error),
            }
            self.snapshot = None;
            self.client.sleep_ms(20).await;
        }
        None
    }

    async fn operate(&mut self, round: u64) {
        let Some(snapshot) = self.open().await else { return };
        self.client.clock.take_txn_ids();
        let told_before = self.client.history().told;
        let read_version = snapshot.version();
        let Some((kind, doing)) = self.decide(&snapshot, round).await else { return };
        let config = Arc::clone(&self.client.config);
        let answer = if self.rng.chance(config.cancels) {
            self.client.count(Fault::Cancel);
            let patience = Duration::from_micros(self.rng.below(8 * config.weather.way_micros));
            match self.client.within(patience, doing).await {
                Some(done) => self.answer(done),
                None => {
                    self.snapshot = None;
                    Answer::Cancelled
                }
            }
        } else if self.rng.chance(config.pauses) {
            let long = config.days > 1 && self.rng.chance(400);
            self.client.count(if long { Fault::LongPause } else { Fault::Pause });
            let for_ms = if long { DAY_MS + self.rng.below(2 * DAY_MS) } else { self.rng.below(60_000) };
            let done = Paused::new(doing, self.rng.below(12), Duration::from_millis(for_ms)).await;
            self.answer(done)
        } else {
            let done = doing.await;
            self.answer(done)
        };
        let txn_ids = self.client.clock.take_txn_ids();
        if let Answer::Unknown(token) = &answer {
            self.ask_later(token.clone());
        }
        let mut history = self.client.history();
        if let Answer::Committed(version, _) = answer {
            history.told = history.told.max(version);
        }
        history.attempts.push(Attempt { kind, read_version, txn_ids, answer, told_before });
    }

    fn answer(&mut self, done: Done) -> Answer {
        match done {
            Ok(answer) => answer,
            Err(error) => {
                self.client.check(&error);
                self.snapshot = None;
                Answer::Rejected(error.to_string())
            }
        }
    }

    /// Asks at once and again after a while what became of a commit.
    fn ask_later(&mut self, token: String) {
        let (client, later_ms) = (self.client.clone(), self.rng.below(DAY_MS / 2));
        tokio::spawn(async move {
            for wait_ms in [0, later_ms] {
                client.sleep_ms(wait_ms).await;
                if let Ok(settlement) = settle(&client.root, &token).await {
                    client.history().settled.push((token.clone(), settlement));
                }
            }
        });
    }

    /// Once nothing fails any more, an append lands within bounded time.
    async fn finish(&mut self) {
        for _ in 0..20 {
            let Ok(snapshot) = self.client.load(At::Latest).await else { continue };
            let told_before = self.client.history().told;
            self.client.clock.take_txn_ids();
            let read_version = snapshot.version();
            let staged = staged(Operation::new("WRITE"), vec![self.new_file(0, 1)], Reads::Nothing);
            let done = commit(self.client.clone(), Arc::new(snapshot), staged).await;
            let answer = self.answer(done);
            let landed = matches!(answer, Answer::Committed(..));
            let txn_ids = self.client.clock.take_txn_ids();
            let attempt = Attempt { kind: Kind::Append, read_version, txn_ids, answer, told_before };
            self.client.history().attempts.push(attempt);
            if landed {
                return;
            }
        }
        self.client.history().defects.push("no append lands although nothing fails any more".to_owned());
    }

    fn new_file(&mut self, partition: u64, rows: u64) -> Action {
        self.files += 1;
        let path = format!("p={partition}/w{}-{}.parquet", self.me, self.files);
        let stats = Some(format!("{{\"numRecords\":{rows},\"nullCount\":{{\"id\":0}}}}"));
        let partition_values = BTreeMap::from([("p".to_owned(), Some(partition.to_string()))]);
        let size = 100 + rows as i64;
        let modification_time = self.client.disk.now_ms();
        let data_change = true;
        Action::Add(Box::new(Add {
            path,
            stats,
            partition_values,
            size,
            modification_time,
            data_change,
            ..Add::default()
        }))
    }

    fn tombstone(&self, add: &Add, data_change: bool) -> Action {
        Action::Remove(Box::new(Remove::of(add, self.client.disk.now_ms(), data_change)))
    }

    /// What to do next, and the doing.
    async fn decide(&mut self, snapshot: &Arc<Snapshot>, round: u64) -> Option<(Kind, BoxFuture<'static, Done>)> {
        let files = match snapshot.files().await {
            Ok(files) => files.iter().collect::<Vec<_>>(),
            Err(error) => {
                self.client.check(&error);
                self.snapshot = None;
                return None;
            }
        };
        let (client, snapshot) = (self.client.clone(), Arc::clone(snapshot));
        let partition = self.rng.below(PARTITIONS);
        let inside: Vec<&Arc<Add>> = files.iter().filter(|add| partition_of(add) == Some(partition)).collect();
        let here = i64::try_from(partition).unwrap_or(0);
        let home = snapshot.root().home();
        let of_partition = || {
            let set = ReadSet::default().matching(Predicate::Compare {
                column: ColumnPath::top("p"),
                op: CompareOp::Eq,
                value: Scalar::Long(here),
            });
            inside.iter().fold(set, |mut set, add| {
                set.file(add, &home);
                set
            })
        };
        let (kind, staged) = match self.rng.below(24) {
            0 => {
                let mut actions: Vec<Action> = files.iter().map(|add| self.tombstone(add, true)).collect();
                actions.push(self.new_file(partition, 2));
                (Kind::Overwrite, staged(Operation::new("WRITE"), actions, Reads::WholeTable))
            }
            1 if self.client.config.data_files => return Some(self.real_overwrite(snapshot)),
            2 | 3 => {
                let mut actions: Vec<Action> = inside.iter().map(|add| self.tombstone(add, true)).collect();
                actions.push(self.new_file(partition, 2));
                (Kind::OverwriteWhere(here), staged(Operation::new("WRITE"), actions, of_partition().into()))
            }
            4 if !inside.is_empty() => {
                let actions = inside.iter().map(|add| self.tombstone(add, true)).collect();
                (Kind::DeleteWhere(here), staged(Operation::new("DELETE"), actions, of_partition().into()))
            }
            5..=7 if !inside.is_empty() => {
                let add = Arc::clone(inside[self.rng.below(inside.len() as u64) as usize]);
                self.delete_rows(&add)?
            }
            8..=10 if inside.len() >= 2 => {
                let actions: Vec<Action> = inside.iter().take(2).map(|add| self.tombstone(add, false)).collect();
                let rows = inside.iter().take(2).filter_map(|add| add.num_records()).sum();
                let mut actions = actions;
                if let Action::Add(mut add) = self.new_file(partition, rows) {
                    add.data_change = false;
                    actions.push(Action::Add(add));
                }
                (Kind::Compact, staged(Operation::new("OPTIMIZE"), actions, Reads::OwnFiles))
            }
            11 | 12 => {
                let name = DOMAINS[self.rng.below(2) as usize].to_owned();
                let count = snapshot.domain(&name).and_then(|d| d.configuration.parse::<u64>().ok()).unwrap_or(0);
                let domain =
                    DomainMetadata { domain: name.clone(), configuration: (count + 1).to_string(), removed: false };
                let operation = Operation::new("SET DOMAIN METADATA");
                (Kind::CountInDomain(name), staged(operation, vec![Action::Domain(domain)], Reads::Nothing))
            }
            13 => {
                let count = snapshot.metadata().configuration.get("sim.count").and_then(|c| c.parse::<u64>().ok());
                let change = BTreeMap::from([("sim.count".to_owned(), Some((count.unwrap_or(0) + 1).to_string()))]);
                let doing = async move {
                    let outcome = operation::set_properties(&snapshot, &client.committer(), &change).await;
                    outcome.map(written)
                };
                return Some((Kind::CountInProperty, doing.boxed()));
            }
            14..=16 => return Some(self.append_once(snapshot, round)),
            _ => {
                let actions = (0..=self.rng.below(2)).map(|_| self.new_file(partition, 3)).collect();
                (Kind::Append, staged(Operation::new("WRITE"), actions, Reads::Nothing))
            }
        };
        Some((kind, commit(client, snapshot, staged).boxed()))
    }

    fn delete_rows(&mut self, add: &Arc<Add>) -> Option<(Kind, Staged)> {
        let before = add.deletion_vector.as_ref().map_or(0, |vector| vector.cardinality);
        if add.num_records()? <= before as u64 + 1 {
            return None;
        }
        let mut set = ReadSet::default();
        // The simulation's writers spell paths one way.
        set.file(add, &Home::default());
        self.files += 1;
        let vector = DeletionVectorDescriptor {
            storage_type: "u".to_owned(),
            path_or_inline_dv: format!("{:020}", self.me * 1_000_000 + self.files),
            offset: Some(1),
            size_in_bytes: 40,
            cardinality: before + 1,
        };
        let mut actions = vec![
            self.tombstone(add, true),
            Action::Add(Box::new(Add { deletion_vector: Some(vector), data_change: true, ..Add::clone(add) })),
        ];
        self.rng.shuffle(&mut actions);
        Some((Kind::DeleteRows, staged(Operation::new("DELETE"), actions, set.into())))
    }

    /// Two writers share an application and its numbers: each is applied once.
    fn append_once(&mut self, snapshot: Arc<Snapshot>, round: u64) -> (Kind, BoxFuture<'static, Done>) {
        let app = APPS[(self.me % 2) as usize].to_owned();
        let sequence = round as i64 + 1;
        let kind = Kind::AppendOnce(app.clone(), sequence);
        let client = self.client.clone();
        if self.client.config.data_files {
            let options = AppendOptions { txn: Some((app, sequence)), ..AppendOptions::default() };
            let input = rows(self.rng.below(PARTITIONS) as i64);
            let doing =
                async move { operation::append(&snapshot, &client.committer(), &options, input).await.map(written) };
            return (kind, doing.boxed());
        }
        let last_updated = Some(self.client.disk.now_ms());
        let mark = Action::Txn(Txn { app_id: app.clone(), version: sequence, last_updated });
        let staged = staged(Operation::new("WRITE"), vec![mark, self.new_file(0, 1)], Reads::Nothing);
        let doing = async move {
            if snapshot.txn(&app).is_some_and(|txn| txn.version >= sequence) {
                return Ok(Answer::Applied);
            }
            commit(client, snapshot, staged).await
        };
        (kind, doing.boxed())
    }

    fn real_overwrite(&mut self, snapshot: Arc<Snapshot>) -> (Kind, BoxFuture<'static, Done>) {
        let (client, input) = (self.client.clone(), rows(self.rng.below(PARTITIONS) as i64));
        let doing = async move {
            let options = OverwriteOptions::default();
            operation::overwrite(&snapshot, &client.committer(), &options, input).await.map(written)
        };
        (Kind::Overwrite, doing.boxed())
    }
}

fn staged(operation: Operation, actions: Vec<Action>, reads: Reads) -> Staged {
    Staged { operation, actions, reads }
}

async fn commit(client: Client, snapshot: Arc<Snapshot>, staged: Staged) -> Done {
    Ok(match transact(Base::On(snapshot), staged, &client.committer()).await? {
        Outcome::Committed(committed) => Answer::Committed(committed.version, committed.txn_id),
        Outcome::Unknown(unresolved) => Answer::Unknown(unresolved.token()),
    })
}

fn written(outcome: WriteOutcome) -> Answer {
    match outcome {
        WriteOutcome::Committed(report, _) => Answer::Committed(report.version, report.txn_id),
        WriteOutcome::Unchanged(Unchanged::AlreadyApplied { .. } | Unchanged::NoRows(_) | Unchanged::Exists(_)) => {
            Answer::Applied
        }
        WriteOutcome::Unknown(unresolved) => Answer::Unknown(unresolved.token()),
    }
}

fn partition_of(add: &Add) -> Option<u64> {
    add.partition_values.get("p")?.as_ref()?.parse().ok()
}

/// Two rows of one partition.
fn rows(partition: i64) -> Input {
    let fields = ["id", "p"].map(|name| Field::new(name, DataType::Int64, true));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let columns: [Arc<dyn arrow_array::Array>; 2] =
        [Arc::new(Int64Array::from(vec![1, 2])), Arc::new(Int64Array::from(vec![partition, partition]))];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.to_vec()).expect("two columns of two rows");
    Input::from_batches(schema, vec![batch])
}

/// Whether an error is one that a client of a failing store may see.
pub fn is_expected(error: &Error) -> bool {
    error.kind() != ErrorKind::Internal
}
