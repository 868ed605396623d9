//! The binary as a person starts it, with an environment of its own.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a verb left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The output of a verb that must have gone well.
    pub fn good(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// pgpilot with these variables and no others.
pub fn command(environment: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgpilot"));
    command.env_clear().envs(environment.iter().copied()).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn run(environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let out = command(environment, arguments).output().expect("the binary can be started");
    Ran {
        code: out.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&out.stdout).into_owned(),
        err: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

/// A person with a server: the verbs, a state folder, and a machine of a declared size.
pub struct Person {
    pub url: String,
    pub state: tempfile::TempDir,
    pub extra: Vec<(&'static str, String)>,
}

impl Person {
    pub fn new(url: String) -> Self {
        let extra = [
            ("PGPILOT_MEMORY", "4GB"),
            ("PGPILOT_CPUS", "4"),
            ("PGPILOT_STORAGE", "nvme"),
            ("PGPILOT_SHM_SIZE", "1GB"),
            ("PGPILOT_WAL_DISK_FREE", "500GB"),
            ("PGPILOT_TEST_TIME_SCALE", "60"),
        ];
        let extra = extra.map(|(name, value)| (name, value.to_owned())).into();
        Self { url, state: tempfile::tempdir().expect("a folder"), extra }
    }

    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.extra.retain(|(known, _)| *known != name);
        self.extra.push((name, value.to_owned()));
        self
    }

    pub fn environment(&self) -> Vec<(&str, &str)> {
        let state = self.state.path().to_str().expect("a plain path");
        let own = [("PGPILOT_DATABASE_URL", self.url.as_str()), ("PGPILOT_STATE_DIR", state)];
        own.into_iter().chain(self.extra.iter().map(|(name, value)| (*name, value.as_str()))).collect()
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        run(&self.environment(), arguments)
    }

    /// `serve` in the background on a free port; killed when dropped.
    pub fn serve(&self) -> Serving {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let mut environment = self.environment();
        environment.push(("PGPILOT_LISTEN", &listen));
        let mut command = command(&environment, &["serve"]);
        command.stderr(Stdio::inherit());
        Serving { child: command.spawn().expect("the binary can be started"), port }
    }
}

pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

pub struct Serving {
    pub child: Child,
    pub port: u16,
}

impl Serving {
    /// Status and body of a GET; none while nobody listens.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        get(self.port, path)
    }

    /// Waits until a page answers as wanted, at most half a minute.
    pub fn wait_for(&self, path: &str, wanted: impl Fn(u16, &str) -> bool) -> String {
        let mut last = None;
        for _ in 0..300 {
            last = self.get(path);
            if let Some((status, body)) = &last
                && wanted(*status, body)
            {
                return body.clone();
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{path} never answered as wanted: {last:?}");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A `pgpilot` that serves until it is dropped, and its log.
pub struct Logged {
    pub child: Child,
    /// Where its log goes.
    log: tempfile::NamedTempFile,
}

impl Logged {
    pub fn start(environment: &[(&str, &str)], arguments: &[&str]) -> Self {
        let log = tempfile::NamedTempFile::new().expect("a file and a process");
        let mut command = command(environment, arguments);
        command.stderr(Stdio::from(log.reopen().expect("a file and a process")));
        Self { child: command.spawn().expect("a file and a process"), log }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).expect("a file and a process")
    }

    /// Status and body of a GET, once it listens there.
    pub fn get(&self, port: u16, path: &str) -> (u16, String) {
        let since = Instant::now();
        loop {
            if let Some(answer) = get(port, path) {
                return answer;
            }
            assert!(since.elapsed() < Duration::from_secs(20), "nobody listens: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Status and body of a GET; none while nobody listens.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(15))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
}

/// The exit code, and words that standard error must have.
pub fn says(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, code, "{ran:?}");
    for word in words {
        assert!(ran.err.contains(word), "expected `{word}` in: {}", ran.err);
    }
}

/// The row of a setting in `plan --json`.
pub fn row(plan: &serde_json::Value, name: &str) -> serde_json::Value {
    let rows = plan["rows"].as_array().expect("a row");
    rows.iter().find(|row| row["name"] == name).expect("a row").clone()
}
