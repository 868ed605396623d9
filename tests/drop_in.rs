//! pgpilot in the place of postgres_exporter: its variables, by the real binary.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use support::cli::{Ran, run, says};

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
