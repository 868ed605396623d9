//! Scratch PostgreSQL servers of any major, each on its own port and in its own folder, gone when dropped.
//!
//! Binaries are looked for in `$PGPILOT_TEST_PG_<major>`, the test cache and Debian's folder; `./check` fetches them.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops at what it did not expect, and says what it left out"
)]

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Every major that we support.
pub const MAJORS: &[u32] = &[14, 15, 16, 17, 18];

/// `nobody`: PostgreSQL refuses to run as root.
const UNPRIVILEGED: u32 = 65534;

/// A start on a busy machine takes a second or two; recovery after a kill a little more.
const START: Duration = Duration::from_secs(60);

/// A server; it has the superuser `postgres` and the role `monitor`, a member of `pg_monitor`. No passwords.
pub struct Server {
    pub major: u32,
    pub port: u16,
    bin: PathBuf,
    folder: tempfile::TempDir,
    postmaster: Option<Child>,
    /// Further arguments of `postgres`, from the next [`Server::boot`] on.
    pub arguments: Vec<String>,
}

impl Server {
    /// Starts a server with these lines added to its `postgresql.conf`; none, said loudly, without binaries.
    pub fn start(major: u32, settings: &[&str]) -> Option<Self> {
        let Some(bin) = find(major) else {
            skip(&format!("PostgreSQL {major}: no server binaries"));
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { major, port: free_port(), bin, folder, postmaster: None, arguments: vec![] };
        server.init(settings);
        server.boot();
        Some(server)
    }

    /// A standby of this server, which is stopped while its folder is copied. It reads from the slot `standby`, which
    /// must be there.
    pub fn standby(&mut self) -> Self {
        self.stop();
        let folder = tempfile::tempdir().unwrap();
        let copied = Command::new("cp").arg("-a").arg(self.data()).arg(folder.path()).status().unwrap();
        assert!(copied.success());
        self.boot();
        let (major, port, bin) = (self.major, free_port(), self.bin.clone());
        let mut standby = Self { major, port, bin, folder, postmaster: None, arguments: vec![] };
        if is_root() {
            chown(standby.folder.path(), Some(UNPRIVILEGED), Some(UNPRIVILEGED)).unwrap();
        }
        File::create(standby.data().join("standby.signal")).unwrap();
        let mut conf = OpenOptions::new().append(true).open(standby.data().join("postgresql.conf")).unwrap();
        let from = format!("host=127.0.0.1 port={} user=postgres", self.port);
        writeln!(
            conf,
            "primary_conninfo = '{from}'\nprimary_slot_name = 'standby'\nhot_standby_feedback = on"
        )
        .unwrap();
        standby.boot();
        standby
    }

    /// Connection string of a role.
    pub fn url(&self, role: &str) -> String {
        format!("postgresql://{role}@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    pub fn superuser_url(&self) -> String {
        self.url("postgres")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Waits for its sessions' end no longer than it must: `pg_ctl stop -m fast`.
    pub fn stop(&mut self) {
        self.end("fast");
    }

    /// Starts again after [`Server::stop`]; the test fails if it does not come up.
    pub fn boot(&mut self) {
        let log = OpenOptions::new().append(true).create(true).open(self.log()).unwrap();
        let mut postgres = self.program("postgres");
        postgres.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        postgres.args(["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-p", &self.port.to_string()]);
        postgres.args(&self.arguments);
        postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.postmaster = Some(postgres.spawn().unwrap());
        self.wait_until_ready();
    }

    pub fn restart(&mut self) {
        self.stop();
        self.boot();
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    pub fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// A program of the server's, as an unprivileged user when we are root.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.current_dir(self.folder.path()).env("LC_ALL", "C").env_remove("PGHOST").env_remove("PGDATA");
        if is_root() {
            command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
        }
        command
    }

    fn init(&self, settings: &[&str]) {
        if is_root() {
            chown(self.folder.path(), Some(UNPRIVILEGED), Some(UNPRIVILEGED)).unwrap();
        }
        let mut initdb = self.program("initdb");
        initdb.arg("-D").arg(self.data()).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]);
        let out = initdb.output().unwrap();
        assert!(out.status.success(), "initdb: {}", String::from_utf8_lossy(&out.stderr));
        let mut conf = OpenOptions::new().append(true).open(self.data().join("postgresql.conf")).unwrap();
        writeln!(conf, "{}", settings.join("\n")).unwrap();
        self.single_user("create role monitor login\ngrant pg_monitor to monitor\n");
    }

    /// Runs statements, one a line, before the server is up.
    fn single_user(&self, sql: &str) {
        let mut postgres = self.program("postgres");
        postgres.args(["--single", "-c", "fsync=off", "-D"]).arg(self.data()).arg("postgres");
        let log = File::create(self.log()).unwrap();
        let mut child = postgres.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        child.stdin.take().unwrap().write_all(sql.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{}", self.said());
        assert!(!self.said().contains("ERROR"), "{}", self.said());
    }

    /// The eighth line of `postmaster.pid` says when sessions are accepted.
    fn wait_until_ready(&mut self) {
        let since = Instant::now();
        let file = self.data().join("postmaster.pid");
        while !fs::read_to_string(&file).is_ok_and(|text| text.lines().nth(7).is_some_and(is_ready)) {
            let gone = self.postmaster.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(gone.is_none() && since.elapsed() < START, "the server does not start: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end(&mut self, mode: &str) {
        let Some(mut child) = self.postmaster.take() else { return };
        let mut pg_ctl = self.program("pg_ctl");
        pg_ctl.arg("-D").arg(self.data()).args(["-w", "-t", "30", "-m", mode, "stop"]);
        let stopped = pg_ctl.stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !stopped.is_ok_and(|status| status.success()) {
            drop(child.kill());
        }
        drop(child.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end("immediate");
    }
}

fn is_ready(line: &str) -> bool {
    line.trim() == "ready"
}

/// Says that a test did not run, or not in whole, on the terminal and where `./check` collects it by the test's name.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let line = format!("{}: {why}", thread.name().unwrap_or("a test").replace("::", "."));
    eprintln!("SKIPPED {line}");
    if let Some(file) = std::env::var_os("PGPILOT_TEST_SKIPPED") {
        let mut list = OpenOptions::new().append(true).create(true).open(file).unwrap();
        writeln!(list, "{line}").unwrap();
    }
}

fn find(major: u32) -> Option<PathBuf> {
    let told = std::env::var_os(format!("PGPILOT_TEST_PG_{major}")).map(PathBuf::from);
    let cached = cache().join(format!("pg/{major}/bin"));
    let debian = Path::new("/usr/lib/postgresql").join(major.to_string()).join("bin");
    told.into_iter().chain([cached, debian]).find(|bin| bin.join("postgres").exists())
}

/// Where `./check` keeps what it fetched.
pub fn cache() -> PathBuf {
    if let Some(told) = std::env::var_os("PGPILOT_TEST_CACHE") {
        return told.into();
    }
    let home = std::env::var_os("HOME").map_or_else(|| "/".into(), PathBuf::from);
    if is_root() { "/var/cache/pgpilot".into() } else { home.join(".cache/pgpilot") }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// A port that nobody listens on at this moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
