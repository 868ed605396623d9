//! What goes wrong in practice: a sentence that says what, where and what to do, and no setting left half-way.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::net::TcpListener;

use support::cli::{self, Person, row, says};
use support::pg::Server;
use support::sql;

#[test]
fn a_wrong_password_is_named_and_not_repeated() {
    let Some(server) = Server::start(17, &[]) else { return };
    sql::run(&server.superuser_url(), &["CREATE ROLE locked LOGIN SUPERUSER PASSWORD 'right'"]);
    let hba = server.data().join("pg_hba.conf");
    let rules = std::fs::read_to_string(&hba).unwrap();
    std::fs::write(&hba, format!("host all locked all scram-sha-256\n{rules}")).unwrap();
    sql::run(&server.superuser_url(), &["SELECT pg_reload_conf()"]);
    let person = Person::new(server.url("locked:hunter2"));
    for verb in [&["plan"][..], &["apply", "--yes"], &["facts"], &["doctor"]] {
        let ran = person.run(verb);
        says(&ran, 1, &["password", "locked@127.0.0.1"]);
        assert!(!ran.err.contains("hunter2") && !ran.out.contains("hunter2"), "{ran:?}");
    }
    let serving = person.serve();
    serving.wait_for("/readyz", |status, body| status == 503 && body.contains("password"));
    let metrics = serving.wait_for("/metrics", |status, body| {
        status == 200 && body.contains("pgpilot_problem{problem=\"postgres\"} 1")
    });
    assert!(metrics.contains("pg_up 0"), "{metrics}");
    assert!(metrics.contains("pg_up_state{state=\"auth_failed\"} 1"), "{metrics}");
}

#[test]
fn an_unknown_host_and_a_closed_port_are_named() {
    let person = Person::new("postgresql://postgres@no-such-host.invalid/postgres".to_owned());
    says(&person.run(&["plan"]), 1, &["no-such-host.invalid", "check host and port"]);
    let port = cli::free_port();
    let person = Person::new(format!("postgresql://postgres@127.0.0.1:{port}/postgres"));
    says(&person.run(&["apply", "--yes"]), 1, &[&port.to_string(), "check host and port"]);
}

#[test]
fn a_host_that_never_answers_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgresql://postgres@{}/postgres", silent.local_addr().unwrap());
    let person = Person::new(url).with("PGPILOT_CONNECT_TIMEOUT", "300ms");
    says(&person.run(&["plan"]), 1, &["no answer within 300ms"]);
}

#[test]
fn every_bad_option_is_reported_at_once() {
    let person = Person::new("postgresql://a:hunter2@db/x?sslmode=perhaps".to_owned())
        .with("PGPILOT_MEMORY", "8")
        .with("PGPILOT_MODE", "yolo")
        .with("PGPILOT_PROFILE", "custom");
    let ran = person.run(&["plan"]);
    says(
        &ran,
        78,
        &[
            "PGPILOT_MEMORY: `8`",
            "PGPILOT_MEMORY=8GB",
            "PGPILOT_MODE: `yolo`",
            "PGPILOT_PROFILE_FILE",
            "sslmode",
        ],
    );
    assert!(!ran.err.contains("hunter2"), "{}", ran.err);
}

#[test]
fn serve_with_bad_options_stays_up_and_says_so() {
    let person = Person::new("postgresql://a@db/x".to_owned())
        .with("PGPILOT_MEMORY", "8")
        .with("PGPILOT_START_DEADLINE", "1s");
    let serving = person.serve();
    serving.wait_for("/metrics", |status, body| {
        status == 200 && body.contains("pgpilot_problem{problem=\"bad_options\"} 1")
    });
    serving.wait_for("/readyz", |status, body| status == 503 && body.contains("PGPILOT_MEMORY"));
    serving.wait_for("/healthz", |status, _| status == 200);
}

#[test]
fn a_mistyped_option_is_answered_with_the_right_one() {
    let ran = Person::new("postgresql://a@db/x".to_owned()).with("PGPILOT_MOED", "apply").run(&["config"]);
    says(&ran, 0, &["PGPILOT_MOED", "PGPILOT_MODE"]);
}

#[test]
fn a_broken_custom_profile_is_refused_with_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile.toml");
    std::fs::write(
        &file,
        "[settings]\nwork_mem = \"32MB\"\nwrok_mem = \"32MB\"\nshared_buffers = \"many\"\n",
    )
    .unwrap();
    let person = Person::new("postgresql://a@db/x".to_owned())
        .with("PGPILOT_PROFILE", "custom")
        .with("PGPILOT_PROFILE_FILE", file.to_str().unwrap());
    says(&person.run(&["plan"]), 78, &["wrok_mem", "3", "shared_buffers", "4", "many"]);
    let missing = person.with("PGPILOT_PROFILE_FILE", "/nowhere/profile.toml");
    says(&missing.run(&["plan"]), 78, &["/nowhere/profile.toml"]);
}

/// `pgpilot_plan_blocked{reason="no_right"} 37`: the line is always there, so the number tells.
fn blocked_for_a_right(line: &str) -> bool {
    let rest = line.strip_prefix("pgpilot_plan_blocked{reason=\"no_right\"} ");
    rest.is_some_and(|count| count.parse::<f64>().unwrap() > 0.0)
}

#[test]
fn a_role_with_too_few_rights_observes_and_is_told_the_grants() {
    let Some(server) = Server::start(17, &[]) else { return };
    let before = sql::settings(&server.superuser_url());
    let person = Person::new(server.url("monitor")).with("PGPILOT_MODE", "apply");
    let plan = person.run(&["plan"]).good();
    assert!(plan.out.contains("pgpilot setup"), "{}", plan.out);
    assert_eq!(person.run(&["apply", "--yes"]).code, 0, "nothing can be set, so there is nothing to do");
    let doctor = person.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "it can watch and plan: {doctor:?}");
    assert!(doctor.out.contains("GRANT ALTER SYSTEM ON PARAMETER \"shared_buffers\""), "{}", doctor.out);
    assert!(doctor.out.contains("run `pgpilot setup` as a superuser"), "{}", doctor.out);
    let serving = person.serve();
    serving.wait_for("/metrics", |_, body| body.contains("pg_up 1") && body.lines().any(blocked_for_a_right));
    assert_eq!(sql::settings(&server.superuser_url()), before);
}

#[test]
fn a_second_pgpilot_on_one_server_writes_nothing_and_says_so() {
    let Some(server) = Server::start(17, &[]) else { return };
    let first = Person::new(server.superuser_url()).with("PGPILOT_MODE", "apply");
    let serving = first.serve();
    serving.wait_for("/readyz", |status, _| status == 200);
    let second = Person::new(server.superuser_url()).with("PGPILOT_MODE", "apply");
    let other = second.serve();
    other.wait_for("/readyz", |status, body| {
        status == 503 && body.contains("another pgpilot looks after this server")
    });
    other.wait_for("/metrics", |status, body| {
        status == 200 && body.contains("pgpilot_problem{problem=\"other_pgpilot\"} 1")
    });
    // Something that a plan would want to change, were it allowed to.
    let stranger =
        Person::new(server.superuser_url()).with("PGPILOT_MEMORY", "16GB").with("PGPILOT_TAKE_OVER", "all");
    says(
        &stranger.run(&["apply", "--yes"]),
        3,
        &["another pgpilot looks after this server", "one pgpilot per PostgreSQL server"],
    );
    assert_eq!(
        first.run(&["rollback", "--last", "--yes"]).code,
        0,
        "a verb with the first one's journal may"
    );
}

#[test]
fn a_state_folder_that_cannot_be_written_is_said_and_nothing_is_written() {
    let Some(server) = Server::start(17, &[]) else { return };
    let before = sql::settings(&server.superuser_url());
    let person = Person::new(server.superuser_url())
        .with("PGPILOT_MODE", "apply")
        .with("PGPILOT_STATE_DIR", "/proc/nowhere");
    let environment: Vec<_> = person
        .environment()
        .into_iter()
        .filter(|(name, value)| *name != "PGPILOT_STATE_DIR" || *value == "/proc/nowhere")
        .collect();
    says(&cli::run(&environment, &["apply", "--yes"]), 3, &["/proc/nowhere", "PGPILOT_STATE_DIR"]);
    assert_eq!(sql::settings(&server.superuser_url()), before);
}

#[test]
fn a_server_whose_files_have_an_error_is_not_touched() {
    let Some(server) = Server::start(17, &[]) else { return };
    let conf = server.data().join("postgresql.conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    std::fs::write(&conf, format!("{text}\nnot_a_setting = 1\n")).unwrap();
    let person = Person::new(server.superuser_url());
    says(&person.run(&["apply", "--yes"]), 3, &["refuse to reload", "not_a_setting"]);
    let entries =
        sql::run(&person.url, &["SELECT name FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'"]);
    assert!(entries.is_empty());
}

/// Every row that would be set is blocked, applying does nothing, and metrics go on.
fn only_observed(server: &Server, block: &str, words: &str) {
    let before = sql::settings(&server.superuser_url());
    let person = Person::new(server.superuser_url()).with("PGPILOT_MODE", "apply");
    let plan = person.run(&["plan", "--json"]).good().json();
    let verdicts: Vec<_> =
        plan["rows"].as_array().unwrap().iter().map(|row| row["verdict"].to_string()).collect();
    assert!(verdicts.iter().any(|verdict| verdict.contains(block)), "{verdicts:?}");
    assert!(verdicts.iter().all(|verdict| !verdict.contains("set")), "{verdicts:?}");
    assert!(row(&plan, "max_wal_size")["why"].as_str().unwrap().contains(words), "{plan}");
    assert_eq!(person.run(&["apply", "--yes", "--include-restart"]).good().code, 0);
    let serving = person.serve();
    serving.wait_for("/metrics", |_, body| {
        body.contains("pg_up 1") && body.contains("pgpilot_plan_rows{verdict=\"block\"}")
    });
    serving.wait_for("/readyz", |status, _| status == 200);
    assert_eq!(sql::settings(&server.superuser_url()), before);
}

#[test]
fn a_replica_is_observed_and_not_touched() {
    let Some(mut server) = Server::start(17, &[]) else { return };
    server.stop();
    std::fs::write(server.data().join("standby.signal"), "").unwrap();
    server.boot();
    assert_eq!(
        sql::run(&server.superuser_url(), &["SELECT pg_is_in_recovery() AS standby"])[0].text("standby"),
        "t"
    );
    only_observed(&server, "read_only", "replica");
}

#[test]
fn a_server_that_somebody_else_manages_is_observed_and_not_touched() {
    let Some(server) = Server::start(17, &["allow_alter_system = off"]) else { return };
    only_observed(&server, "read_only", "allow_alter_system");
}

#[test]
fn a_value_on_the_command_line_is_left_and_its_line_is_named() {
    let Some(mut server) = Server::start(17, &[]) else { return };
    server.arguments = ["-c", "work_mem=7MB", "-c", "jit=off"].map(ToOwned::to_owned).into();
    server.restart();
    let person = Person::new(server.superuser_url());
    let plan = person.run(&["plan", "--json"]).good().json();
    assert_eq!(row(&plan, "work_mem")["verdict"]["block"], "command_line");
    assert!(row(&plan, "work_mem")["why"].as_str().unwrap().contains("-c work_mem=7MB"), "{plan}");
    assert_eq!(row(&plan, "jit")["verdict"], "keep", "what is good on the command line is good");
    person.run(&["apply", "--yes"]).good();
    assert_eq!(sql::show(&person.url, "work_mem"), "7MB");
}

#[test]
fn a_value_of_a_role_is_shown_and_left() {
    let Some(server) = Server::start(17, &[]) else { return };
    let url = server.superuser_url();
    sql::run(&url, &["CREATE ROLE indexer LOGIN", "ALTER ROLE indexer SET work_mem = '6MB'"]);
    let plan = Person::new(url).run(&["plan", "--json"]).good().json();
    assert_eq!(row(&plan, "work_mem")["verdict"]["block"], "override", "{plan}");
    assert!(row(&plan, "work_mem")["why"].as_str().unwrap().contains("role indexer has 6MB"), "{plan}");
}

#[test]
fn options_that_would_silence_or_miss_are_refused() {
    let url = "postgresql://a@db/x".to_owned();
    for (name, value, word) in [
        ("PGPILOT_LOG", "verbose", "no level"),
        ("PGPILOT_LOG", "info,,=", "no level"),
        ("PGPILOT_STATEMENT_TIMEOUT", "100d", "longer than a day"),
        ("PGPILOT_TAKE_OVER", "wrok_mem", "no setting that pgpilot moves"),
    ] {
        let ran = Person::new(url.clone()).with(name, value).run(&["plan"]);
        says(&ran, 78, &[name, value, word]);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.toml");
    std::fs::write(&file, "work_mem = \"64MB\"\n".repeat(10_000)).unwrap();
    let person = Person::new(url)
        .with("PGPILOT_PROFILE", "custom")
        .with("PGPILOT_PROFILE_FILE", file.to_str().unwrap());
    says(&person.run(&["plan"]), 78, &["large.toml", "64 kB"]);
}
