//! pgpilot in the place of postgres_exporter: its variables and its flags, by the real binary.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use support::cli::{Logged, Ran, free_port, run, says};

fn row<'a>(ran: &'a Ran, name: &str) -> &'a str {
    ran.out.lines().find(|line| line.starts_with(name)).unwrap_or_default()
}

#[test]
fn their_variables_show_in_config_with_their_origin_and_without_their_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (uri, pass) = (write("uri", "filed:5432/db\n"), write("pass", "hunter2/@:%\n"));
    let name = ("DATA_SOURCE_NAME", "postgresql://a:hunter2@named/x?sslmode=disable");
    let plain = ("DATA_SOURCE_URI", "plain/db");
    let rows: &[(&[(&str, &str)], &str)] = &[
        (&[name], "DATA_SOURCE_NAME"),
        (&[name, plain, ("DATA_SOURCE_URI_FILE", &uri)], "DATA_SOURCE_NAME"),
        (&[plain, ("DATA_SOURCE_PASS", "hunter2")], "DATA_SOURCE_URI"),
        (&[plain, ("DATA_SOURCE_URI_FILE", &uri), ("DATA_SOURCE_PASS_FILE", &pass)], "DATA_SOURCE_URI_FILE"),
        (&[("PGPILOT_DATABASE_URL", "postgresql://hunter2@ours/x"), name], "environment"),
    ];
    for (environment, origin) in rows {
        let ran = run(environment, &["config"]).good();
        let row = row(&ran, "PGPILOT_DATABASE_URL");
        assert!(row.contains("********") && row.trim_end().ends_with(origin), "{row}");
        assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn what_cannot_be_used_of_their_variables_is_named_as_they_name_it() {
    let rows = [
        (("DATA_SOURCE_NAME", "hunter2"), "DATA_SOURCE_NAME: is no connection string"),
        (("DATA_SOURCE_NAME", "postgres://a:hunter2@b/c?sslmode=maybe"), "DATA_SOURCE_NAME: sslmode"),
        (("DATA_SOURCE_URI", "postgres://a:hunter2@b/c"), "DATA_SOURCE_URI: begins at the host"),
        (("DATA_SOURCE_URI_FILE", "/nowhere/uri"), "DATA_SOURCE_URI_FILE: reading /nowhere/uri"),
    ];
    for (variable, want) in rows {
        let ran = run(&[variable], &["config"]);
        says(&ran, 78, &[want]);
        assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
    }
}

#[test]
fn their_flags_without_a_verb_are_served() {
    let (one, two) = (free_port(), free_port());
    let (first, second) = (format!("--web.listen-address=127.0.0.1:{one}"), format!("localhost:{two}"));
    let nowhere = ("DATA_SOURCE_NAME", "postgresql://a:hunter2@127.0.0.1:1/x?sslmode=disable,host=other");
    let flags = [
        &first,
        "--web.listen-address",
        &second,
        "--web.telemetry-path=/x",
        "--log.level=info",
        "--metric-prefix=mine",
        "--no-collector.stat_bgwriter",
        "--auto-discover-databases",
        "--constantLabels=a=b",
    ];
    let state = tempfile::tempdir().unwrap();
    let serving = Logged::start(&[nowhere, ("PGPILOT_STATE_DIR", state.path().to_str().unwrap())], &flags);
    for port in [one, two] {
        let (status, body) = serving.get(port, "/x");
        assert!(status == 200 && body.contains("\npg_up 0\n"), "{port}: {status} {body}");
        assert_eq!(serving.get(port, "/metrics").0, 404);
    }
    let log = serving.log();
    for said in
        ["--metric-prefix: names of metrics", "--constantLabels: labels are set", "only the first is watched"]
    {
        assert!(log.contains(said), "{said} in: {log}");
    }
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn a_flag_that_cannot_be_had_is_refused_with_a_sentence() {
    let rows: &[(&[&str], &str)] = &[
        (&["--web.systemd-socket"], "--web.systemd-socket: sockets of systemd are not taken over"),
        (&["serve", "--nonsense"], "--nonsense: there is no such flag; `pgpilot serve --help` lists them"),
        (&["--nonsense=1", "--dumpmaps"], "--dumpmaps: there are no maps"),
        (&["serve", "hunter2"], "a word on the command line is no flag"),
    ];
    for (arguments, want) in rows {
        let ran = run(&[], arguments);
        says(&ran, 64, &[want]);
        assert!(!ran.err.contains("hunter2"), "{ran:?}");
    }
    let help = run(&[], &["serve", "--help"]).good();
    assert!(
        help.out.contains("--web.listen-address=VALUE\n      the same as PGPILOT_LISTEN"),
        "{}",
        help.out
    );
    assert!(run(&[], &["--version"]).good().out.starts_with("pgpilot "));
}
