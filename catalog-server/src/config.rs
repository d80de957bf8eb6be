//! What a server is told before it starts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use lake_catalog_api::StaticKeys;
use lake_format::{ClockRef, Error, Result, StoreOptions, SystemClock};

/// Who is let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthMode {
    /// Callers with a token. The first one is made at the first start.
    #[default]
    Tokens,
    /// Everyone, on loopback only.
    Open,
}

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Folder of the database and the first token. Made if it is missing, for its owner alone.
    pub state_dir: PathBuf,
    /// Where new tables go: a folder or `s3://bucket/prefix`. The folder `warehouse` of `state_dir` when absent.
    pub warehouse: Option<String>,
    /// Other places where tables may be. None: anywhere that the server can reach.
    pub allowed_locations: Vec<String>,
    /// How to reach S3-compatible stores.
    pub store: StoreOptions,
    /// Keys that may only read, handed to every client that loads a table on S3.
    pub read_keys: Option<StaticKeys>,
    /// Who is let in.
    pub auth: AuthMode,
    /// Time, identities and randomness.
    pub clock: ClockRef,
}

impl Config {
    /// Default settings with that state folder.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen: default_listen(),
            state_dir: state_dir.into(),
            warehouse: None,
            allowed_locations: Vec::new(),
            store: StoreOptions::default(),
            read_keys: None,
            auth: AuthMode::Tokens,
            clock: SystemClock::shared(),
        }
    }

    /// File of the database.
    pub fn database(&self) -> PathBuf {
        self.state_dir.join("catalog.db")
    }

    /// File of the first token.
    pub fn token_file(&self) -> PathBuf {
        self.state_dir.join("admin.token")
    }

    /// Where new tables go.
    ///
    /// # Errors
    /// `Invalid` when the state folder's path is not text.
    pub fn warehouse(&self) -> Result<String> {
        if let Some(warehouse) = &self.warehouse {
            return if warehouse.contains("://") { Ok(warehouse.clone()) } else { absolute(Path::new(warehouse)) };
        }
        absolute(&self.state_dir.join("warehouse"))
    }

    /// # Errors
    /// `Invalid` for settings that contradict each other.
    pub fn check(&self) -> Result<()> {
        if self.auth == AuthMode::Open && !self.listen.ip().is_loopback() {
            return Err(Error::invalid("a server without tokens may listen on loopback alone")
                .with_object(self.listen.to_string())
                .with_hint("listen on 127.0.0.1, or leave tokens on"));
        }
        Ok(())
    }
}

fn default_listen() -> SocketAddr {
    let fallback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8181);
    lake_catalog_api::DEFAULT_LISTEN.parse().unwrap_or(fallback)
}

fn absolute(path: &Path) -> Result<String> {
    let path = std::path::absolute(path)?;
    let text = path.to_str().ok_or_else(|| Error::invalid("a path must be UTF-8").with_object(format!("{path:?}")))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tokens_only_loopback() {
        let mut config = Config::new("state");
        config.check().expect("defaults");
        config.auth = AuthMode::Open;
        config.check().expect("loopback");
        for public in ["0.0.0.0:1", "10.0.0.1:1", "[::]:1"] {
            config.listen = public.parse().expect("address");
            assert!(config.check().is_err(), "{public}");
        }
        config.auth = AuthMode::Tokens;
        config.check().expect("with tokens");
    }

    #[test]
    fn the_warehouse_is_absolute_or_a_url() {
        let mut config = Config::new("state");
        assert!(config.warehouse().expect("default").ends_with("state/warehouse"));
        assert!(config.warehouse().expect("default").starts_with('/'));
        config.warehouse = Some("s3://bucket/wh".into());
        assert_eq!(config.warehouse().expect("url"), "s3://bucket/wh");
    }
}
