//! What a commit comes to, for every way in which a server or the way to it can fail.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use lake_format::ClockRef;
use uuid::Uuid;

use super::*;

/// A clock that does not wait.
#[derive(Debug, Default)]
struct NoWait(Mutex<Vec<Duration>>);

#[async_trait]
impl Clock for NoWait {
    fn now_ms(&self) -> i64 {
        0
    }
    fn new_id(&self) -> Uuid {
        Uuid::nil()
    }
    fn new_txn_id(&self) -> Uuid {
        Uuid::nil()
    }
    async fn sleep(&self, duration: Duration) {
        self.0.lock().expect("pauses").push(duration);
    }
}

/// One scripted answer: a status and a body, or a connection that is closed once the request was read.
#[derive(Clone, Copy)]
enum Reply {
    Status(u16, &'static str),
    Hangup,
}

/// Answers one connection after another from the script; gives the bodies it was sent.
fn server(script: &'static [Reply]) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    let thread = std::thread::spawn(move || {
        let mut bodies = Vec::new();
        for reply in script {
            let (mut stream, _) = listener.accept().expect("connection");
            let mut request = Vec::new();
            let mut chunk = [0; 4096];
            let body = loop {
                let read = stream.read(&mut chunk).expect("request");
                request.extend_from_slice(&chunk[..read]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length =
                    head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0_usize) {
                    break body.to_owned();
                }
            };
            bodies.push(body);
            if let Reply::Status(status, body) = reply {
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).expect("answer");
            }
        }
        bodies
    });
    (url, thread)
}

async fn commit(url: &str) -> CommitAnswer {
    let client = CatalogClient::new(url, None).expect("client");
    let name = TableName::parse("silver.t").expect("name");
    let committer = CatalogCommitter::new(client, name).for_table("the-table");
    let root = TableRoot::in_memory("t").expect("root");
    let clock: ClockRef = Arc::new(NoWait::default());
    let body = CommitBody { version: 7, txn_id: Uuid::nil(), bytes: Bytes::from_static(b"{\"commitInfo\":{}}\n") };
    committer.try_commit(&root, &body, clock.as_ref()).await
}

const LANDED: Reply = Reply::Status(200, r#"{"version":7,"outcome":"committed"}"#);
const AGAIN: Reply = Reply::Status(200, r#"{"version":7,"outcome":"already_committed"}"#);
const TAKEN: Reply = Reply::Status(
    409,
    r#"{"error":{"kind":"conflict","message":"m","commit":{"outcome":"rejected","version":7,"head":9,"taken":true}}}"#,
);
const RULES: Reply = Reply::Status(
    422,
    r#"{"error":{"kind":"invalid","message":"m","details":[{"rule":"r","message":"x"}],"commit":{"outcome":"rejected","version":7}}}"#,
);
const UNKNOWN: Reply =
    Reply::Status(503, r#"{"error":{"kind":"unavailable","message":"m","commit":{"outcome":"unknown","version":7}}}"#);
const BUSY: Reply =
    Reply::Status(503, r#"{"error":{"kind":"unavailable","message":"m","commit":{"outcome":"rejected","version":7}}}"#);
const DENIED: Reply = Reply::Status(401, r#"{"error":{"kind":"denied","message":"m"}}"#);
const PROXY: Reply = Reply::Status(502, "<html>");

fn word(answer: &CommitAnswer) -> &'static str {
    match answer {
        CommitAnswer::Landed => "landed",
        CommitAnswer::Taken => "taken",
        CommitAnswer::Refused(_) => "refused",
        CommitAnswer::Unsettled(_) => "unsettled",
    }
}

#[tokio::test]
async fn outcomes_are_never_guessed() {
    let cases: [(&str, &'static [Reply], &str); 14] = [
        ("at once", &[LANDED], "landed"),
        ("lost answer", &[Reply::Hangup, AGAIN], "landed"),
        ("lost, then taken by another", &[Reply::Hangup, TAKEN], "taken"),
        ("unknown, then settled", &[UNKNOWN, UNKNOWN, AGAIN], "landed"),
        ("a proxy gave up", &[PROXY, LANDED], "landed"),
        ("an answer of something else", &[Reply::Status(200, "ok"), LANDED], "landed"),
        ("another version", &[Reply::Status(200, r#"{"version":8,"outcome":"committed"}"#), LANDED], "landed"),
        ("taken", &[TAKEN], "taken"),
        ("rules", &[RULES], "refused"),
        ("token", &[DENIED], "refused"),
        ("rules after doubt", &[Reply::Hangup, RULES], "unsettled"),
        ("token after doubt", &[UNKNOWN, DENIED], "unsettled"),
        ("busy for good", &[BUSY; 6], "refused"),
        ("unknown for good", &[BUSY, UNKNOWN, BUSY, BUSY, BUSY, BUSY], "unsettled"),
    ];
    for (what, script, wanted) in cases {
        let (url, thread) = server(script);
        let answer = commit(&url).await;
        assert_eq!(word(&answer), wanted, "{what}: {answer:?}");
        let bodies = thread.join().expect("server");
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{what}: the same bytes each time");
        let sent: CommitRequest = serde_json::from_str(&bodies[0]).expect("request");
        assert_eq!((sent.actions.as_str(), sent.table_id.as_deref()), ("{\"commitInfo\":{}}\n", Some("the-table")));
    }
}

#[tokio::test]
async fn what_was_never_sent_is_refused_for_certain() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port");
    let url = format!("http://{}", listener.local_addr().expect("address"));
    drop(listener);
    assert_eq!(word(&commit(&url).await), "refused");
}

#[tokio::test]
async fn the_first_version_is_the_servers() {
    let client = CatalogClient::new("http://127.0.0.1:1", None).expect("client");
    let committer = CatalogCommitter::new(client, TableName::parse("a.b").expect("name"));
    let body = CommitBody { version: 0, txn_id: Uuid::nil(), bytes: Bytes::from_static(b"{}") };
    let root = TableRoot::in_memory("t").expect("root");
    let answer = committer.try_commit(&root, &body, &NoWait::default()).await;
    assert!(matches!(answer, CommitAnswer::Refused(error) if error.kind() == ErrorKind::Unsupported));
}
