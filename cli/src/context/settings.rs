//! One value for each setting: a flag wins over `LAKE_*`, that over the profile, that over `AWS_*`, that over a default.

use std::path::{Path, PathBuf};

use lake_catalog_client::{CatalogClient, ClientOptions};
use lake_format::store::Secret;
use lake_format::{Error, Result, StoreOptions};

use super::memory::default_budget_bytes;
use super::profile::{self, Profile, config_path};
use crate::args::{Env, Global};

/// Bytes of a file with a secret, at most.
const SECRET_BYTES: u64 = 64 * 1024;

/// Where the catalog is, and who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogAccess {
    /// Address of the server.
    pub url: String,
    /// Token, if the server asks for one.
    pub token: Option<Secret>,
}

impl CatalogAccess {
    /// A client of that server. `allow_plain_http` lets the token travel unprotected to another machine.
    ///
    /// # Errors
    /// `Invalid` for an address that is none, `Unsupported` for a token over plain HTTP.
    pub fn client(&self, allow_plain_http: bool) -> Result<CatalogClient> {
        let mut options = ClientOptions::new(self.url.as_str(), self.token.clone());
        options.allow_plain_http = allow_plain_http;
        CatalogClient::with_options(options)
    }
}

/// All settings of one run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How stores are reached.
    pub store: StoreOptions,
    /// The catalog, if one is set.
    pub catalog: Option<CatalogAccess>,
    /// Memory that the command may use.
    pub memory_bytes: u64,
    /// Where what does not fit into memory goes; the system's own place when absent.
    pub spill_dir: Option<PathBuf>,
    /// Whether the catalog is the profile's own.
    pub own_catalog: bool,
    /// Name of the profile, where one was named.
    pub profile_name: Option<String>,
    /// The profile.
    pub profile: Profile,
}

/// What the files of a write may hold at most, by estimate.
const WRITE_BYTES: u64 = 256 << 20;

impl Settings {
    /// Memory for the files of a write: what reads the rows meanwhile needs some, too.
    pub fn write_bytes(&self) -> usize {
        usize::try_from(WRITE_BYTES.min(self.memory_bytes / 4)).unwrap_or(usize::MAX)
    }

    pub(super) fn resolve(global: &Global) -> Result<Self> {
        let name = global.profile.as_deref().filter(|name| !name.is_empty());
        let profile = match config_path() {
            Ok(path) => profile::load(&path, name)?,
            Err(error) if name.is_some() => return Err(error),
            Err(_) => Profile::default(),
        };
        let store = store(global, &profile, |name| std::env::var(name).ok())?;
        let catalog = catalog(global, &profile, Env::Token.get());
        let own = profile.catalog_url.as_deref().map(|url| url.trim_end_matches('/'));
        Ok(Self {
            store,
            own_catalog: catalog.as_ref().is_some_and(|catalog| Some(catalog.url.as_str()) == own),
            catalog,
            memory_bytes: global.memory.unwrap_or_else(default_budget_bytes),
            spill_dir: global.spill_dir.clone(),
            profile_name: name.map(str::to_owned),
            profile,
        })
    }
}

/// Variables of Lake are meant for Lake; those of AWS may be there for something else, so the profile comes first.
fn store(global: &Global, profile: &Profile, lookup: impl Fn(&str) -> Option<String>) -> Result<StoreOptions> {
    let of = |prefix: &str| StoreOptions::from_lookup(|name| name.starts_with(prefix).then(|| lookup(name)).flatten());
    let found = flags(global)?.or(of("LAKE_")?).or(profile.store()).or(of("AWS_")?);
    Ok(match global.anonymous {
        // Asked for by name: keys that are set for other stores are not sent.
        true => StoreOptions { access_key_id: None, secret_access_key: None, session_token: None, ..found },
        false => found,
    })
}

fn flags(global: &Global) -> Result<StoreOptions> {
    let secret = global.secret_access_key_file.as_deref().map(read_secret_file).transpose()?;
    Ok(StoreOptions {
        endpoint: global.endpoint.clone(),
        region: global.region.clone(),
        access_key_id: global.access_key_id.clone(),
        secret_access_key: secret,
        path_style: global.path_style,
        anonymous: global.anonymous,
        durability: global.durability,
        ..StoreOptions::default()
    })
}

/// A profile's token goes to that profile's server and to no other.
fn catalog(global: &Global, profile: &Profile, token: Option<String>) -> Option<CatalogAccess> {
    let trimmed = |url: &str| url.trim_end_matches('/').to_owned();
    let own = profile.catalog_url.as_deref().map(trimmed);
    let asked = global.catalog.as_deref().filter(|url| !url.is_empty()).map(trimmed);
    let url = asked.or_else(|| own.clone())?;
    let profile_token = profile.token.clone().filter(|_| own.as_deref() == Some(url.as_str()));
    Some(CatalogAccess { token: token.map(Secret::new).or(profile_token), url })
}

/// The secret in a file, without the line feed behind it.
///
/// # Errors
/// `Invalid` for an empty, large or binary file; what the system says.
pub fn read_secret_file(path: &Path) -> Result<Secret> {
    let named = |error: Error| error.with_object(path.display().to_string());
    let metadata = std::fs::metadata(path).map_err(|error| named(error.into()))?;
    if metadata.len() > SECRET_BYTES {
        return Err(named(Error::invalid("the file is too large for a secret")));
    }
    let bytes = std::fs::read(path).map_err(|error| named(error.into()))?;
    let text = String::from_utf8(bytes).map_err(|_| named(Error::invalid("the file holds no text")))?;
    match text.trim() {
        "" => Err(named(Error::invalid("the file holds no secret"))),
        secret => Ok(Secret::new(secret)),
    }
}

/// `$LAKE_HOME`, or `lake` in the user's data directory.
pub(super) fn home() -> Result<PathBuf> {
    let env = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = || Some(env("XDG_DATA_HOME").unwrap_or(env("HOME")?.join(".local").join("share")));
    Env::Home.get().map(PathBuf::from).or_else(|| Some(data()?.join("lake"))).ok_or_else(|| {
        Error::invalid("there is no place for the server's state")
            .with_hint("set HOME or LAKE_HOME, or name a directory")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile { catalog_url: Some("http://own/".to_owned()), token: Some(Secret::new("own")), ..Profile::default() }
    }

    #[test]
    fn a_token_goes_to_its_own_server_only() {
        let asked = |url: &str| Global { catalog: Some(url.to_owned()), ..Global::default() };
        let of = |global: Global, token: Option<&str>| catalog(&global, &profile(), token.map(str::to_owned));
        let access =
            |url: &str, token: Option<&str>| Some(CatalogAccess { url: url.to_owned(), token: token.map(Secret::new) });
        assert_eq!(of(Global::default(), None), access("http://own", Some("own")));
        assert_eq!(of(asked("http://own"), None), access("http://own", Some("own")));
        assert_eq!(of(asked("http://other"), None), access("http://other", None));
        assert_eq!(of(asked("http://other"), Some("env")), access("http://other", Some("env")));
        assert_eq!(of(asked(""), None), access("http://own", Some("own")));
        assert_eq!(catalog(&Global::default(), &Profile::default(), Some("env".to_owned())), None);
    }

    #[test]
    fn a_flag_wins_over_lake_over_the_profile_over_aws() {
        let profile = Profile { endpoint: Some("profile".to_owned()), region: Some("profile".to_owned()), ..profile() };
        let global = Global { endpoint: Some("flag".to_owned()), ..Global::default() };
        let lookup = |name: &str| {
            let known = ["LAKE_S3_ENDPOINT", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
            known.contains(&name).then(|| name.to_owned())
        };
        let of = |global: &Global, profile: &Profile| store(global, profile, lookup).expect("store");
        assert_eq!(of(&global, &profile).endpoint.as_deref(), Some("flag"));
        assert_eq!(of(&Global::default(), &profile).endpoint.as_deref(), Some("LAKE_S3_ENDPOINT"));
        assert_eq!(of(&global, &profile).region.as_deref(), Some("profile"));
        let ambient = of(&global, &Profile::default());
        assert_eq!(ambient.region.as_deref(), Some("AWS_REGION"));
        assert_eq!(ambient.access_key_id.as_deref(), Some("AWS_ACCESS_KEY_ID"));
    }

    #[test]
    fn a_secret_is_read_from_its_file() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("key");
        std::fs::write(&path, "hunter2\n").expect("write");
        assert_eq!(read_secret_file(&path).expect("secret"), Secret::new("hunter2"));
        for bad in [&b" \n"[..], b"\xff"] {
            std::fs::write(&path, bad).expect("write");
            assert!(read_secret_file(&path).is_err());
        }
        assert!(read_secret_file(dir.path()).is_err() && read_secret_file(&dir.path().join("none")).is_err());
    }
}
