//! The config file: named profiles with addresses and keys, read by every command and written by `lake login`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use lake_format::store::Secret;
use lake_format::{Error, StoreOptions};
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use crate::args::{Env, is_table_profile};

/// Bytes of the config file, at most.
const CONFIG_BYTES: u64 = 1 << 20;

/// The profile that is used when none is named.
pub const DEFAULT_PROFILE: &str = "default";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

/// One section `[profiles.NAME]` of the config file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// Address of the S3-compatible store.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Access key id.
    pub access_key_id: Option<String>,
    /// Secret access key.
    #[serde(deserialize_with = "secret")]
    pub secret_access_key: Option<Secret>,
    /// Session token of temporary keys.
    #[serde(deserialize_with = "secret")]
    pub session_token: Option<Secret>,
    /// Bucket in the path.
    pub path_style: Option<bool>,
    /// Unsigned requests.
    pub anonymous: bool,
    /// Plain HTTP to addresses other than this machine's.
    pub allow_http: bool,
    /// Address of the catalog server.
    pub catalog_url: Option<String>,
    /// Token for the catalog server.
    #[serde(deserialize_with = "secret")]
    pub token: Option<Secret>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

impl Profile {
    /// The store that it names.
    pub fn store(&self) -> StoreOptions {
        StoreOptions {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            session_token: self.session_token.clone(),
            path_style: self.path_style,
            anonymous: self.anonymous,
            allow_http: self.allow_http,
            durability: None,
        }
    }
}

/// The config file: `$LAKE_CONFIG`, or `lake/config.toml` in the user's config directory.
///
/// # Errors
/// `Invalid` when there is no such directory.
pub fn config_path() -> Result<PathBuf, Error> {
    let env = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = || Some(env("XDG_CONFIG_HOME").unwrap_or(env("HOME")?.join(".config")));
    let file = Env::Config.get().map(PathBuf::from).or_else(|| Some(directory()?.join("lake").join("config.toml")));
    file.ok_or_else(|| {
        Error::invalid("there is no place for the config file").with_hint("set HOME, or LAKE_CONFIG to the file itself")
    })
}

/// All profiles; none where there is no file.
///
/// # Errors
/// `Invalid` for a file that is no config file.
pub fn all(path: &Path) -> Result<BTreeMap<String, Profile>, Error> {
    let named = |error: Error| error.with_object(path.display().to_string());
    let text = read(path).map_err(named)?;
    let config: Config = toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(0, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        // The message alone: the line itself may hold a secret.
        named(Error::invalid(format!("the config file is wrong in line {line}: {}", error.message())))
    })?;
    Ok(config.profiles)
}

/// The text of the file; none where there is no file.
fn read(path: &Path) -> Result<String, Error> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(CONFIG_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > CONFIG_BYTES {
        return Err(Error::invalid("the config file is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid("the config file is not UTF-8"))
}

/// The profile `name`, or without a name the default one, which may be missing.
///
/// # Errors
/// `Invalid` for a file that is no config file, or has no such profile.
pub fn load(path: &Path, name: Option<&str>) -> Result<Profile, Error> {
    let named = |error: Error| error.with_object(path.display().to_string());
    let mut profiles = all(path)?;
    match (profiles.remove(name.unwrap_or(DEFAULT_PROFILE)), name) {
        (Some(profile), _) => Ok(profile),
        (None, None) => Ok(Profile::default()),
        (None, Some(name)) => {
            let known: Vec<&str> = profiles.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Err(named(
                Error::invalid(format!("there is no profile {name:?}"))
                    .with_hint(format!("the profiles are: {known}; `lake store add` and `lake login` make them")),
            ))
        }
    }
}

/// Sets values of the profile `name`, or removes them, and leaves the rest of the file as it is. The file is readable
/// by its owner alone afterwards.
///
/// # Errors
/// `Invalid` for a file that is no config file; what the system says.
pub fn save(path: &Path, name: &str, changes: &[(&str, Option<Value>)]) -> Result<(), Error> {
    let named = |error: Error| error.with_object(path.display().to_string());
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
        return Err(Error::invalid("a profile's name has letters, digits, _ and - only").with_object(name.to_owned()));
    }
    if is_table_profile(name) {
        return Err(Error::invalid("the name stands for a kind of table, so a profile can't have it")
            .with_object(name.to_owned()));
    }
    let old = read(path).map_err(named)?;
    let broken = |error: toml::de::Error| named(Error::invalid(format!("not a config file: {}", error.message())));
    let mut wanted: Table = old.parse().map_err(broken)?;
    apply(&mut wanted, name, changes).map_err(named)?;
    let edited = edit(&old, name, changes);
    let text = match edited.parse::<Table>() {
        Ok(found) if found == wanted => edited,
        // An unusual way of writing it: right is better than pretty.
        _ => toml::to_string(&wanted).map_err(|e| Error::internal("a profile can't be written").with_source(e))?,
    };
    write_private(path, &text).map_err(|error| named(error.into()))
}

fn apply(config: &mut Table, name: &str, changes: &[(&str, Option<Value>)]) -> Result<(), Error> {
    let no_table = || Error::invalid("`profiles` is not a table in the config file");
    let profiles = config.entry("profiles").or_insert_with(|| Value::Table(Table::new()));
    let profile = profiles.as_table_mut().ok_or_else(no_table)?;
    let profile = profile.entry(name).or_insert_with(|| Value::Table(Table::new()));
    let profile = profile.as_table_mut().ok_or_else(no_table)?;
    for (key, value) in changes {
        match value {
            Some(value) => profile.insert((*key).to_owned(), value.clone()),
            None => profile.remove(*key),
        };
    }
    Ok(())
}

/// The text with the lines of one section changed; comments and other sections stay.
fn edit(old: &str, name: &str, changes: &[(&str, Option<Value>)]) -> String {
    let header = format!("[profiles.{name}]");
    let lines: Vec<&str> = old.lines().collect();
    let start = lines.iter().position(|line| line.trim() == header);
    let mut new: Vec<String> = Vec::new();
    let added = changes.iter().filter_map(|(key, value)| value.as_ref().map(|value| format!("{key} = {value}")));
    match start {
        None => {
            new.extend(lines.iter().map(|&line| line.to_owned()));
            if !new.is_empty() {
                new.push(String::new());
            }
            new.push(header);
            new.extend(added);
        }
        Some(start) => {
            let is_header = |line: &&str| line.trim_start().starts_with('[');
            let end = lines[start + 1..].iter().position(is_header).map_or(lines.len(), |offset| start + 1 + offset);
            let key_of = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
            new.extend(lines[..=start].iter().map(|&line| line.to_owned()));
            new.extend(added);
            let kept = lines[start + 1..end].iter().filter(|line| !changes.iter().any(|(key, _)| key_of(line) == *key));
            new.extend(kept.map(|&line| line.to_owned()));
            new.extend(lines[end..].iter().map(|&line| line.to_owned()));
        }
    }
    new.join("\n") + "\n"
}

/// Replaces a file by one that its owner alone may read. It is there whole or not at all.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = directory.join(format!(".{name}.{}.tmp", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = (|| {
        let mut file = options.open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Option<Value> {
        Some(Value::String(value.to_owned()))
    }

    #[test]
    fn saving_keeps_comments_and_other_profiles() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("sub/config.toml");
        save(&path, "a", &[("catalog_url", text("http://x")), ("token", text("t1"))]).expect("new");
        fs::write(&path, format!("# mine\n{}", fs::read_to_string(&path).expect("read"))).expect("comment");
        save(&path, "b", &[("region", text("eu"))]).expect("second");
        save(&path, "a", &[("token", text("t\"2")), ("catalog_url", None), ("path_style", Some(Value::Boolean(true)))])
            .expect("change");
        let kept = fs::read_to_string(&path).expect("read");
        assert!(kept.starts_with("# mine\n"), "{kept}");
        let a = load(&path, Some("a")).expect("a");
        assert_eq!((a.catalog_url, a.token, a.path_style), (None, Some(Secret::new("t\"2")), Some(true)));
        assert_eq!(load(&path, Some("b")).expect("b").region.as_deref(), Some("eu"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).expect("meta").permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn unusual_forms_are_understood() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("config.toml");
        fs::write(&path, "profiles = { a = { region = \"x\" } }\n").expect("write");
        save(&path, "a", &[("region", text("y"))]).expect("change");
        assert_eq!(load(&path, Some("a")).expect("a").region.as_deref(), Some("y"));
        fs::write(&path, "[profiles.a]\nregion = \"\"\"\ntoken = 1\n\"\"\"\n").expect("write");
        save(&path, "a", &[("token", text("t"))]).expect("change");
        let profile = load(&path, Some("a")).expect("a");
        assert_eq!((profile.region.as_deref(), profile.token), (Some("token = 1\n"), Some(Secret::new("t"))));
    }

    #[test]
    fn a_wrong_file_is_named_and_no_secret_shown() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("config.toml");
        fs::write(&path, "[profiles.a]\ntoken = \"hunter2\" oops\n").expect("write");
        let error = load(&path, None).expect_err("not toml");
        assert!(error.message().contains("line 2") && !format!("{error:?}").contains("hunter2"), "{error:?}");
        fs::write(&path, "[profiles.a]\nendpont = \"x\"\n").expect("write");
        assert!(load(&path, None).expect_err("misspelt").message().contains("endpont"));
        fs::write(&path, "[profiles.a]\n").expect("write");
        assert!(load(&path, Some("b")).expect_err("unknown").hint().is_some_and(|hint| hint.contains("are: a;")));
        assert!(load(&path, None).is_ok(), "the default profile may be missing");
        assert!(save(&path, "a b", &[]).is_err());
    }
}
