//! One client's way to the simulated store: latency and the faults of `reliability` on every request.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use lake_testkit::SplitMix64;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::disk::{Disk, not_found};
use super::faults::{Activations, Fault};

/// How a client's line and store misbehave.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    /// Requests hit, of a thousand.
    pub per_mille: u32,
    /// The kinds of faults that happen.
    pub kinds: Vec<Fault>,
    /// Longest time of a way in or back.
    pub way_micros: u64,
}

/// A client of the store.
#[derive(Clone)]
pub struct SimStore {
    disk: Arc<Disk>,
    line: Arc<Mutex<Line>>,
    activations: Arc<Activations>,
}

struct Line {
    rng: SplitMix64,
    weather: Weather,
    /// Requests that are still to be throttled.
    burst: u32,
    /// Whether they meet a line that is cut instead.
    cut: bool,
}

/// What happens to one request.
struct Trip {
    fault: Option<Fault>,
    in_micros: u64,
    back_micros: u64,
    draw: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Create,
    Put,
    Delete,
    Get,
    List,
}

impl SimStore {
    pub fn new(disk: Arc<Disk>, activations: Arc<Activations>, rng: SplitMix64, weather: Weather) -> Self {
        Self { disk, line: Arc::new(Mutex::new(Line { rng, weather, burst: 0, cut: false })), activations }
    }

    /// From now on nothing fails.
    pub fn heal(&self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.weather.per_mille = 0;
        line.burst = 0;
    }

    fn trip(&self, op: Op) -> Trip {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let kinds = line.weather.kinds.len() as u64;
        let way = line.weather.way_micros;
        let (in_micros, back_micros, draw) = (line.rng.below(way), line.rng.below(way), line.rng.next_u64());
        let mut fault = None;
        if line.burst > 0 {
            line.burst -= 1;
            fault = Some(if line.cut { Fault::Cut } else { Fault::Throttled });
        } else if line.weather.per_mille > 0 {
            let per_mille = line.weather.per_mille;
            if line.rng.chance(per_mille) {
                let at = line.rng.below(kinds) as usize;
                fault = line.weather.kinds.get(at).copied().filter(|fault| fits(*fault, op));
            }
            if fault == Some(Fault::ThrottleBurst) {
                line.burst = line.rng.within(2..=12) as u32;
                line.cut = false;
            } else if fault.is_some_and(doubtful) && line.rng.chance(400) {
                line.burst = line.rng.within(4..=16) as u32;
                line.cut = true;
            }
        }
        if let Some(fault) = fault {
            self.activations.count(fault);
        }
        Trip { fault, in_micros, back_micros, draw }
    }

    /// A request that changes something. Once sent it takes effect whether or not its client waits for the answer.
    async fn change(
        &self,
        op: Op,
        path: &Path,
        effect: impl Fn(&Disk) -> Result<()> + Send + Sync + 'static,
    ) -> Result<()> {
        let trip = self.trip(op);
        let fault = trip.fault;
        if let Some(error) = fault.and_then(|fault| before(fault, path)) {
            micros(trip.in_micros + trip.back_micros).await;
            return Err(error);
        }
        if fault == Some(Fault::HangBefore) {
            micros(120_000_000).await;
            return Err(generic("the request timed out"));
        }
        let (late, again) = match fault {
            Some(Fault::DelayedEffect) => (1_000 + trip.draw % 60_000_000, None),
            Some(Fault::LateEffect) => (60_000_000 + trip.draw % 3_000_000_000, None),
            Some(Fault::Duplicate) => (0, Some(trip.draw % 600_000_000)),
            _ => (0, None),
        };
        let disk = Arc::clone(&self.disk);
        disk.state().pending += 1;
        let sent = tokio::spawn(async move {
            micros(trip.in_micros + late).await;
            let answer = effect(&disk);
            if let Some(later) = again {
                let disk = Arc::clone(&disk);
                disk.state().pending += 1;
                tokio::spawn(async move {
                    micros(later).await;
                    let _ = effect(&disk);
                    disk.state().pending -= 1;
                });
            }
            disk.state().pending -= 1;
            answer
        });
        if matches!(fault, Some(Fault::DelayedEffect | Fault::LateEffect)) {
            micros(trip.in_micros + trip.back_micros).await;
            return Err(generic("the request timed out"));
        }
        let answer = sent.await.unwrap_or_else(|_| Err(generic("the store stopped")));
        micros(trip.back_micros).await;
        match fault {
            Some(Fault::LostAck503) => Err(generic("503 service unavailable")),
            Some(Fault::LostAckReset) => Err(generic("the connection was reset")),
            Some(Fault::LostAckResent) => {
                Err(Error::AlreadyExists { path: path.to_string(), source: "412 after a resend".into() })
            }
            Some(Fault::HangAfter) => {
                micros(120_000_000).await;
                Err(generic("the request timed out"))
            }
            Some(Fault::Slow) => {
                micros(1_000_000 + trip.draw % 20_000_000).await;
                answer
            }
            _ => answer,
        }
    }

    async fn listed(&self, prefix: Option<&Path>, offset: Option<&Path>) -> Result<Vec<ObjectMeta>> {
        let trip = self.trip(Op::List);
        micros(trip.in_micros + trip.back_micros).await;
        let path = prefix.cloned().unwrap_or_default();
        self.fail_read(&trip, &path).await?;
        let state = self.disk.state();
        let mut found = Vec::new();
        let start = match (prefix, offset) {
            (_, Some(offset)) => offset.to_string(),
            (Some(prefix), None) => prefix.to_string(),
            (None, None) => String::new(),
        };
        for (name, object) in state.objects.range(start..) {
            let inside = match prefix {
                Some(prefix) => name.strip_prefix(prefix.as_ref()).map(|rest| rest.starts_with('/')),
                None => Some(true),
            };
            match inside {
                Some(true) if offset.is_none_or(|offset| name.as_str() > offset.as_ref()) => {
                    found.push(meta(name, object.bytes.len(), object.modified_ms));
                }
                Some(_) => {}
                // Names that share letters with the prefix, but are not below it, may come first.
                None if prefix.is_some_and(|prefix| name.as_str() > prefix.as_ref()) => break,
                None => {}
            }
        }
        drop(state);
        if trip.fault == Some(Fault::StaleList) {
            let hidden = 1 + (trip.draw % 3) as usize;
            let mut newest: Vec<_> = found.iter().map(|m| (m.last_modified, m.location.clone())).collect();
            newest.sort_by(|a, b| b.cmp(a));
            newest.truncate(hidden);
            found.retain(|meta| !newest.iter().any(|(_, location)| *location == meta.location));
        }
        Ok(found)
    }

    /// What may go wrong with a request that changes nothing, other than its content.
    async fn fail_read(&self, trip: &Trip, path: &Path) -> Result<()> {
        match trip.fault {
            Some(Fault::HangBefore | Fault::HangAfter) => {
                micros(120_000_000).await;
                Err(generic("the request timed out"))
            }
            Some(Fault::Slow) => {
                micros(1_000_000 + trip.draw % 20_000_000).await;
                Ok(())
            }
            Some(fault) => before(fault, path).map_or(Ok(()), Err),
            None => Ok(()),
        }
    }

    async fn read(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let trip = self.trip(Op::Get);
        micros(trip.in_micros + trip.back_micros).await;
        self.fail_read(&trip, location).await?;
        let (bytes, modified_ms) = match (self.disk.get(location), trip.fault) {
            (Ok(object), Some(Fault::StaleGet)) => match object.before {
                Some(before) => (before, object.modified_ms),
                None => return Err(not_found(location)),
            },
            (Ok(object), _) => (object.bytes, object.modified_ms),
            (Err(error), Some(Fault::CachedGet)) => match self.disk.state().gone.get(location.as_ref()).cloned() {
                Some(bytes) => (bytes, self.disk.now_ms()),
                None => return Err(error),
            },
            (Err(error), _) => return Err(error),
        };
        let whole = bytes.len() as u64;
        let range = match &options.range {
            Some(range) => range.as_range(whole).map_err(|e| Error::Generic { store: "sim", source: Box::new(e) })?,
            None => 0..whole,
        };
        let meta = meta(location.as_ref(), bytes.len(), modified_ms);
        let body = if options.head { Bytes::new() } else { bytes.slice(range.start as usize..range.end as usize) };
        let keep = if body.is_empty() { 0 } else { (trip.draw % body.len() as u64) as usize };
        let chunks = match trip.fault {
            Some(Fault::CutWithError) => vec![Ok(body.slice(..keep)), Err(generic("the connection was reset"))],
            Some(Fault::CutSilently) => vec![Ok(body.slice(..keep))],
            _ => vec![Ok(body)],
        };
        let payload = GetResultPayload::Stream(stream::iter(chunks).boxed());
        Ok(GetResult { payload, meta, range, attributes: Default::default() })
    }
}

/// Faults that leave their client in doubt. The line may stay down behind them.
fn doubtful(fault: Fault) -> bool {
    use Fault as F;
    matches!(fault, F::LostAck503 | F::LostAckReset | F::DelayedEffect | F::LateEffect | F::HangAfter | F::HangBefore)
}

fn fits(fault: Fault, op: Op) -> bool {
    use Fault as F;
    let changes = matches!(op, Op::Create | Op::Put | Op::Delete);
    match fault {
        F::Conflict409 | F::LostAckResent => op == Op::Create,
        F::LostAck503 | F::LostAckReset | F::DelayedEffect | F::LateEffect | F::Duplicate => changes,
        F::CutWithError | F::CutSilently | F::StaleGet | F::CachedGet => op == Op::Get,
        F::StaleList => op == Op::List,
        _ => fault.is_of_store(),
    }
}

/// The answer of a request that has no effect.
fn before(fault: Fault, path: &Path) -> Option<Error> {
    match fault {
        Fault::Unavailable => Some(generic("503 service unavailable")),
        Fault::Internal => Some(generic("500 internal error")),
        Fault::Throttled | Fault::ThrottleBurst => Some(generic("429 slow down")),
        Fault::ResetBefore | Fault::Cut => Some(generic("the connection was reset")),
        Fault::Denied => Some(Error::PermissionDenied { path: path.to_string(), source: "403".into() }),
        Fault::Conflict409 => Some(Error::AlreadyExists { path: path.to_string(), source: "409".into() }),
        _ => None,
    }
}

fn generic(what: &'static str) -> Error {
    Error::Generic { store: "sim", source: what.into() }
}

fn meta(name: &str, size: usize, modified_ms: i64) -> ObjectMeta {
    let last_modified = DateTime::from_timestamp_millis(modified_ms).unwrap_or_default();
    ObjectMeta { location: Path::from(name), last_modified, size: size as u64, e_tag: None, version: None }
}

#[expect(clippy::disallowed_methods, reason = "the time of a simulation is paused")]
async fn micros(micros: u64) {
    if micros > 0 {
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }
}

impl fmt::Debug for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimStore")
    }
}

impl fmt::Display for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimStore")
    }
}

#[async_trait]
impl ObjectStore for SimStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let create = opts.mode == PutMode::Create;
        let (bytes, path) = (Bytes::from(payload), location.clone());
        let op = if create { Op::Create } else { Op::Put };
        self.change(op, location, move |disk| disk.put(&path, &bytes, create)).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented { operation: "multipart".into(), implementer: "sim".into() })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.read(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                let path = location.clone();
                store.change(Op::Delete, &location, move |disk| disk.delete(&path)).await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        let listed = async move { store.listed(prefix.as_ref(), None).await };
        stream::once(listed).map_ok(|found| stream::iter(found.into_iter().map(Ok))).try_flatten().boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix, offset) = (self.clone(), prefix.cloned(), offset.clone());
        let listed = async move { store.listed(prefix.as_ref(), Some(&offset)).await };
        stream::once(listed).map_ok(|found| stream::iter(found.into_iter().map(Ok))).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(Error::NotImplemented { operation: "list_with_delimiter".into(), implementer: "sim".into() })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotImplemented { operation: "copy".into(), implementer: "sim".into() })
    }
}
