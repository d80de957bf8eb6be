//! A connection to the server that loses what the test wants lost.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

/// What happens to a commit on its way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It never arrives.
    Request,
    /// It arrives, and the first answer is lost.
    FirstAnswer,
}

/// Passes connections on to `server` but for commits. Gives the address to use instead.
pub fn start(server: &str, loss: Loss) -> String {
    let server = server.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = format!("http://{}", listener.local_addr().expect("address"));
    std::thread::spawn(move || {
        let lost = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        for client in listener.incoming().map_while(Result::ok) {
            let upstream = TcpStream::connect(&server).expect("server");
            let lost = std::sync::Arc::clone(&lost);
            std::thread::spawn(move || pass(client, upstream, loss, &lost));
        }
    });
    address
}

fn pass(mut client: TcpStream, mut upstream: TcpStream, loss: Loss, lost: &std::sync::atomic::AtomicBool) {
    use std::sync::atomic::Ordering;
    let (mut from, mut to) = (upstream.try_clone().expect("clone"), client.try_clone().expect("clone"));
    let dropped = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let silent = std::sync::Arc::clone(&dropped);
    let back = std::thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if silent.load(Ordering::SeqCst) || to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    let mut buffer = [0; 65536];
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        let head = String::from_utf8_lossy(&buffer[..read.min(300)]).into_owned();
        let is_commit = head.starts_with("POST") && head.lines().next().is_some_and(|line| line.contains("/commits"));
        match loss {
            Loss::Request if is_commit => break,
            Loss::FirstAnswer if is_commit && !lost.swap(true, Ordering::SeqCst) => {
                dropped.store(true, Ordering::SeqCst)
            }
            _ => {}
        }
        if upstream.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    if loss == Loss::Request {
        let _ = upstream.shutdown(Shutdown::Both);
    }
    let _ = back.join();
}
