//! The whole way on a real server of every major: plan, apply, restart, nothing left to do, roll back, as before.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use support::cli::Person;
use support::pg::{MAJORS, Server};
use support::sql;
use support::way::{wanted, whole_way};

#[test]
fn as_superuser_on_every_major() {
    for major in MAJORS {
        let Some(mut server) = Server::start(*major, &[]) else { continue };
        let url = server.superuser_url();
        whole_way(&url, &url, || server.restart());
    }
}

#[test]
fn as_the_role_that_setup_makes() {
    for major in MAJORS {
        let Some(mut server) = Server::start(*major, &[]) else { continue };
        Person::new(server.superuser_url()).run(&["setup", "--yes"]).good();
        let (url, admin) = (server.url("pgpilot"), server.superuser_url());
        whole_way(&url, &admin, || server.restart());
    }
}

#[test]
fn a_value_in_postgresql_conf_is_overridden_and_given_back() {
    let Some(server) = Server::start(17, &["max_wal_size = 2GB", "work_mem = 5MB"]) else { return };
    let person = Person::new(server.superuser_url());
    let before = sql::settings(&person.url);
    person.run(&["apply", "--yes"]).good();
    assert_ne!(sql::show(&person.url, "max_wal_size"), "2GB");
    person.run(&["rollback", "--last", "--yes"]).good();
    assert_eq!(sql::settings(&person.url), before);
}

#[test]
fn what_is_set_by_hand_is_shown_and_left_unless_it_is_taken_over() {
    let Some(server) = Server::start(17, &[]) else { return };
    let person = Person::new(server.superuser_url());
    sql::run(&person.url, &["ALTER SYSTEM SET work_mem = '5MB'", "SELECT pg_reload_conf()"]);
    let plan = person.run(&["plan", "--json"]).good().json();
    let row = plan["rows"].as_array().unwrap().iter().find(|row| row["name"] == "work_mem").unwrap().clone();
    assert_eq!(row["verdict"]["block"], "by_hand", "{row}");
    person.run(&["apply", "--yes"]).good();
    assert_eq!(sql::show(&person.url, "work_mem"), "5MB");
    let person = person.with("PGPILOT_TAKE_OVER", "work_mem");
    person.run(&["apply", "--yes"]).good();
    assert_ne!(sql::show(&person.url, "work_mem"), "5MB");
    person.run(&["rollback", "--last", "--yes"]).good();
    assert_eq!(sql::show(&person.url, "work_mem"), "5MB", "a rollback gives the person's value back");
}

#[test]
fn only_moves_what_is_named_and_tries_again_what_was_taken_back() {
    let Some(server) = Server::start(17, &[]) else { return };
    let person = Person::new(server.superuser_url());
    let report = person.run(&["apply", "--yes", "--only", "jit", "--json"]).good().json();
    assert_eq!(wanted(&report), [("jit".to_owned(), "off".to_owned())]);
    person.run(&["rollback", "1", "--yes"]).good();
    assert_eq!(sql::show(&person.url, "jit"), "on");
    person.run(&["apply", "--yes", "--only", "jit"]).good();
    assert_eq!(sql::show(&person.url, "jit"), "off");
    let unknown = person.run(&["apply", "--yes", "--only", "fsync"]);
    assert_eq!(unknown.code, 3, "{unknown:?}");
    assert!(unknown.err.contains("fsync") && unknown.err.contains("pgpilot plan"), "{}", unknown.err);
}

#[test]
fn a_dry_run_and_a_missing_yes_write_nothing() {
    let Some(server) = Server::start(17, &[]) else { return };
    let person = Person::new(server.superuser_url());
    let before = sql::settings(&person.url);
    assert!(person.run(&["apply", "--dry-run", "--include-restart"]).good().out.contains("shared_buffers"));
    let refused = person.run(&["apply"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.err.contains("--yes"), "{}", refused.err);
    let observer = person.with("PGPILOT_MODE", "observe");
    assert_eq!(observer.run(&["apply", "--yes"]).code, 3);
    assert_eq!(sql::settings(&observer.url), before);
}

#[test]
fn facts_can_be_replayed_without_the_server() {
    let Some(server) = Server::start(17, &[]) else { return };
    let person = Person::new(server.superuser_url());
    let facts = person.run(&["facts", "--json"]).good().out;
    let file = person.state.path().join("facts.json");
    std::fs::write(&file, facts).unwrap();
    let live = person.run(&["plan", "--json"]).good().json();
    drop(server);
    let replayed = person.run(&["plan", "--json", "--facts", file.to_str().unwrap()]).good().json();
    assert_eq!(replayed["rows"], live["rows"]);
}

#[test]
fn serve_in_mode_apply_writes_what_needs_no_restart_and_nothing_else() {
    let Some(mut server) = Server::start(17, &[]) else { return };
    let person = Person::new(server.superuser_url()).with("PGPILOT_MODE", "apply");
    let serving = person.serve();
    serving.wait_for("/readyz", |status, _| status == 200);
    assert_eq!(sql::show(&person.url, "jit"), "off");
    assert_eq!(sql::show(&person.url, "shared_buffers"), "128MB");
    let auto_conf = sql::run(
        &person.url,
        &["SELECT name FROM pg_file_settings WHERE name = 'shared_buffers' AND sourcefile LIKE '%auto.conf'"],
    );
    assert!(auto_conf.is_empty(), "serve writes no restart-only value");
    person.run(&["apply", "--yes", "--include-restart"]).good();
    server.restart();
    serving.wait_for("/metrics", |_, body| body.contains("pgpilot_changes{phase=\"kept\"} 2"));
    assert_ne!(sql::show(&person.url, "shared_buffers"), "128MB");
    person.run(&["rollback", "--last", "--yes"]).good();
    assert!(serving.get("/plan").is_some());
}
