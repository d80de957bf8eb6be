//! Stores: probed, named, and kept secret.

use crate::harness::{Sandbox, snapshot};

#[test]
fn a_folder_is_probed_and_left_as_it_was() {
    let mut sandbox = Sandbox::new();
    sandbox.lake(&["store", "probe", "./new/folder", "--keys", "3", "--writers", "8"]);
    assert!(!sandbox.path("new").exists(), "nothing stays");
    let told = sandbox.get(&["store", "probe", "./x", "--keys", "2", "--writers", "4", "--format", "json", "--quiet"]);
    let told: serde_json::Value = serde_json::from_str(&told).expect("json");
    assert_eq!((&told["safe"], &told["put-if-absent"]["passed"]), (&true.into(), &true.into()));
    sandbox.lake(&["store", "probe", "./x", "--writers", "1"]);
    snapshot!("store_probe", sandbox);
}

#[test]
fn profiles_keep_their_secrets() {
    let mut sandbox = Sandbox::new();
    sandbox.file("key.txt", "hunter2\n").file("token.txt", "hunter3\n");
    let add = ["store", "add", "minio", "--endpoint", "http://127.0.0.1:9000", "--access-key-id", "lake"];
    sandbox
        .lake(&["store", "list"])
        .lake(&[&add[..], &["--secret-access-key-file", "key.txt", "--session-token-file", "token.txt"]].concat())
        .lake(&["store", "add", "minio", "--region", "eu", "--path-style"])
        .lake(&["store", "add", "open", "--anonymous", "--quiet"])
        .lake(&["store", "list", "--format", "json"])
        .lake(&["store", "add", "modern", "--anonymous"])
        .lake(&["store", "add", "a b", "--anonymous"])
        .lake(&["store", "add", "nothing"])
        .lake(&["store", "add", "x", "--endpoint", "here"])
        .lake(&["show", "gs://bucket/t"])
        .lake(&["show", "az://container/t"]);
    let config = sandbox.path(".config/lake/config.toml");
    let text = std::fs::read_to_string(&config).expect("config");
    assert!(text.contains("hunter2") && text.contains("region = \"eu\""), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&config).expect("config").permissions().mode() & 0o777, 0o600);
    }
    let transcript = sandbox.transcript();
    assert!(!transcript.contains("hunter"), "no secret is printed");
    snapshot!("store_profiles", sandbox);
}
