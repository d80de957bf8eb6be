//! The root of one table: a store, a prefix in it, and the address users know it by.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use super::options::{Durability, StoreOptions};
use super::parquet::FooterCache;
use super::{local, remote};
use crate::action::partition_value::decode_path;
use crate::error::{Error, Result};
use crate::replay::Home;

/// Where one table lives. Cheap to clone.
#[derive(Clone)]
pub struct TableRoot {
    store: Arc<dyn ObjectStore>,
    commit_store: Arc<dyn ObjectStore>,
    prefix: Path,
    url: Url,
    local: bool,
    footers: Arc<FooterCache>,
    durability: Durability,
}

/// One object under a table's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Where it is in the store.
    pub path: Path,
    /// Bytes.
    pub size_bytes: u64,
    /// Milliseconds since the epoch, by the store's clock.
    pub modified_ms: i64,
}

impl From<object_store::ObjectMeta> for ObjectInfo {
    fn from(meta: object_store::ObjectMeta) -> Self {
        Self { path: meta.location, size_bytes: meta.size, modified_ms: meta.last_modified.timestamp_millis() }
    }
}

impl fmt::Debug for TableRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TableRoot").field(&self.url.as_str()).finish()
    }
}

impl TableRoot {
    /// The root at `location`: a local path, a `file://` URL or, with the features `s3`, `gcs` and `azure`, a URL like
    /// `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`. Nothing is read or written yet.
    ///
    /// # Errors
    /// `Invalid` for an address that can't be a table's, `Unsupported` for another scheme, or one whose feature this
    /// build lacks.
    pub fn open(location: &str, options: &StoreOptions) -> Result<Self> {
        let scheme = location.split_once("://").map(|(scheme, _)| scheme);
        let trimmed = location.trim_end_matches('/');
        if trimmed.is_empty() || scheme.is_some_and(|scheme| trimmed.len() <= scheme.len() + 1) {
            return Err(Error::invalid("a table needs a path or URL other than the root").with_object(location));
        }
        let location = trimmed;
        match location.split_once("://") {
            None => Self::open_local(PathBuf::from(location), options),
            Some(("file", _)) => {
                let url = Url::parse(location).map_err(|e| invalid_location(location, e))?;
                let path = url.to_file_path().map_err(|()| Error::invalid("not a local path").with_object(location))?;
                Self::open_local(path, options)
            }
            Some((scheme, _)) if !remote::SCHEMES.contains(&scheme) => {
                Err(Error::unsupported(format!("no store for the scheme {scheme:?}"))
                    .with_object(location)
                    .with_hint("use a local path, file://, s3://, gs:// or az://"))
            }
            Some(_) => {
                let root = Self::open_remote(location, options)?;
                if root.prefix.as_ref().is_empty() {
                    return Err(Error::invalid("a table can't be a whole bucket")
                        .with_object(location)
                        .with_hint("name a prefix in it, as s3://bucket/table"));
                }
                Ok(root)
            }
        }
    }

    /// The folder at the URL `location` of a remote store, or the whole bucket: where files lie that are no table's.
    ///
    /// # Errors
    /// As [`TableRoot::open`].
    pub fn open_remote(location: &str, options: &StoreOptions) -> Result<Self> {
        let location = location.trim_end_matches('/');
        let url = Url::parse(&format!("{location}/")).map_err(|e| invalid_location(location, e))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(Error::invalid("the address of a store needs a bucket").with_object(location));
        }
        let prefix = Path::from_url_path(url.path()).map_err(|e| invalid_location(location, e))?;
        let (store, commit_store) = remote::clients(&url, options).map_err(|e| e.with_object(location))?;
        let durability = Durability::Full;
        Ok(Self { store, commit_store, prefix, url, local: false, footers: Arc::default(), durability })
    }

    /// A file of this machine that is no table's: the folder that it is in, and the object itself.
    ///
    /// # Errors
    /// What the system says; `Invalid` for a path that is not UTF-8.
    pub fn open_file(file: &std::path::Path) -> Result<(Self, Path)> {
        let named = |e: Error| e.with_object(file.display().to_string());
        let full = file.canonicalize().map_err(|e| named(e.into()))?;
        let folder = full.parent().unwrap_or(&full);
        let url = Url::from_directory_path(folder).map_err(|()| named(Error::invalid("not a local path")))?;
        let key = |path: &std::path::Path| {
            let text = path.to_str().ok_or_else(|| named(Error::invalid("the path is not UTF-8")))?;
            Path::parse(text.trim_start_matches('/')).map_err(|e| invalid_location(text, e))
        };
        let store: Arc<dyn ObjectStore> = Arc::new(object_store::local::LocalFileSystem::new());
        let (commit_store, prefix, durability) = (Arc::clone(&store), key(folder)?, Durability::Full);
        let root = Self { commit_store, store, prefix, url, local: true, footers: Arc::default(), durability };
        Ok((root, key(&full)?))
    }

    /// Whether the table is on this machine's own file system.
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// What local files are to outlive.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    fn open_local(path: PathBuf, options: &StoreOptions) -> Result<Self> {
        let path = std::path::absolute(&path)?;
        // The deepest directory that exists decides what links and dots mean.
        let mut existing = path.as_path();
        let mut rest = Vec::new();
        while !existing.exists() {
            match (existing.parent(), existing.file_name()) {
                (Some(parent), Some(name)) => {
                    rest.push(name.to_owned());
                    existing = parent;
                }
                _ => break,
            }
        }
        let mut full = existing.canonicalize()?;
        full.extend(rest.iter().rev());
        let url = Url::from_directory_path(&full)
            .map_err(|()| Error::invalid("not a local path").with_object(full.display().to_string()))?;
        if full.is_file() {
            return Err(Error::invalid("a file is there, and a table is a folder")
                .with_object(full.display().to_string())
                .with_hint("`lake import FILE --into TABLE` makes a table of a file"));
        }
        let prefix = Path::parse(full.to_str().unwrap_or_default().trim_start_matches('/'))
            .map_err(|e| invalid_location(&full.display().to_string(), e))?;
        if prefix.as_ref().is_empty() {
            return Err(Error::invalid("a table needs a path other than the root or one in UTF-8"));
        }
        let store: Arc<dyn ObjectStore> = Arc::new(object_store::local::LocalFileSystem::new());
        let durability = options.durability.unwrap_or_default();
        let commit_store = Arc::clone(&store);
        Ok(Self { commit_store, store, prefix, url, local: true, footers: Arc::default(), durability })
    }

    /// A root on any store: in memory, or a test's own. Commits are not synced to disk.
    pub fn with_store(store: Arc<dyn ObjectStore>, prefix: Path, url: Url) -> Self {
        let (commit_store, durability) = (Arc::clone(&store), Durability::Full);
        Self { commit_store, store, prefix, url, local: false, footers: Arc::default(), durability }
    }

    /// A fresh root in memory, for tests.
    pub fn in_memory(name: &str) -> Result<Self> {
        let url = Url::parse(&format!("memory:///{name}/")).map_err(|e| invalid_location(name, e))?;
        let prefix = Path::parse(name).map_err(|e| invalid_location(name, e))?;
        Ok(Self::with_store(Arc::new(object_store::memory::InMemory::new()), prefix, url))
    }

    /// The address, with a slash at the end.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The address as users write it: a plain path for local tables, no slash at the end.
    pub fn display(&self) -> String {
        match self.local.then(|| self.url.to_file_path()) {
            Some(Ok(path)) => path.display().to_string().trim_end_matches('/').to_owned(),
            _ => self.url.as_str().trim_end_matches('/').to_owned(),
        }
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The footers of data files that were read by way of this root or a clone of it.
    pub(super) fn footers(&self) -> &FooterCache {
        &self.footers
    }

    /// The store for commits: the same, without retries of its own.
    pub(super) fn commit_store(&self) -> &Arc<dyn ObjectStore> {
        &self.commit_store
    }

    /// The prefix of the table in its store.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// The local file behind `path`, on local tables.
    pub(crate) fn local_file(&self, path: &Path) -> Option<PathBuf> {
        self.local.then(|| PathBuf::from(format!("/{}", path.as_ref())))
    }

    /// The object at `relative`, a plain key below the root. Segments are taken literally.
    ///
    /// # Errors
    /// `Invalid` for empty, `.` or `..` segments.
    pub fn child(&self, relative: &str) -> Result<Path> {
        // Of a whole bucket the prefix is empty.
        let full = format!("{}/{relative}", self.prefix);
        Path::parse(full.trim_start_matches('/')).map_err(|e| invalid_location(relative, e))
    }

    /// The object that a path in the log means. It is decoded once and must lie below the root.
    ///
    /// # Errors
    /// `Corrupt` for a path that can't be decoded or climbs, `Unsupported` for one outside the table.
    pub fn resolve(&self, log_path: &str) -> Result<Path> {
        let decoded = decode_path(log_path)?;
        let absolute = decoded.starts_with('/') || has_scheme(&decoded);
        let relative = if absolute { self.relative_of(&decoded) } else { Some(decoded.as_str()) };
        let Some(relative) = relative.filter(|relative| !relative.is_empty()) else {
            return Err(Error::unsupported("a file outside the table's own root is not read")
                .with_object(log_path)
                .with_hint("shallow clones and converted tables that point elsewhere are not supported"));
        };
        Path::parse(format!("{}/{relative}", self.prefix))
            .map_err(|e| Error::corrupt("a path in the log leaves the table").with_object(log_path).with_source(e))
    }

    /// What absolute paths in the log begin with when they mean files below the root.
    pub fn home(&self) -> Home {
        let prefix = self.prefix.as_ref();
        if self.local {
            return Home::new(vec![format!("/{prefix}/")]);
        }
        let Ok(root) = decode_path(self.url.as_str()) else { return Home::default() };
        let root = format!("{}/", root.trim_end_matches('/'));
        let bucket = ["s3a://", "s3://"].iter().find_map(|scheme| root.strip_prefix(scheme));
        match bucket {
            Some(bucket) => Home::new(vec![format!("s3://{bucket}"), format!("s3a://{bucket}")]),
            None => Home::new(vec![root]),
        }
    }

    /// The part of an absolute path or URL below the root.
    fn relative_of<'a>(&self, absolute: &'a str) -> Option<&'a str> {
        if self.local {
            let path = absolute.strip_prefix("file:").unwrap_or(absolute);
            let path = path.strip_prefix("//").unwrap_or(path);
            return path.strip_prefix('/')?.strip_prefix(self.prefix.as_ref())?.strip_prefix('/');
        }
        // `absolute` is decoded, so the own address must be too.
        let root = decode_path(self.url.as_str()).ok()?;
        let scheme_free =
            |text: &str| ["s3a://", "s3://"].iter().find_map(|scheme| text.strip_prefix(scheme)).map(str::len);
        match (scheme_free(absolute), scheme_free(&root)) {
            (Some(theirs), Some(own)) => absolute[absolute.len() - theirs..].strip_prefix(&root[root.len() - own..]),
            _ => absolute.strip_prefix(root.as_str()),
        }
    }

    /// Reads a whole object.
    ///
    /// # Errors
    /// `NotFound`, `Denied`, `Unavailable`; the object is named.
    pub async fn get(&self, path: &Path) -> Result<Bytes> {
        let named = |e: object_store::Error| Error::from(e).with_object(self.name_of(path));
        let answer = self.store.get(path).await.map_err(named)?;
        answer.bytes().await.map_err(named)
    }

    /// The bytes of an object as they come.
    ///
    /// # Errors
    /// As [`TableRoot::get`], also later.
    pub async fn stream(&self, path: &Path) -> Result<BoxStream<'static, Result<Bytes>>> {
        let name = self.name_of(path);
        let named = move |e: object_store::Error| Error::from(e).with_object(name.clone());
        let answer = self.store.get(path).await.map_err(&named)?;
        Ok(answer.into_stream().map_err(named).boxed())
    }

    /// Reads a whole object of at most `max_bytes`; `None` when it is not there.
    ///
    /// # Errors
    /// `Corrupt` for a larger one.
    pub async fn get_small(&self, path: &Path, max_bytes: u64) -> Result<Option<Bytes>> {
        let named = |e: object_store::Error| Error::from(e).with_object(self.name_of(path));
        let answer = match self.store.get(path).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            other => other.map_err(named)?,
        };
        if answer.meta.size > max_bytes {
            return Err(Error::corrupt(format!(
                "an object has {} bytes, over the limit of {max_bytes}",
                answer.meta.size
            ))
            .with_object(self.name_of(path)));
        }
        Ok(Some(answer.bytes().await.map_err(named)?))
    }

    /// Size and time of an object; `None` when it is not there.
    pub async fn head(&self, path: &Path) -> Result<Option<ObjectInfo>> {
        match self.store.head(path).await {
            Ok(meta) => Ok(Some(meta.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(Error::from(error).with_object(self.name_of(path))),
        }
    }

    /// Removes an object; one that is not there is fine.
    pub async fn delete(&self, path: &Path) -> Result<()> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Error::from(error).with_object(self.name_of(path))),
        }
    }

    /// Every object below `relative`, of any depth; all of the table for `""`. Order is the store's own.
    pub async fn list(&self, relative: &str) -> Result<Vec<ObjectInfo>> {
        let prefix = if relative.is_empty() { self.prefix.clone() } else { self.child(relative)? };
        let listed = self.store.list(Some(&prefix)).map_ok(ObjectInfo::from).try_collect().await;
        listed.map_err(|e| Error::from(e).with_object(self.name_of(&prefix)))
    }

    /// The objects right in `folder` whose names are not less than `from` and, where there is a `below`, less than that:
    /// in the order of their names, where the store keeps it.
    ///
    /// # Errors
    /// The store's own.
    pub async fn list_names(&self, folder: &str, from: &str, below: Option<&str>) -> Result<Vec<ObjectInfo>> {
        let directory = self.child(folder)?;
        let named = |e: Error| e.with_object(self.name_of(&directory));
        if let Some(path) = self.local_file(&directory) {
            let (from, below) = (from.to_owned(), below.map(str::to_owned));
            let is_wanted =
                move |name: &str| name >= from.as_str() && below.as_deref().is_none_or(|below| name < below);
            let listed = tokio::task::spawn_blocking(move || local::list_folder(&path, is_wanted)).await;
            let listed = listed.map_err(|e| named(Error::internal("a listing was cut short").with_source(e)))?;
            let listed = listed.map_err(|e| named(e.into()))?;
            // A name that is no key is no object.
            let info = |local::Listed { name, size_bytes, modified_ms }| {
                let path = self.child(&format!("{folder}/{name}")).ok()?;
                Some(ObjectInfo { path, size_bytes, modified_ms })
            };
            return Ok(listed.into_iter().filter_map(info).collect());
        }
        // A key that sorts right before those wanted.
        let offset = self.child(&format!("{folder}/{from}"))?;
        let mut found = Vec::new();
        let mut listed = self.store.list_with_offset(Some(&directory), &offset);
        while let Some(meta) = listed.try_next().await.map_err(|e| named(e.into()))? {
            let Some(name) = meta.location.as_ref().strip_prefix(directory.as_ref()) else { continue };
            let name = name.trim_start_matches('/');
            let is_past = below.is_some_and(|below| name >= below);
            if is_past && self.lists_in_order() {
                break;
            }
            if !is_past && name >= from && !name.contains('/') {
                found.push(meta.into());
            }
        }
        Ok(found)
    }

    /// Whether a listing comes in the order of names. Directory buckets of S3 have none.
    fn lists_in_order(&self) -> bool {
        !self.local && !self.url.host_str().is_some_and(|host| host.ends_with("--x-s3"))
    }

    /// An object's name as users know it.
    pub fn name_of(&self, path: &Path) -> String {
        let below = path.as_ref().strip_prefix(self.prefix.as_ref()).unwrap_or(path.as_ref());
        format!("{}/{}", self.display(), below.trim_start_matches('/'))
    }

    /// The part of `path` below the root.
    pub fn relative(&self, path: &Path) -> Option<String> {
        let below = path.as_ref().strip_prefix(self.prefix.as_ref())?;
        if self.prefix.as_ref().is_empty() {
            Some(below.to_owned())
        } else {
            below.strip_prefix('/').map(str::to_owned)
        }
    }
}

fn has_scheme(path: &str) -> bool {
    path.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.len() > 1
            && rest.starts_with('/')
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

fn invalid_location(location: &str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::invalid("not a usable location").with_object(location).with_source(source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_path_in_the_log_stays_below_the_root() {
        let folder = tempfile::tempdir().expect("folder");
        let root = TableRoot::open(&folder.path().join("t").to_string_lossy(), &StoreOptions::default()).expect("root");
        let inside = root.resolve("a%20b/c.parquet").expect("below");
        assert_eq!(root.relative(&inside).as_deref(), Some("a b/c.parquet"));
        let absolute = format!("{}x.parquet", root.url());
        assert_eq!(root.resolve(&absolute).expect("own root").filename(), Some("x.parquet"));
        for outside in [
            "../secret",
            "%2e%2e/secret",
            "a/../../secret",
            "/etc/passwd",
            "file:///etc/passwd",
            "file:/etc/passwd",
            "s3://other/x",
            "",
            "a//b",
            "%ff",
        ] {
            let error = root.resolve(outside).expect_err(outside);
            assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "LOG-10: {outside}: {error}");
        }
    }

    #[test]
    fn locations_that_can_not_be_a_table_are_named() {
        for (location, kind) in [
            ("", ErrorKind::Invalid),
            ("/", ErrorKind::Invalid),
            ("ftp://host/x", ErrorKind::Unsupported),
            ("file://host/x", ErrorKind::Invalid),
        ] {
            let error = TableRoot::open(location, &StoreOptions::default()).expect_err(location);
            assert_eq!(error.kind(), kind, "{location}: {error}");
        }
    }

    #[test]
    fn a_file_is_no_table() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("trips.csv");
        std::fs::write(&file, "id").expect("file");
        let error = TableRoot::open(&file.to_string_lossy(), &StoreOptions::default()).expect_err("a file");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[cfg(feature = "s3")]
    #[test]
    fn a_bucket_is_no_table_and_plain_http_stays_on_this_machine() {
        let open = |location: &str, endpoint: Option<&str>| {
            let options = StoreOptions { endpoint: endpoint.map(str::to_owned), ..StoreOptions::default() };
            TableRoot::open(location, &options)
        };
        assert_eq!(open("s3://bucket", None).expect_err("bucket").kind(), ErrorKind::Invalid);
        assert_eq!(open("s3:///x", None).expect_err("no bucket").kind(), ErrorKind::Invalid);
        assert_eq!(open("s3://", None).expect_err("nothing").kind(), ErrorKind::Invalid);
        let keyless = open("s3://bucket/t", Some("http://127.0.0.1:9000")).expect_err("loopback, but no keys");
        assert_eq!(keyless.kind(), ErrorKind::Denied);
        let error = open("s3://bucket/t", Some("http://store.example:9000")).expect_err("plain HTTP");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let root = open("s3://bucket/a/t/", None).expect("root");
        assert_eq!((root.display().as_str(), root.prefix().as_ref()), ("s3://bucket/a/t", "a/t"));
        assert!(root.resolve("s3a://bucket/a/t/x.parquet").is_ok());
        let spaced = open("s3://bucket/my%20table", None).expect("root");
        assert!(spaced.resolve("s3://bucket/my%20table/x.parquet").is_ok());
        assert!(root.resolve("s3://bucket/a/tt/x.parquet").is_err(), "LOG-10");
    }
}
