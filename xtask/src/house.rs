//! The plan of the house as data: which crate and which room may know which, and the limits every file keeps.

/// What a crate may use of our own crates.
pub enum May {
    /// These, and `TESTKIT` in tests.
    Only(&'static [&'static str]),
    /// All: it is a user of the public API.
    Any,
}

/// The crate of test tools, open to the tests of all.
pub const TESTKIT: &str = "lake-testkit";

/// Folder of each member of the workspace, and what it may depend on.
pub const CRATES: &[(&str, May)] = &[
    ("format", May::Only(&[])),
    ("query", May::Only(&["lake-format"])),
    ("compaction", May::Only(&["lake-format"])),
    ("catalog-api", May::Only(&[])),
    ("catalog-client", May::Only(&["lake-catalog-api", "lake-format"])),
    ("catalog-server", May::Only(&["lake-catalog-api", "lake-compaction", "lake-format"])),
    (
        "cli",
        May::Only(&[
            "lake-catalog-api",
            "lake-catalog-client",
            "lake-catalog-server",
            "lake-compaction",
            "lake-format",
            "lake-query",
        ]),
    ),
    ("python", May::Only(&["lake-catalog-client", "lake-format", "lake-query"])),
    ("testkit", May::Only(&[])),
    ("xtask", May::Only(&[])),
    ("integration-tests", May::Any),
    ("examples", May::Any),
    ("bench", May::Any),
];

/// The order among the rooms of a crate.
pub enum Rooms {
    /// A room may use the rooms above it in the list.
    Stairs(&'static [&'static str]),
    /// A room may use the rooms named behind it.
    Table(&'static [(&'static str, &'static [&'static str])]),
}

/// Rooms of each crate that has a plan. In the other crates rooms are free, but must not form a loop.
pub const ROOMS: &[(&str, Rooms)] = &[
    (
        "format",
        Rooms::Stairs(&[
            "error",
            "clock",
            "planted",
            "schema",
            "expr",
            "action",
            "protocol",
            "replay",
            "conflict",
            "store",
            "log",
            "snapshot",
            "scan",
            "write",
            "transaction",
            "operation",
            "table",
        ]),
    ),
    ("query", Rooms::Stairs(&["error", "reference", "resolver", "predicate", "provider", "sql", "session"])),
    ("compaction", Rooms::Stairs(&["policy", "plan", "rewrite", "commit", "vacuum", "service"])),
    (
        "catalog-server",
        Rooms::Table(&[
            ("store", &[]),
            ("auth", &["store"]),
            ("catalog", &["store", "auth"]),
            ("http", &["catalog", "auth", "store"]),
            ("config", &[]),
            ("serve", &["store", "auth", "catalog", "http", "config"]),
            ("main", &["store", "auth", "catalog", "http", "config", "serve"]),
        ]),
    ),
    ("cli", Rooms::Stairs(&["error", "args", "output", "context", "command"])),
];

/// Rooms that do no I/O: functions of values, tested without a runtime.
pub const PURE_ROOMS: &[(&str, &[&str])] = &[
    ("format", &["error", "planted", "schema", "expr", "action", "protocol", "replay", "conflict"]),
    ("compaction", &["policy", "plan"]),
];

/// Crates that a pure room does not name. `async` and `await` are refused as well.
pub const IMPURE_CRATES: &[&str] = &["object_store", "parquet", "tokio"];

/// A crate that only some files may name.
pub struct NamedWord {
    /// Name of the crate in code.
    pub word: &'static str,
    /// Folder that the rule speaks of; empty for the whole workspace.
    pub within: &'static str,
    /// Folders (ending in `/`) and files that may name it.
    pub only: &'static [&'static str],
}

/// Names that are kept to one place.
pub const NAMED_WORDS: &[NamedWord] = &[
    NamedWord {
        word: "object_store",
        within: "format/src/",
        only: &["format/src/store/", "format/src/store.rs", "format/src/log/", "format/src/log.rs"],
    },
    NamedWord {
        word: "axum",
        within: "",
        only: &["catalog-server/src/http/", "catalog-server/src/http.rs", "catalog-server/src/serve.rs"],
    },
];

/// Text that no file of the repository holds, and why.
pub const FORBIDDEN_TEXT: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/ho", "me/"), "a path of one machine"),
    (concat!("todo", "!("), "unfinished code: finish it or refuse by name"),
    (concat!("unimplemented", "!("), "unfinished code: finish it or refuse by name"),
    (concat!("#[ig", "nore"), "a test that does not run proves nothing"),
];

/// Lines of production code in a file.
pub const FILE_LINES: usize = 600;

/// Lines of a function of production code, from `fn` to its closing brace.
pub const FUNCTION_LINES: usize = 70;

/// Lines of tests inside a file of production code; more go to a sibling `tests.rs`.
pub const INLINE_TEST_LINES: usize = 200;

/// The crate that other engines embed.
pub const LIGHT_CRATE: &str = "lake-format";

/// Crates that its dependency tree holds fewer of than this, itself not counted.
pub const LIGHT_CRATE_LIMIT: usize = 120;

/// Crates that it must not bring: name, or the beginning of one where a `*` ends it.
pub const LIGHT_CRATE_BANS: &[&str] = &["datafusion*", "axum", "reqwest", "hyper", "clap", "rustls", "sqlx"];
