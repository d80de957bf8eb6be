//! How to reach an S3-compatible store: endpoint, region, keys. And what local files are to outlive.

use std::fmt;

use crate::error::{Error, Result};

/// Text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Keep it out of messages and logs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What the files that are written to a local disk outlive once a write was acknowledged. Of a remote store that is the
/// store's own promise, and this changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process, of the system, and of the power supply (COM-7): data file, commit and the directories of
    /// both are synced before the write is acknowledged.
    #[default]
    Full,
    /// The end of the process only: nothing is synced. After a crash of the system or a power cut the newest versions may
    /// be gone, though they were acknowledged, and the files of one may be empty or cut short, which makes the table
    /// unreadable until these are removed by hand. For data that can be made again.
    None,
}

impl Durability {
    /// `full` or `none`.
    ///
    /// # Errors
    /// `Invalid` for another word.
    pub fn parse(text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "full" => Ok(Self::Full),
            "none" => Ok(Self::None),
            _ => Err(Error::invalid(format!("a durability is `full` or `none`, not {text:?}"))),
        }
    }
}

/// Settings of the store. What is `None` is left to the store's own default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreOptions {
    /// Base address of the service, as `http://127.0.0.1:9000`. AWS itself when absent.
    pub endpoint: Option<String>,
    /// Region; `us-east-1` when absent.
    pub region: Option<String>,
    /// Access key id.
    pub access_key_id: Option<String>,
    /// Secret access key.
    pub secret_access_key: Option<Secret>,
    /// Session token of temporary keys.
    pub session_token: Option<Secret>,
    /// Bucket in the path (`true`, the default with an endpoint) or in the host name.
    pub path_style: Option<bool>,
    /// Unsigned requests.
    pub anonymous: bool,
    /// Plain HTTP to addresses other than loopback.
    pub allow_http: bool,
    /// What files on a local disk outlive; everything when absent.
    pub durability: Option<Durability>,
}

/// The variable that says what local files are to outlive.
const DURABILITY: &str = "LAKE_DURABILITY";

impl StoreOptions {
    /// Settings from environment-like variables: `LAKE_S3_*` first, then `AWS_*`; `LAKE_DURABILITY`.
    ///
    /// # Errors
    /// `Invalid` when a boolean variable is neither true nor false, or the durability neither full nor none.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let first = |names: &[&str]| names.iter().find_map(|name| lookup(name).filter(|value| !value.is_empty()));
        let flag = |name: &str| match lookup(name).as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("") => Ok(None),
            Some("1" | "true" | "yes" | "on") => Ok(Some(true)),
            Some("0" | "false" | "no" | "off") => Ok(Some(false)),
            Some(_) => Err(Error::invalid("expected true or false").with_object(name)),
        };
        let durability = first(&[DURABILITY]).map(|text| Durability::parse(&text));
        Ok(Self {
            durability: durability.transpose().map_err(|e| e.with_object(DURABILITY))?,
            endpoint: first(&["LAKE_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
            region: first(&["LAKE_S3_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"]),
            access_key_id: first(&["LAKE_S3_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"]),
            secret_access_key: first(&["LAKE_S3_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"]).map(Secret::new),
            session_token: first(&["LAKE_S3_SESSION_TOKEN", "AWS_SESSION_TOKEN"]).map(Secret::new),
            path_style: flag("LAKE_S3_PATH_STYLE")?,
            anonymous: flag("LAKE_S3_ANONYMOUS")?.unwrap_or(false),
            allow_http: flag("LAKE_S3_ALLOW_HTTP")?.or(flag("AWS_ALLOW_HTTP")?).unwrap_or(false),
        })
    }

    /// These settings, with `other` filling what is not set here.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        // Keys travel together: an id of one source is never joined with a secret of another.
        let (id, secret, token) = if self.access_key_id.is_some() {
            (self.access_key_id, self.secret_access_key, self.session_token)
        } else {
            (other.access_key_id, other.secret_access_key, other.session_token)
        };
        Self {
            endpoint: self.endpoint.or(other.endpoint),
            region: self.region.or(other.region),
            access_key_id: id,
            secret_access_key: secret,
            session_token: token,
            path_style: self.path_style.or(other.path_style),
            anonymous: self.anonymous || other.anonymous,
            allow_http: self.allow_http || other.allow_http,
            durability: self.durability.or(other.durability),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_two_sources_are_not_mixed() {
        let flags = StoreOptions { access_key_id: Some("a".into()), ..StoreOptions::default() };
        let env = StoreOptions {
            access_key_id: Some("b".into()),
            secret_access_key: Some(Secret::new("s")),
            region: Some("eu".into()),
            ..StoreOptions::default()
        };
        let both = flags.or(env);
        assert_eq!((both.access_key_id.as_deref(), both.secret_access_key), (Some("a"), None));
        assert_eq!(both.region.as_deref(), Some("eu"));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let options = StoreOptions { secret_access_key: Some(Secret::new("hunter2")), ..StoreOptions::default() };
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn a_bad_flag_is_named() {
        let error = StoreOptions::from_lookup(|name| (name == "LAKE_S3_ANONYMOUS").then(|| "maybe".into()))
            .expect_err("neither true nor false");
        assert_eq!(error.object(), Some("LAKE_S3_ANONYMOUS"));
    }

    #[test]
    fn everything_lasts_unless_it_is_said_otherwise() {
        let of = |text: &'static str| StoreOptions::from_lookup(move |name| (name == DURABILITY).then(|| text.into()));
        assert_eq!(Durability::default(), Durability::Full, "COM-7, STO-3");
        assert_eq!(of("").expect("unset").durability, None);
        assert_eq!(of("None").expect("none").durability, Some(Durability::None));
        assert_eq!(of("off").expect_err("another word").object(), Some(DURABILITY));
        let (flag, env) = (of("full").expect("full"), of("none").expect("none"));
        assert_eq!(flag.or(env).durability, Some(Durability::Full), "the first that says something");
    }
}
