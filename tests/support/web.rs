//! Our HTTP server in a thread, and a client that sees every byte.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses its own part")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pgpilot::serve::board::Board;
use pgpilot::serve::http::{self, Front};
use pgpilot::serve::{Choice, Pace, Scraper};
use tokio_util::sync::CancellationToken;

/// A running server; it stops when dropped.
pub struct Web {
    pub address: SocketAddr,
    pub board: Arc<Board>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// An answer: status, head, body.
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The value of a series, written as it stands there.
    pub fn value(&self, series: &str) -> Option<f64> {
        let line = self.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(line.parse().unwrap())
    }
}

/// Half a second of sharing, so that a test sees both that and a new reading.
pub const FRESH_FOR: Duration = Duration::from_millis(500);

impl Web {
    /// Serves what is read from this server, or nothing of PostgreSQL.
    pub fn start(url: Option<&str>) -> Self {
        Self::serving(url, Choice::all(), Front::default())
    }

    /// As [`Web::start`], with bounds.
    pub fn choosing(url: Option<&str>, choice: Choice) -> Self {
        Self::serving(url, choice, Front::default())
    }

    /// As it is seen with these options.
    pub fn start_with(url: Option<&str>, front: Front) -> Self {
        Self::serving(url, Choice::all(), front)
    }

    fn serving(url: Option<&str>, choice: Choice, front: Front) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (board, stop) = (Arc::new(Board::new(Duration::from_secs(60))), CancellationToken::new());
        let pace = Pace { fresh_for: FRESH_FOR, statement_timeout: Duration::from_secs(5) };
        let scraper =
            url.map(|url| Scraper::new(super::sql::target(url), pace, choice.clone(), board.clone()));
        let (shown, stopped) = (board.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                http::serve(vec![listener], front, shown, scraper, stopped).await;
            });
        });
        Self { address, board, stop, thread: Some(thread) }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    pub fn get(&self, path: &str, headers: &[&str]) -> Reply {
        self.ask("GET", path, headers)
    }

    pub fn ask(&self, method: &str, path: &str, headers: &[&str]) -> Reply {
        let mut stream = self.connect();
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n").unwrap();
        parse(&read_all(&mut stream))
    }

    /// Stops as on SIGTERM; how long it took.
    pub fn stop(&mut self) -> Duration {
        let since = Instant::now();
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        since.elapsed()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Until the other side closes.
pub fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = vec![];
    // A connection that is reset has said what it had to say.
    drop(stream.read_to_end(&mut all));
    all
}

pub fn parse(all: &[u8]) -> Reply {
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer with a head");
    let head = String::from_utf8(all[..end].to_vec()).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head, body: all[end + 4..].to_vec() }
}
