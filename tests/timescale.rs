//! TimescaleDB as its image starts it: tuned like any other server, and its preload is kept.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::cli::free_port;
use support::sql;
use support::way::whole_way;

const IMAGE: &str = "timescale/timescaledb:2.22.1-pg17";

/// A first start runs initdb and the image's own scripts.
const UP: Duration = Duration::from_secs(90);

/// A container that is removed, volume and all, when it is dropped.
struct Container {
    name: String,
    port: u16,
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

fn docker(arguments: &[&str]) -> (bool, String) {
    let out = Command::new("docker").args(arguments).stdin(Stdio::null()).output();
    out.map_or((false, String::new()), |out| {
        (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned())
    })
}

impl Container {
    fn start() -> Option<Self> {
        let has = docker(&["image", "inspect", IMAGE]).0
            || (docker(&["info"]).0 && docker(&["pull", "--quiet", IMAGE]).0);
        if !has {
            support::pg::skip(&format!("TimescaleDB: no Docker engine, or no image {IMAGE}"));
            return None;
        }
        let port = free_port();
        let this = Self { name: format!("pgpilot-timescale-{port}"), port };
        let publish = format!("127.0.0.1:{port}:5432");
        let run = [
            "run",
            "--detach",
            "--name",
            &this.name,
            "--publish",
            &publish,
            "--env",
            "POSTGRES_HOST_AUTH_METHOD=trust",
        ];
        let (started, said) = docker(&[&run[..], &["--env", "NO_TS_TUNE=true", IMAGE]].concat());
        assert!(started, "{said}");
        this.wait();
        Some(this)
    }

    fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// Over TCP and for good: the server of initdb listens on its socket only.
    fn wait(&self) {
        let since = Instant::now();
        while !docker(&["exec", &self.name, "pg_isready", "-q", "-h", "127.0.0.1"]).0 {
            assert!(
                since.elapsed() < UP,
                "the container does not answer: {}",
                docker(&["logs", &self.name]).1
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn restart(&self) {
        assert!(docker(&["restart", "--time", "60", &self.name]).0);
        self.wait();
    }
}

#[test]
fn the_whole_way_with_the_preload_kept() {
    let Some(container) = Container::start() else { return };
    let url = container.url();
    sql::run(&url, &["CREATE EXTENSION IF NOT EXISTS timescaledb"]);
    let preloaded = || sql::show(&url, "shared_preload_libraries");
    assert_eq!(preloaded(), "timescaledb");
    let mut restarts = 0;
    whole_way(&url, &url, || {
        container.restart();
        restarts += 1;
        if restarts == 1 {
            assert_eq!(preloaded(), "timescaledb, pg_stat_statements", "what was there comes first");
            sql::run(
                &url,
                &[
                    "CREATE TABLE public.blocks (at timestamptz NOT NULL, hash bytea)",
                    "SELECT public.create_hypertable('public.blocks', 'at')",
                    "INSERT INTO public.blocks SELECT now() - n * interval '1 day', '\\x00' FROM generate_series(1, 30) n",
                    "DROP TABLE public.blocks",
                ],
            );
        }
    });
    assert_eq!((preloaded(), restarts), ("timescaledb".to_owned(), 2));
}
