//! Environment variables: their names, once, and what each is for.

/// A variable that Lake reads. The store's own (`LAKE_S3_*`, `AWS_*`) are those of `lake_format::StoreOptions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Env {
    /// Config file.
    Config,
    /// Section of the config file.
    Profile,
    /// Address of the catalog server.
    Catalog,
    /// Token for the catalog server.
    Token,
    /// Memory that one command may use.
    Memory,
    /// Directory for what does not fit into memory.
    SpillDir,
    /// What local files are to outlive.
    Durability,
    /// Directory of the servers that this machine runs.
    Home,
    /// Program that `lake local` starts.
    Minio,
    /// What is logged.
    Log,
}

/// Every variable, its name, and what it is for.
const TABLE: &[(Env, &str, &str)] = &[
    (Env::Config, "LAKE_CONFIG", "Config file, instead of lake/config.toml in the user's config directory"),
    (Env::Profile, "LAKE_PROFILE", "Section of the config file, instead of `default`"),
    (Env::Catalog, "LAKE_CATALOG", "Address of the catalog server"),
    (Env::Token, "LAKE_TOKEN", "Token for the catalog server"),
    (Env::Memory, "LAKE_MEMORY", "Memory that one command may use, as 2GiB"),
    (Env::SpillDir, "LAKE_SPILL_DIR", "Directory for what does not fit into memory"),
    (Env::Durability, "LAKE_DURABILITY", "What files written to a local disk outlive: full or none"),
    (Env::Home, "LAKE_HOME", "Where `lake serve` and `lake local` keep their state"),
    (Env::Minio, "LAKE_MINIO", "The program `minio`, for `lake local up`, where it is not on the path"),
    (Env::Log, "LAKE_LOG", "What is logged to standard error, as info or lake_format=debug"),
];

impl Env {
    /// Name of the variable.
    pub const fn name(self) -> &'static str {
        let mut at = 0;
        while at < TABLE.len() {
            if TABLE[at].0 as usize == self as usize {
                return TABLE[at].1;
            }
            at += 1;
        }
        ""
    }

    /// Its value; empty counts as not set.
    pub fn get(self) -> Option<String> {
        std::env::var(self.name()).ok().filter(|value| !value.is_empty())
    }

    /// All of them, as the help lists them.
    pub fn help() -> String {
        let mut text =
            "Environment (a flag wins over LAKE_*, LAKE_* over the profile, the profile over AWS_*):".to_owned();
        let store = ("LAKE_S3_*, AWS_*", "Endpoint, region and keys of the S3-compatible store");
        for (name, about) in TABLE.iter().map(|(_, name, about)| (*name, *about)).chain([store]) {
            text += &format!("\n  {name:<18}{about}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_has_one_name() {
        assert_eq!((Env::Config.name(), Env::Log.name()), ("LAKE_CONFIG", "LAKE_LOG"));
        assert!(TABLE.iter().all(|(variable, name, _)| variable.name() == *name && name.starts_with("LAKE_")));
    }
}
