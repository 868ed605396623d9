//! `serve` and `healthcheck` as they are started in a container, with a web config and without.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use support::certs::{Client, authority, signed, write_pair};
use support::cli::{Logged, command, free_port, get, run, says};

#[test]
fn every_address_of_the_list_is_listened_on() {
    let (one, two) = (free_port(), free_port());
    let listen = format!("127.0.0.1:{one}, localhost:{two}");
    let serving = Logged::start(&[("PGPILOT_LISTEN", &listen), ("PGPILOT_TELEMETRY_PATH", "/x")], &["serve"]);
    for port in [one, two] {
        let (status, body) = serving.get(port, "/x");
        assert!(status == 200 && body.contains("\npg_up 0\n"), "{port}: {status} {body}");
    }
    let taken = format!("127.0.0.1:{},127.0.0.1:{one}", free_port());
    says(&run(&[("PGPILOT_LISTEN", &taken)], &["serve"]), 1, &[&format!("listening on 127.0.0.1:{one}: ")]);
}

#[test]
fn a_bad_web_config_is_no_open_listener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yml");
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let rows = [
        (
            Some("basic_auth_users: {anna: hunter2}\n"),
            "web.yml: basic_auth_users.anna: expected a bcrypt hash",
        ),
        (Some("tls_server_confg: {}\n"), "web.yml: tls_server_confg: there is no such key"),
        (None, "web.yml: reading it: No such file"),
    ];
    for (text, want) in rows {
        drop(std::fs::remove_file(&path));
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let environment = [("PGPILOT_WEB_CONFIG", path.to_str().unwrap()), ("PGPILOT_LISTEN", &listen)];
        let ran = run(&environment, &["serve"]);
        says(&ran, 78, &["PGPILOT_WEB_CONFIG: ", want]);
        assert!(!ran.err.contains("hunter2") && get(port, "/").is_none(), "{ran:?}");
    }
}

#[test]
fn it_goes_on_and_stops_when_nobody_reads_its_log() {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let mut child = command(&[("PGPILOT_LISTEN", &listen)], &["serve"]).spawn().unwrap();
    drop(child.stderr.take());
    while get(port, "/healthz").is_none() {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(50));
    }
    // The shell's own kill: a small system has no other.
    let killed = Command::new("sh").arg("-c").arg(format!("kill {}", child.id())).status().unwrap();
    assert!(killed.success());
    let since = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if since.elapsed() > Duration::from_secs(8) {
            child.kill().unwrap();
            panic!("it did not stop");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn json_lines_are_json() {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let serving = Logged::start(&[("PGPILOT_LISTEN", &listen), ("PGPILOT_LOG_FORMAT", "json")], &["serve"]);
    serving.get(port, "/");
    let log = serving.log();
    assert!(log.lines().count() >= 1);
    for line in log.lines() {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
}

/// `healthcheck` against `serve` with this web config, with and without a deadline that has passed.
#[test]
fn the_health_check_gets_through_whatever_the_listener_asks_for() {
    let clients = authority();
    let tls = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
    let strict =
        format!("{tls}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.crt\n");
    let users = format!("basic_auth_users:\n  anna: {}\n", bcrypt::hash("pw", 4).unwrap());
    for config in [String::new(), users.clone(), tls.to_owned(), format!("{tls}{users}"), strict] {
        let folder = tempfile::tempdir().unwrap();
        let by = authority();
        write_pair(folder.path(), "server", &signed("localhost", &by));
        std::fs::write(folder.path().join("clients.crt"), clients.pem()).unwrap();
        let path = folder.path().join("web.yml");
        std::fs::write(&path, &config).unwrap();
        for (deadline, code) in [("1ms", 0), ("1h", 1)] {
            let listen = format!("127.0.0.1:{}", free_port());
            let environment = [
                ("PGPILOT_WEB_CONFIG", path.to_str().unwrap()),
                ("PGPILOT_LISTEN", &listen),
                ("PGPILOT_START_DEADLINE", deadline),
            ];
            assert_eq!(run(&environment, &["healthcheck"]).code, 1, "{config}: nobody listens yet");
            let serving = Logged::start(&environment, &["serve"]);
            let address = listen.parse().unwrap();
            while TcpStream::connect(listen.as_str()).is_err() {
                std::thread::sleep(Duration::from_millis(50));
            }
            let ran = run(&environment, &["healthcheck"]);
            assert_eq!(ran.code, code, "{config} {deadline}: {ran:?} {}", serving.log());
            if config.contains("RequireAndVerify") {
                let known = Client::trusting(&by).showing(&signed("scraper", &clients));
                assert_eq!(known.get(address, "/metrics", &[]).unwrap().status, 200);
                // Without the key it can still tell that the listener lives.
                std::fs::rename(folder.path().join("server.key"), folder.path().join("away")).unwrap();
                assert_eq!(run(&environment, &["healthcheck"]).code, 0, "{deadline}");
                std::fs::rename(folder.path().join("away"), folder.path().join("server.key")).unwrap();
            }
        }
    }
}
