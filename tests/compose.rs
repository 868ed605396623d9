//! The compose files with a real Docker engine: the complete stack, and the sidecar beside somebody else's server.
//!
//! Both skip, and say so, where there is no engine or an image can neither be found nor pulled. Each takes its
//! containers, volumes and networks down again, also when it fails.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "this file is tests and what they need; clippy sees only the functions marked #[test] as such"
)]

mod support;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::pg::skip;

/// Compiling in the image takes minutes where no layer is cached.
const BUILD: Duration = Duration::from_secs(25 * 60);
/// Pulling the largest image (half a gigabyte) over a slow line.
const PULL: Duration = Duration::from_secs(10 * 60);
/// The first start of the whole stack: initdb, then our two one-shot services.
const UP: Duration = Duration::from_secs(180);
/// From then on until pgpilot is healthy, or Prometheus has scraped (every 15 s).
const SETTLED: Duration = Duration::from_secs(60);
/// Any other call of the Docker client.
const CALL: Duration = Duration::from_secs(60);

const STACK: &str = "compose/compose.yaml";
const SIDECAR: &str = "compose/sidecar.yaml";
/// Not the name that people use, so that a test never replaces their image; it stays as the cache of the next run.
const IMAGE: &str = "pgpilot:test";

#[test]
fn the_complete_stack_tunes_itself_and_is_scraped() {
    let Some(_turn) = engine() else { return };
    let (postgres, pilot, prometheus) = (free_port(), free_port(), free_port());
    let stack = Project::new("stack", STACK)
        .with("POSTGRES_PORT", postgres)
        .with("PGPILOT_PORT", pilot)
        .with("PROMETHEUS_PORT", prometheus);
    stack.build();
    stack.compose(&["up", "-d"], UP).expect_success();
    stack.wait_healthy("pgpilot");

    assert_tuned(|sql| stack.psql(sql));
    assert_eq!(
        stack.psql("SELECT rolsuper FROM pg_roles WHERE rolname = 'pgpilot'"),
        "f",
        "pgpilot's role is restricted"
    );
    assert_eq!(
        stack.psql("SHOW shared_preload_libraries"),
        "timescaledb,pg_stat_statements",
        "the preload of the command line is kept"
    );
    assert!(get(pilot, "/metrics").contains("\npg_up 1"), "pgpilot sees the server");
    wait_for("the target pgpilot to be up in Prometheus", || {
        let answer = get(prometheus, "/api/v1/query?query=up%7Bjob%3D%22pgpilot%22%7D");
        answer.contains(r#""status":"success""#) && answer.contains(r#","1"]"#)
    });

    // A second `up` runs both one-shot services again, on secrets and a role that are there.
    stack.compose(&["up", "-d"], UP).expect_success();
    stack.wait_healthy("pgpilot");

    let project = stack.name.clone();
    drop(stack);
    let label = format!("label=com.docker.compose.project={project}");
    for left in [["ps", "-aq"], ["volume", "ls"], ["network", "ls"]] {
        let list = docker(&[left[0], left[1], "--quiet", "--filter", &label], CALL).expect_success();
        assert_eq!(list, "", "docker {} has something left of {project}", left[0]);
    }
}

#[test]
fn the_sidecar_tunes_a_server_that_is_up() {
    let Some(_turn) = engine() else { return };
    let theirs = Theirs::start();
    let url = format!("postgres://postgres:{}@{}:5432/postgres", Theirs::PASSWORD, theirs.name);
    let sidecar = Project::new("sidecar", SIDECAR)
        .with("PGPILOT_PORT", free_port())
        .with("PGPILOT_NETWORK", &theirs.name)
        .with("PGPILOT_DATABASE_URL", url);
    sidecar.build();
    sidecar.compose(&["up", "-d"], UP).expect_success();
    sidecar.wait_healthy("pgpilot");

    assert_tuned(|sql| theirs.psql(sql));
    sidecar
        .compose(&["exec", "-T", "pgpilot", "pgpilot", "rollback", "--last", "--yes"], CALL)
        .expect_success();
    assert_eq!(theirs.psql(WRITTEN), "", "rollback took everything back");
}

#[test]
fn every_variable_is_in_the_example_at_its_default() {
    let example = fs::read_to_string("compose/.env.example").unwrap();
    for file in [STACK, SIDECAR] {
        for variable in
            fs::read_to_string(file).unwrap().split("${").skip(1).map(|rest| rest.split('}').next().unwrap())
        {
            let (line, what) = match variable.split_once(":-") {
                Some((name, default)) => (format!("\n{name}={default}\n"), "set to its default"),
                None => (format!("\n#{}=", variable.split(':').next().unwrap()), "shown as a comment"),
            };
            assert!(example.contains(&line), "{file}: {variable} is not {what} in compose/.env.example");
        }
    }
}

/// Names of the settings that ALTER SYSTEM wrote and that are in force.
const WRITTEN: &str = "SELECT string_agg(name, ',' ORDER BY name) FROM pg_settings \
     WHERE sourcefile LIKE '%postgresql.auto.conf' AND NOT pending_restart";

/// Reloadable settings that every machine gets, whatever its size, because PostgreSQL's own default fits none.
fn assert_tuned(psql: impl Fn(&str) -> String) {
    let written = psql(WRITTEN);
    let written: BTreeSet<&str> = written.split(',').collect();
    for name in ["checkpoint_timeout", "effective_cache_size", "max_wal_size", "random_page_cost"] {
        assert!(written.contains(name), "{name} is in force from postgresql.auto.conf; found {written:?}");
    }
    assert_ne!(psql("SHOW max_wal_size"), "1GB", "max_wal_size left its default");
    assert_ne!(psql("SHOW checkpoint_timeout"), "5min", "checkpoint_timeout left its default");
}

/// The turn to use the engine, or nothing where there is none: then the skip is told.
///
/// One test at a time, because both build the same image, and a compiler in each of them outgrows a small machine.
fn engine() -> Option<File> {
    if docker(&["version"], CALL).status != Some(0) || docker(&["compose", "version"], CALL).status != Some(0)
    {
        skip("no Docker engine with compose answers");
        return None;
    }
    let turn = File::create(std::env::temp_dir().join("pgpilot-compose-test.lock")).unwrap();
    turn.lock().unwrap();
    for image in images() {
        let found = docker(&["image", "inspect", &image], CALL).status == Some(0);
        if !found && docker(&["pull", "-q", &image], PULL).status != Some(0) {
            skip(&format!("the image {image} is not here and cannot be pulled"));
            return None;
        }
    }
    Some(turn)
}

/// What the Dockerfile and the complete stack start from.
fn images() -> BTreeSet<String> {
    let dockerfile = fs::read_to_string("Dockerfile").unwrap();
    let from = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("FROM ")?.split(' ').next().map(str::to_owned));
    let compose = docker(&["compose", "-f", STACK, "config", "--images"], CALL).expect_success();
    let compose = compose.lines().filter(|image| !image.starts_with("pgpilot:")).map(str::to_owned);
    from.chain(compose).collect()
}

/// A compose project under a name of its own, gone with its volumes when it is dropped.
struct Project {
    name: String,
    file: &'static str,
    variables: Vec<(&'static str, String)>,
}

impl Project {
    fn new(kind: &str, file: &'static str) -> Self {
        let name = format!("pgpilot-test-{kind}-{}", std::process::id());
        Self { name, file, variables: Vec::new() }.with("PGPILOT_IMAGE", IMAGE)
    }

    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.variables.push((name, value.to_string()));
        self
    }

    fn compose(&self, args: &[&str], limit: Duration) -> Outcome {
        let mut command = Command::new("docker");
        command.args(["compose", "-p", &self.name, "-f", self.file, "--progress", "quiet"]).args(args);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        run(command, limit)
    }

    fn build(&self) {
        self.compose(&["build"], BUILD).expect_success();
    }

    fn psql(&self, sql: &str) -> String {
        self.compose(&["exec", "-T", "postgres", "psql", "-U", "postgres", "-XAtqc", sql], CALL)
            .expect_success()
    }

    fn wait_healthy(&self, service: &str) {
        let container = self.compose(&["ps", "-q", service], CALL).expect_success();
        wait_for(&format!("{service} to be healthy"), || {
            docker(&["inspect", "-f", "{{.State.Health.Status}}", &container], CALL).expect_success()
                == "healthy"
        });
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.compose(&["logs", "--no-color", "--tail", "40"], CALL);
            eprintln!("{}\n{}", logs.output, logs.errors);
        }
        let down = self.compose(&["down", "--volumes", "--remove-orphans", "--timeout", "10"], UP);
        if down.status != Some(0) {
            eprintln!("taking {} down: {}", self.name, down.errors);
        }
    }
}

/// The stack of somebody else: a network, and a PostgreSQL in it that knows nothing of pgpilot.
struct Theirs {
    name: String,
}

impl Theirs {
    const PASSWORD: &str = "not-a-secret-in-a-test";

    fn start() -> Self {
        let theirs = Self { name: format!("pgpilot-test-theirs-{}", std::process::id()) };
        docker(&["network", "create", &theirs.name], CALL).expect_success();
        let image = images().into_iter().find(|image| image.starts_with("timescale/")).unwrap();
        let password = format!("POSTGRES_PASSWORD={}", Self::PASSWORD);
        let (name, env) = (theirs.name.as_str(), ["-e", &password, "-e", "NO_TS_TUNE=true"]);
        docker(&[&["run", "-d", "--name", name, "--network", name], &env[..], &[&image]].concat(), CALL)
            .expect_success();
        wait_for("their PostgreSQL to answer", || {
            docker(&["exec", name, "pg_isready", "-q", "-h", "127.0.0.1"], CALL).status == Some(0)
        });
        theirs
    }

    fn psql(&self, sql: &str) -> String {
        docker(&["exec", &self.name, "psql", "-U", "postgres", "-XAtqc", sql], CALL).expect_success()
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.name], CALL);
        docker(&["network", "rm", &self.name], CALL);
    }
}

struct Outcome {
    /// Nothing when the call was ended because it took too long, or the command was not found.
    status: Option<i32>,
    /// What it printed, without the last line's end.
    output: String,
    errors: String,
    what: String,
}

impl Outcome {
    #[track_caller]
    fn expect_success(self) -> String {
        let Self { status, output, errors, what } = self;
        assert_eq!(status, Some(0), "{what}\n{output}\n{errors}");
        output
    }
}

fn docker(args: &[&str], limit: Duration) -> Outcome {
    let mut command = Command::new("docker");
    command.args(args);
    run(command, limit)
}

/// Runs a command that is ended when it takes longer than `limit`.
fn run(mut command: Command, limit: Duration) -> Outcome {
    let what = format!("{command:?}").replace(Theirs::PASSWORD, "…");
    // Files, because a full pipe would stop a command that nobody reads from.
    let (output, errors) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    let child = command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(errors.try_clone().unwrap())
        .spawn();
    let status = child.ok().and_then(|child| wait_until(child, Instant::now() + limit));
    Outcome { status, output: text(output), errors: text(errors), what }
}

fn wait_until(mut child: Child, deadline: Instant) -> Option<i32> {
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        sleep(Duration::from_millis(50));
    }
}

fn text(mut file: File) -> String {
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text.trim_end().to_owned()
}

#[track_caller]
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + SETTLED;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited {SETTLED:?} for {what}");
        sleep(Duration::from_millis(500));
    }
}

/// A port that was free a moment ago; another process may still take it first.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The whole answer, with its head; empty when nobody answers. HTTP/1.0, so that the body comes in one piece.
fn get(port: u16, path: &str) -> String {
    let mut answer = Vec::new();
    let asked = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).and_then(|mut stream| {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        stream.read_to_end(&mut answer)
    });
    if asked.is_err() {
        answer.clear();
    }
    String::from_utf8_lossy(&answer).into_owned()
}
