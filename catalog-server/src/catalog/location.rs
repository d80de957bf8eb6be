//! Where tables may be, and the one spelling by which their locations are compared.

use std::fmt::Debug;
use std::sync::Arc;

use lake_catalog_api::{StaticKeys, StorageHints, StoreKind};
use lake_format::{Error, Result, StoreOptions, TableRoot};

/// Opens the root of a table.
pub trait Roots: Debug + Send + Sync {
    /// The root at `location`. Nothing is read yet.
    ///
    /// # Errors
    /// `Invalid` or `Unsupported` for an address that can't be a table's.
    fn open(&self, location: &str) -> Result<TableRoot>;
}

/// Roots on local disks and S3-compatible stores.
#[derive(Clone, Debug)]
struct Stores(StoreOptions);

impl Roots for Stores {
    fn open(&self, location: &str) -> Result<TableRoot> {
        TableRoot::open(location, &self.0)
    }
}

/// The stores that tables live on.
#[derive(Clone, Debug)]
pub struct Storage {
    warehouse: String,
    allowed: Vec<String>,
    options: StoreOptions,
    read_keys: Option<StaticKeys>,
    roots: Arc<dyn Roots>,
}

/// Characters that widen a store's access policy, or that some client writes differently.
const REFUSED: &[char] = &['*', '?', '$', '{', '}', '\'', '"', '`', '%', '\\', '#', '<', '>', '|', '^'];

impl Storage {
    /// Tables get folders in `warehouse`, unless they say where to go. Dots and links in a local path are resolved.
    ///
    /// # Errors
    /// `Invalid` or `Unsupported` when `warehouse` can't be a place for tables.
    pub fn new(warehouse: &str, options: StoreOptions) -> Result<Self> {
        let roots: Arc<dyn Roots> = Arc::new(Stores(options.clone()));
        let (warehouse, _) = operators_place(roots.as_ref(), warehouse)?;
        Ok(Self { warehouse, allowed: Vec::new(), options, read_keys: None, roots })
    }

    /// Where new tables go.
    pub fn warehouse(&self) -> &str {
        &self.warehouse
    }

    /// Lets tables be in the warehouse and in these places alone. None of them: anywhere.
    ///
    /// # Errors
    /// As [`Storage::new`].
    pub fn allow_only(mut self, places: &[String]) -> Result<Self> {
        for place in places {
            self.allowed.push(operators_place(self.roots.as_ref(), place)?.1);
        }
        if !self.allowed.is_empty() {
            self.allowed.push(location_key(&self.roots.open(&self.warehouse)?));
        }
        Ok(self)
    }

    /// Hands these keys, which should allow no more than reading, to every client that loads a table.
    #[must_use]
    pub fn vend_read_keys(mut self, keys: Option<StaticKeys>) -> Self {
        self.read_keys = keys;
        self
    }

    /// Opens tables by other means.
    #[must_use]
    pub fn with_roots(mut self, roots: Arc<dyn Roots>) -> Self {
        self.roots = roots;
        self
    }

    /// The place of a new table, by its identity: a name never becomes part of a path.
    pub(super) fn derived(&self, id: uuid::Uuid) -> String {
        format!("{}/{id}", self.warehouse)
    }

    /// A place that a client chose.
    ///
    /// # Errors
    /// `Invalid` for an address that can't be a table's or is not allowed here.
    pub(super) fn chosen(&self, location: &str) -> Result<TableRoot> {
        let location = location.trim_end_matches('/');
        check_location(location)?;
        let root = self.open(location)?;
        let key = location_key(&root);
        if !self.allowed.is_empty() && !self.allowed.iter().any(|place| key.starts_with(place) && key != *place) {
            return Err(Error::invalid("the location is outside the places for tables of this server")
                .with_object(location.to_owned())
                .with_hint(format!("leave the location out, or choose one below {}", self.warehouse)));
        }
        Ok(root)
    }

    /// The root of a table that is in the catalog.
    pub(super) fn open(&self, location: &str) -> Result<TableRoot> {
        self.roots.open(location).map_err(|e| e.with_object(location.to_owned()))
    }

    /// How a client reaches the files at `location`.
    pub(super) fn hints(&self, location: &str) -> StorageHints {
        if !is_s3(location) {
            return StorageHints {
                kind: StoreKind::Local,
                endpoint: None,
                region: None,
                path_style: None,
                read_keys: None,
            };
        }
        StorageHints {
            kind: StoreKind::S3,
            endpoint: self.options.endpoint.clone(),
            region: self.options.region.clone(),
            path_style: self.options.path_style,
            read_keys: self.read_keys.clone(),
        }
    }
}

/// A place that the operator names, which may be written more freely than a client's; with its key.
fn operators_place(roots: &dyn Roots, place: &str) -> Result<(String, String)> {
    let root = roots.open(place).map_err(|e| e.with_object(place.to_owned()))?;
    let plain = root.display();
    check_location(&plain)?;
    Ok((plain, location_key(&root)))
}

fn is_s3(location: &str) -> bool {
    location.starts_with("s3://") || location.starts_with("s3a://")
}

/// Refuses spellings that mean different places to different programs.
fn check_location(location: &str) -> Result<()> {
    let refused = |message: &str| {
        Err(Error::invalid(message.to_owned())
            .with_object(location.to_owned())
            .with_hint("give an absolute path, file:///path or s3://bucket/prefix in plain characters"))
    };
    let path = match location.split_once("://") {
        Some(("file", path)) if path.starts_with('/') => path.trim_start_matches('/'),
        Some(("s3" | "s3a", path)) => path,
        Some(_) => return refused("no store for such an address"),
        None => match location.strip_prefix('/') {
            Some(path) => path,
            None => return refused("a location must be absolute"),
        },
    };
    if location.len() > 1024 {
        return refused("the location is longer than 1024 bytes");
    }
    if path.contains(REFUSED) || path.chars().any(char::is_control) {
        return refused("the location has a character that is not allowed in one");
    }
    if path.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return refused("the location has a segment that is empty, . or ..");
    }
    Ok(())
}

/// The one spelling of a root, with a slash at the end. Links of local paths are resolved.
pub(super) fn location_key(root: &TableRoot) -> String {
    let scheme = match root.url().scheme() {
        "s3a" => "s3",
        other => other,
    };
    let host = root.url().host_str().unwrap_or_default();
    format!("{scheme}://{host}/{}/", root.prefix())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake_format::ErrorKind;

    fn storage(folder: &std::path::Path) -> Storage {
        Storage::new(folder.to_str().expect("text"), StoreOptions::default()).expect("storage")
    }

    #[test]
    fn odd_spellings_are_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let storage = storage(folder.path());
        for bad in [
            "",
            "/",
            "relative",
            "./x",
            "../x",
            "/a/../b",
            "/a/./b",
            "/a//b",
            "/a/%2e%2e/b",
            "/a*",
            "/a?",
            "/a/$b",
            "/a{b}",
            "/a'b",
            "/a\"b",
            "/a`b",
            "/a\\b",
            "/a\nb",
            "/a#b",
            "file://host/x",
            "http://x/y",
            "gs://b/x",
            "s3://",
            "s3://bucket",
            "s3://bucket/",
            "s3:///x",
            "s3://bucket//x",
            "memory:///x",
        ] {
            let error = storage.chosen(bad).expect_err(bad);
            assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unsupported), "{bad:?}: {error:?}");
        }
        assert_eq!(storage.chosen(&format!("/{}", "x".repeat(1024))).expect_err("long").kind(), ErrorKind::Invalid);
    }

    #[test]
    fn one_place_has_one_key() {
        let folder = tempfile::tempdir().expect("folder");
        let storage = storage(folder.path());
        let path = folder.path().canonicalize().expect("path").join("a b/t");
        let plain = path.to_str().expect("text");
        let key = location_key(&storage.chosen(plain).expect("plain"));
        assert!(key.starts_with("file:///") && key.ends_with("/t/"), "{key}");
        assert_eq!(location_key(&storage.chosen(&format!("{plain}///")).expect("slashes")), key);
        assert_eq!(
            location_key(&storage.chosen(&format!("file://{}", plain.replace(' ', "-"))).expect("url")),
            key.replace("a b", "a-b")
        );
        #[cfg(unix)]
        {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(folder.path(), &link).expect("link");
            let linked = link.join("a b/t");
            assert_eq!(location_key(&storage.chosen(linked.to_str().expect("text")).expect("linked")), key);
        }
    }

    #[test]
    fn the_operator_may_write_dots() {
        let folder = tempfile::tempdir().expect("folder");
        let full = folder.path().canonicalize().expect("path");
        std::fs::create_dir(full.join("a")).expect("folder");
        let dotted = format!("{}/a/../a/./wh/", full.display());
        let storage = Storage::new(&dotted, StoreOptions::default()).expect("storage");
        assert_eq!(storage.warehouse(), full.join("a/wh").to_str().expect("text"));
        storage.chosen(&format!("{}/t", storage.warehouse())).expect("its own places are fine");
    }

    #[test]
    fn places_can_be_narrowed() {
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path().to_str().expect("text");
        let storage = Storage::new(&format!("{root}/wh"), StoreOptions::default())
            .expect("storage")
            .allow_only(&[format!("{root}/shared")])
            .expect("places");
        storage.chosen(&format!("{root}/wh/t")).expect("in the warehouse");
        storage.chosen(&format!("{root}/shared/t")).expect("in an allowed place");
        for outside in ["other/t", "shared", "sharedx/t", "wh"] {
            assert!(storage.chosen(&format!("{root}/{outside}")).is_err(), "{outside}");
        }
    }

    #[test]
    fn hints_never_carry_the_keys_of_the_server() {
        let options = StoreOptions {
            endpoint: Some("http://127.0.0.1:9000".into()),
            access_key_id: Some("server".into()),
            secret_access_key: Some(lake_format::store::Secret::new("hunter2")),
            ..StoreOptions::default()
        };
        let folder = tempfile::tempdir().expect("folder");
        let storage = Storage::new(folder.path().to_str().expect("text"), options).expect("storage");
        let text = serde_json::to_string(&storage.hints("s3://b/t")).expect("json");
        assert_eq!(text, r#"{"kind":"s3","endpoint":"http://127.0.0.1:9000"}"#);
        assert_eq!(storage.hints("/data/t").kind, StoreKind::Local);
    }
}
