//! Whether a store keeps the promises that commits stand on, found out by trying.

use std::collections::HashSet;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::put::{PutAnswer, put_if_absent};
use super::{TableRoot, local};
use crate::clock::Clock;
use crate::error::{Error, Result};

/// Objects listed again after each write.
const LISTED_OBJECTS: usize = 16;
/// Bytes of the object that is read in ranges.
const RANGED_BYTES: usize = 300_000;
/// Bytes of a multipart upload's first part, the least that S3 takes.
const PART_BYTES: usize = 5 << 20;
/// Bytes of its last part.
const LAST_PART_BYTES: usize = 70_000;
/// Keys that are raced for at the same time.
const CONCURRENT_KEYS: usize = 4;

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeSize {
    /// Keys that are raced for, one race each.
    pub keys: usize,
    /// Creates of one key at once.
    pub writers: usize,
}

impl Default for ProbeSize {
    fn default() -> Self {
        Self { keys: 200, writers: 64 }
    }
}

/// One promise and whether it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// `put-if-absent`, `list-after-write`, `ranged-reads` or `multipart`.
    pub name: &'static str,
    /// What was seen.
    pub detail: String,
    /// Whether it was kept.
    pub passed: bool,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The promises, each tried.
    pub checks: Vec<Check>,
    /// Whether nothing stays behind in the store.
    pub cleaned_up: bool,
}

impl Probe {
    /// Whether tables on the store may be written to.
    pub fn is_safe(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}

/// How races for keys ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Race {
    /// Races held.
    pub keys: usize,
    /// Creates in each.
    pub writers: usize,
    /// Races with exactly one winner, whose bytes are what is there.
    pub one_winner: usize,
    /// Races in which the store told several writers that they had created the object.
    pub several_winners: usize,
    /// Races that nobody won, though every answer was clear.
    pub no_winner: usize,
    /// Races after which the object did not hold the winner's bytes.
    pub wrong_bytes: usize,
    /// Races that can't be judged: answers were lost.
    pub unclear: usize,
}

impl Race {
    /// Whether put-if-absent was seen to fail: commits could overwrite one another.
    pub fn failed(&self) -> bool {
        self.several_winners + self.no_winner + self.wrong_bytes > 0
    }

    /// Whether every race had its one winner.
    pub fn is_honest(&self) -> bool {
        self.one_winner == self.keys
    }

    /// What was seen, in words.
    pub fn describe(&self) -> String {
        let mut text = format!(
            "{} of {} keys had exactly one winner among {} racing creates",
            self.one_winner, self.keys, self.writers
        );
        for (count, what) in [
            (self.several_winners, "several winners"),
            (self.no_winner, "no winner"),
            (self.wrong_bytes, "other bytes than the winner's"),
            (self.unclear, "answers that were lost"),
        ] {
            if count > 0 {
                text += &format!("; {count} had {what}");
            }
        }
        text
    }

    fn add(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::OneWinner => &mut self.one_winner,
            Outcome::SeveralWinners => &mut self.several_winners,
            Outcome::NoWinner => &mut self.no_winner,
            Outcome::WrongBytes => &mut self.wrong_bytes,
            Outcome::Unclear => &mut self.unclear,
        } += 1;
    }
}

enum Outcome {
    OneWinner,
    SeveralWinners,
    NoWinner,
    WrongBytes,
    Unclear,
}

/// Tries what a table needs of the store, in a new folder below `root`, which is removed again.
///
/// # Errors
/// `Denied`, `Unavailable` and others by the store: then nothing was found out.
pub async fn probe(root: &TableRoot, clock: &dyn Clock, size: ProbeSize) -> Result<Probe> {
    let place = Place::new(root, clock);
    let found = place.run(clock, size).await;
    let cleaned_up = place.clean_up().await;
    Ok(Probe { checks: found?, cleaned_up })
}

/// Races writers for keys in a new folder below `root`, which is removed again.
///
/// # Errors
/// As [`probe`].
pub async fn race(root: &TableRoot, clock: &dyn Clock, size: ProbeSize) -> Result<Race> {
    let place = Place::new(root, clock);
    let raced = place.race(clock, size).await;
    place.clean_up().await;
    raced
}

/// A folder of its own.
struct Place<'a> {
    root: &'a TableRoot,
    folder: String,
    /// Deepest local directory that was there before.
    existing: Option<std::path::PathBuf>,
}

impl<'a> Place<'a> {
    fn new(root: &'a TableRoot, clock: &dyn Clock) -> Self {
        let folder = format!("_lake/probe-{}", clock.new_id().simple());
        let local = root.child(&folder).ok().and_then(|path| root.local_file(&path));
        let existing = local.and_then(|path| path.ancestors().find(|dir| dir.is_dir()).map(std::path::Path::to_owned));
        Self { root, folder, existing }
    }

    fn child(&self, name: &str) -> Result<Path> {
        self.root.child(&format!("{}/{name}", self.folder))
    }

    fn named(&self, path: &Path) -> impl Fn(object_store::Error) -> Error {
        let name = self.root.name_of(path);
        move |error| Error::from(error).with_object(name.clone())
    }

    async fn run(&self, clock: &dyn Clock, size: ProbeSize) -> Result<Vec<Check>> {
        let race = self.race(clock, size).await?;
        let raced = Check { name: "put-if-absent", passed: race.is_honest(), detail: race.describe() };
        // What can't be tried is not kept either.
        let check = |name, seen: Result<Result<String, String>>| match seen {
            Ok(Ok(detail)) => Check { name, detail, passed: true },
            Ok(Err(detail)) => Check { name, detail, passed: false },
            Err(error) => Check { name, detail: error.to_string(), passed: false },
        };
        Ok(vec![
            raced,
            check("list-after-write", self.list_after_write().await),
            check("ranged-reads", self.ranged_reads().await),
            check("multipart", self.multipart().await),
        ])
    }

    async fn race(&self, clock: &dyn Clock, size: ProbeSize) -> Result<Race> {
        let mut race = Race { keys: size.keys, writers: size.writers, ..Race::default() };
        let races = (0..size.keys).map(|key| self.race_for(clock, key, size.writers));
        let outcomes: Vec<Outcome> = stream::iter(races).buffer_unordered(CONCURRENT_KEYS).try_collect().await?;
        outcomes.into_iter().for_each(|outcome| race.add(outcome));
        Ok(race)
    }

    async fn race_for(&self, clock: &dyn Clock, key: usize, writers: usize) -> Result<Outcome> {
        let path = self.child(&format!("race/{key:05}.json"))?;
        let put = |writer: usize| {
            let path = &path;
            async move {
                let bytes = Bytes::from(format!("{{\"key\":{key},\"writer\":{writer}}}\n"));
                (bytes.clone(), put_if_absent(self.root, path, bytes, clock).await)
            }
        };
        let answers: Vec<(Bytes, PutAnswer)> = futures::future::join_all((0..writers).map(put)).await;
        let (mut created, mut unsettled) = (Vec::new(), Vec::new());
        for (bytes, answer) in answers {
            match answer {
                PutAnswer::Created => created.push(bytes),
                PutAnswer::Exists => {}
                PutAnswer::Unsettled(error) => unsettled.push((bytes, error)),
                PutAnswer::Refused(error) => return Err(error.with_object(self.root.name_of(&path))),
            }
        }
        if created.len() > 1 {
            return Ok(Outcome::SeveralWinners);
        }
        let there = self.root.get_small(&path, 1 << 10).await?;
        Ok(match (created.first(), there) {
            (Some(winner), Some(there)) if *winner == there => Outcome::OneWinner,
            (Some(_), _) => Outcome::WrongBytes,
            // Whoever lost its answer may be the winner.
            (None, Some(there)) if unsettled.iter().any(|(bytes, _)| *bytes == there) => Outcome::Unclear,
            (None, None) if !unsettled.is_empty() => match unsettled.pop() {
                Some((_, error)) => return Err(error.with_object(self.root.name_of(&path))),
                None => Outcome::Unclear,
            },
            (None, _) => Outcome::NoWinner,
        })
    }

    async fn names(&self, folder: &str) -> Result<HashSet<String>> {
        let listed = self.root.list(&format!("{}/{folder}", self.folder)).await?;
        Ok(listed.iter().filter_map(|object| object.path.filename().map(str::to_owned)).collect())
    }

    async fn list_after_write(&self) -> Result<Result<String, String>> {
        for number in 0..LISTED_OBJECTS {
            let name = format!("{number:03}");
            self.put(&format!("list/{name}"), Bytes::from(name.clone())).await?;
            if !self.names("list").await?.contains(&name) {
                return Ok(Err(format!(
                    "object {} of {LISTED_OBJECTS} was not listed after it was written",
                    number + 1
                )));
            }
        }
        self.root.delete(&self.child("list/000")?).await?;
        let left = self.names("list").await?;
        if left.contains("000") {
            return Ok(Err("a removed object was still listed".to_owned()));
        }
        if left.len() != LISTED_OBJECTS - 1 {
            return Ok(Err(format!("{} of {} objects were listed", left.len(), LISTED_OBJECTS - 1)));
        }
        Ok(Ok(format!("each of {LISTED_OBJECTS} objects was listed at once, and a removed one no more")))
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<Path> {
        let path = self.child(name)?;
        self.root.store().put(&path, PutPayload::from_bytes(bytes)).await.map_err(self.named(&path))?;
        Ok(path)
    }

    async fn ranged_reads(&self) -> Result<Result<String, String>> {
        let whole = pattern(RANGED_BYTES, 7);
        let path = self.put("ranges", whole.clone()).await?;
        let end = RANGED_BYTES;
        let ranges = [0..1, 0..end, 1..2, 4_095..4_097, 65_535..131_073, end - 8..end, end - 1..end];
        for range in ranges.iter().cloned() {
            let wanted = range.start as u64..range.end as u64;
            let got = self.root.store().get_range(&path, wanted).await.map_err(self.named(&path))?;
            if got != whole[range.clone()] {
                let (start, end) = (range.start, range.end);
                return Ok(Err(format!("bytes {start} to {end} came back as {} other bytes", got.len())));
            }
        }
        Ok(Ok(format!("{} ranges of an object came back as they are", ranges.len())))
    }

    async fn multipart(&self) -> Result<Result<String, String>> {
        let path = self.child("multipart/whole")?;
        let parts = [pattern(PART_BYTES, 3), pattern(LAST_PART_BYTES, 5)];
        let mut upload = self.root.store().put_multipart(&path).await.map_err(self.named(&path))?;
        for part in &parts {
            upload.put_part(PutPayload::from_bytes(part.clone())).await.map_err(self.named(&path))?;
        }
        if self.names("multipart").await?.contains("whole") {
            return Ok(Err("an upload was to be seen before it was complete".to_owned()));
        }
        upload.complete().await.map_err(self.named(&path))?;
        if self.root.get(&path).await? != parts.concat() {
            return Ok(Err("the parts of an upload came back as something else".to_owned()));
        }
        let given_up = self.child("multipart/given-up")?;
        let mut upload = self.root.store().put_multipart(&given_up).await.map_err(self.named(&given_up))?;
        upload.put_part(PutPayload::from_bytes(parts[1].clone())).await.map_err(self.named(&given_up))?;
        // A store may keep the parts for a while; the object must not appear.
        let _ = upload.abort().await;
        if self.names("multipart").await?.contains("given-up") {
            return Ok(Err("an upload that was given up is there".to_owned()));
        }
        Ok(Ok("an upload of two parts was there once complete, and one that was given up never".to_owned()))
    }

    /// Removes all objects of the folder, and local directories that were not there before.
    async fn clean_up(&self) -> bool {
        let Ok(objects) = self.root.list(&self.folder).await else { return false };
        let removed = stream::iter(objects).map(|object| async move { self.root.delete(&object.path).await.is_ok() });
        let all = removed.buffer_unordered(32).all(|removed| async move { removed }).await;
        let local = self.root.child(&self.folder).ok().and_then(|path| self.root.local_file(&path));
        match (local, self.existing.clone()) {
            (Some(folder), Some(existing)) => {
                let removed = tokio::task::spawn_blocking(move || local::remove_directories(&folder, &existing)).await;
                all && removed.is_ok_and(|removed| removed.is_ok())
            }
            _ => all,
        }
    }
}

/// Bytes that differ from place to place.
fn pattern(bytes: usize, step: usize) -> Bytes {
    (0..bytes).map(|at| ((at * step) ^ (at >> 8)).to_le_bytes()[0]).collect::<Vec<u8>>().into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::ObjectStore;
    use object_store::memory::InMemory;
    use url::Url;

    use super::*;
    use crate::clock::SystemClock;

    const SMALL: ProbeSize = ProbeSize { keys: 6, writers: 16 };

    #[tokio::test]
    async fn an_honest_store_passes_and_nothing_stays() {
        let clock = SystemClock::shared();
        let root = TableRoot::in_memory("t").expect("root");
        let found = probe(&root, clock.as_ref(), SMALL).await.expect("probe");
        assert!(found.is_safe() && found.cleaned_up, "STO-1: {found:?}");
        assert!(root.list("").await.expect("list").is_empty());
    }

    #[tokio::test]
    async fn a_local_folder_is_as_it_was() {
        let folder = tempfile::tempdir().expect("folder");
        let clock = SystemClock::shared();
        let place = folder.path().join("a/b");
        let root = TableRoot::open(&place.to_string_lossy(), &crate::StoreOptions::default()).expect("root");
        let found = probe(&root, clock.as_ref(), SMALL).await.expect("probe");
        assert!(found.is_safe() && found.cleaned_up, "STO-1: {found:?}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 0, "no directory stays");
    }

    #[tokio::test]
    async fn a_store_that_overwrites_is_found_out() {
        let clock = SystemClock::shared();
        let store: Arc<dyn ObjectStore> = Arc::new(overwriting::Overwriting(InMemory::new()));
        let root = TableRoot::with_store(store, Path::from("t"), Url::parse("memory:///t/").expect("url"));
        let found = race(&root, clock.as_ref(), SMALL).await.expect("race");
        assert!(found.failed() && found.several_winners == SMALL.keys, "STO-1: {found:?}");
        assert!(!probe(&root, clock.as_ref(), SMALL).await.expect("probe").is_safe());
    }

    /// A store that takes "if absent" for a manner of speaking.
    mod overwriting {
        use futures::stream::BoxStream;
        use object_store::memory::InMemory;
        use object_store::path::Path;
        use object_store::{
            CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
            PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
        };

        #[derive(Debug)]
        pub struct Overwriting(pub InMemory);

        impl std::fmt::Display for Overwriting {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("overwriting")
            }
        }

        #[async_trait::async_trait]
        impl ObjectStore for Overwriting {
            async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
                self.0.put_opts(at, payload, PutOptions { mode: PutMode::Overwrite, ..options }).await
            }

            async fn put_multipart_opts(
                &self,
                at: &Path,
                options: PutMultipartOptions,
            ) -> Result<Box<dyn MultipartUpload>> {
                self.0.put_multipart_opts(at, options).await
            }

            async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
                self.0.get_opts(at, options).await
            }

            fn delete_stream(&self, at: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
                self.0.delete_stream(at)
            }

            fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
                self.0.list(prefix)
            }

            async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
                self.0.list_with_delimiter(prefix).await
            }

            async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
                self.0.copy_opts(from, to, options).await
            }
        }
    }
}
