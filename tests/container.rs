//! What is seen from outside, by SQL alone, of a PostgreSQL in a container with limits.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says what went wrong by panicking")]

use std::process::Command;
use std::time::{Duration, Instant};

use pgpilot::apply::setup;
use pgpilot::client::Target;
use pgpilot::client::postgres::{Lane, Session};
use pgpilot::collect::facts::{Inputs, facts};
use pgpilot::model::facts::{Declared, Facts, Origin, Ours};
use pgpilot::model::units::Bytes;

mod support;

use support::pg::skip;
use support::sql;

const IMAGE: &str = "timescale/timescaledb:2.22.1-pg17";

/// A container, gone when dropped.
struct Container {
    id: String,
}

impl Container {
    /// None, said loudly, where there is no engine or no image.
    fn start() -> Option<Self> {
        let limits = ["--memory", "512m", "--cpus", "1.5", "--shm-size", "64m"];
        let rest = ["-e", "POSTGRES_HOST_AUTH_METHOD=trust", "-p", "127.0.0.1::5432", IMAGE];
        if docker(&["image", "inspect", IMAGE]).is_err() {
            skip(&format!("limits of a container: no Docker engine, or no image {IMAGE}"));
            return None;
        }
        let id = docker(&[&["run", "-d", "--pull", "never"], &limits[..], &rest[..]].concat()).unwrap();
        Some(Self { id })
    }

    fn port(&self) -> String {
        let address = docker(&["port", &self.id, "5432/tcp"]).unwrap();
        address.lines().next().and_then(|line| line.rsplit(':').next()).unwrap().to_owned()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(docker(&["rm", "-f", "-v", &self.id]));
    }
}

fn docker(args: &[&str]) -> Result<String, String> {
    let out = Command::new("docker").args(args).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) }
}

fn target(role: &str, port: &str) -> Target {
    sql::target(&format!("postgresql://{role}@127.0.0.1:{port}/postgres?sslmode=disable"))
}

/// The image starts its server twice; the first one does not listen on the network.
async fn connect(target: &Target) -> Session {
    let lane = Lane {
        application_name: "pgpilot test".to_owned(),
        database: None,
        read_only: false,
        statement_timeout: Duration::from_secs(5),
    };
    let since = Instant::now();
    loop {
        match target.connect(&lane).await {
            Ok(session) => return session,
            Err(error) => assert!(since.elapsed() < Duration::from_secs(90), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn look(target: &Target, session: &Session) -> Facts {
    facts(Inputs {
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
        declared: Declared::default(),
        data_dir: None,
        ours: Ours::default(),
        names: &["work_mem", "shared_preload_libraries"],
        target,
        session: Ok(session),
    })
    .await
}

#[tokio::test(flavor = "current_thread")]
async fn the_limits_of_a_container_are_seen_from_outside() {
    let Some(container) = Container::start() else { return };
    let port = container.port();
    let admin_target = target("postgres", &port);
    let admin = connect(&admin_target).await;
    let wanted = setup::Wanted { role: "pgpilot", password: None, names: &["work_mem"], remove: false };
    setup::run(&admin, &wanted).await.unwrap();
    for role in ["postgres", "pgpilot"] {
        let target = target(role, &port);
        let facts = look(&target, &connect(&target).await).await;
        let limits = facts.limits.get().unwrap_or_else(|| panic!("{role}: {:?}", facts.limits));
        assert_eq!((limits.memory, limits.cpus), (Some(Bytes::mib(512)), Some(1.5)), "{role}");
        assert_eq!(limits.from, Origin::Postgres, "{role}");
        assert_eq!(facts.shm.get(), Some(&Bytes::mib(64)), "{role}");
        let storage = facts.storage.get().unwrap_or_else(|| panic!("{role}: {:?}", facts.storage));
        assert_ne!(storage.filesystem, "overlay", "{role}: the image has a volume");
        let server = facts.postgres.get().unwrap();
        assert!(server.extensions["timescaledb"].available, "{role}");
        if server.extensions["timescaledb"].installed.is_some() {
            assert!(server.timescale.is_some(), "{role}");
        }
        // An engine in a virtual machine has another kernel than this test.
        let desktop = docker(&["info", "-f", "{{.OperatingSystem}}"]).unwrap().contains("Desktop");
        assert!(desktop || storage.free.is_some(), "{role}: {}", storage.how);
    }
}
