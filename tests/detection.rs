//! Detection and setting up against real servers of every major.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test says what went wrong by panicking")]

use std::time::Duration;

use pgpilot::apply::postgres::PgHands;
use pgpilot::apply::{Hands, setup, wrapper};
use pgpilot::client::Target;
use pgpilot::client::postgres::{Lane, Session};
use pgpilot::collect::facts::{Inputs, facts};
use pgpilot::config::values::Secret;
use pgpilot::lifecycle::Event;
use pgpilot::model::change::{State, Subject};
use pgpilot::model::doctor;
use pgpilot::model::error::chain;
use pgpilot::model::facts::{Declared, Facts, Origin, Ours, Seen};
use pgpilot::model::postgres::Postgres;

mod support;

use support::pg::{MAJORS, Server};
use support::sql::target;

const NAMES: &[&str] = &[
    "shared_buffers",
    "work_mem",
    "max_wal_size",
    "wal_compression",
    "shared_preload_libraries",
    "pg_stat_statements.max",
    "io_workers",
];

fn lane() -> Lane {
    Lane {
        application_name: "pgpilot test".to_owned(),
        database: None,
        read_only: false,
        statement_timeout: Duration::from_secs(5),
    }
}

async fn connect(target: &Target) -> Session {
    target.connect(&lane()).await.unwrap()
}

async fn look(target: &Target, session: &Session) -> Facts {
    facts(Inputs {
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
        declared: Declared::default(),
        data_dir: None,
        ours: Ours::default(),
        names: NAMES,
        target,
        session: Ok(session),
    })
    .await
}

fn role(name: &str, remove: bool) -> setup::Wanted<'_> {
    setup::Wanted { role: name, password: None, names: NAMES, remove }
}

fn server(facts: &Facts) -> &Postgres {
    facts.postgres.get().unwrap_or_else(|| panic!("{:?}", facts.postgres.reason()))
}

#[tokio::test(flavor = "current_thread")]
async fn a_superuser_sees_everything() {
    for major in MAJORS {
        let Some(pg) = Server::start(*major, &["work_mem = 8MB"]) else { continue };
        let target = target(&pg.superuser_url());
        let session = connect(&target).await;
        for sql in [
            "ALTER SYSTEM SET max_wal_size = '2GB'",
            "ALTER SYSTEM SET archive_command = 'curl -u me:hunter2 http://x'",
            "ALTER ROLE monitor SET work_mem = '5MB'",
        ] {
            session.run(sql, sql).await.unwrap();
        }
        let other = connect(&self::target(&pg.url("monitor"))).await;
        other.run("naming the session", "SET application_name = 'indexer'").await.unwrap();
        let facts = look(&target, &session).await;
        let found = server(&facts);
        assert_eq!(found.major(), *major);
        assert!(found.role.superuser && found.role.reads_host && found.role.may_alter("work_mem"));
        assert_eq!(found.entry("max_wal_size"), Some("2GB"));
        assert_eq!(found.entry("archive_command"), Some("(not shown)"));
        assert_eq!(found.settings["work_mem"].setting, "8192");
        assert_eq!(found.settings.contains_key("io_workers"), *major >= 18);
        assert_eq!(found.overrides.len(), 1);
        assert_eq!(found.data_directory, pg.data().display().to_string());
        assert_eq!((found.sessions, found.beside[0].name.as_str()), (1, "indexer"));
        assert!(
            found.started_at > 1e9 && found.system_identifier.len() > 15 && found.databases == 2,
            "{found:?}"
        );
        assert!(found.data_size.get().is_some_and(|size| size.0 > 10 << 20));
        assert_eq!(found.managed, None);
        let host = facts.host.get().unwrap();
        assert_eq!(host.from, Origin::Postgres);
        assert_eq!(
            facts.limits.get().map(|limits| limits.from),
            Some(Origin::Postgres),
            "{:?}",
            facts.limits
        );
        let storage = facts.storage.get().unwrap();
        assert!(storage.free.is_some(), "the same machine: {}", storage.how);
        assert_eq!(serde_json::from_str::<Facts>(&serde_json::to_string(&facts).unwrap()).unwrap(), facts);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn the_role_of_setup_can_do_what_it_needs_and_no_more() {
    for major in MAJORS {
        let Some(pg) = Server::start(*major, &[]) else { continue };
        let admin = connect(&target(&pg.superuser_url())).await;
        let secret = Secret::new("hunter2");
        let wanted = setup::Wanted { role: "pgpilot", password: Some(&secret), names: NAMES, remove: false };
        let first = setup::run(&admin, &wanted).await.unwrap();
        let second = setup::run(&admin, &wanted).await.unwrap();
        assert_eq!(first, second, "running it twice");
        admin.run("what --print shows", &setup::script(&wanted, *major)).await.unwrap_or_else(|error| {
            panic!("{major}: {}", chain(&error));
        });
        assert_eq!(first.left_out, [], "{major}");
        let target = target(&pg.url("pgpilot"));
        let session = connect(&target).await;
        let facts = look(&target, &session).await;
        let found = server(&facts);
        assert!(!found.role.superuser && found.role.monitors && found.role.may_reload, "{:?}", found.role);
        assert!(found.role.sees_file_settings && found.role.reads_host, "{:?}", found.role);
        assert!(found.role.may_alter("work_mem") && !found.role.may_alter("shared_preload_libraries"));
        assert_eq!(facts.host.get().map(|host| host.from), Some(Origin::Postgres), "{:?}", facts.host);
        assert!(facts.limits.get().is_some() && facts.shm.get().is_some() && facts.storage.get().is_some());
        alter(&target, *major).await;
        refusals(&session).await;
        let away = setup::Wanted { remove: true, ..wanted };
        let removed = setup::run(&admin, &away).await.unwrap();
        assert_eq!(removed, setup::run(&admin, &away).await.unwrap(), "removing it twice");
        let left = admin
            .row(
                "looking",
                "SELECT (SELECT count(*) FROM pg_roles WHERE rolname = 'pgpilot') + \
            (SELECT count(*) FROM pg_namespace WHERE nspname = 'pgpilot') + \
            (SELECT count(*) FROM pg_extension WHERE extname = 'dblink') AS left",
            )
            .await
            .unwrap();
        assert_eq!(left.number("left"), Some(0.0));
    }
}

/// What the role sets is in force after a reload, and a reset takes it back.
async fn alter(target: &Target, major: u32) {
    let mut hands = PgHands {
        session: connect(target).await,
        target,
        lane: lane(),
        patience: Duration::from_secs(1),
        wrapped: None,
        rights: vec![],
    };
    for (value, want) in [(Some("12MB"), "12288"), (None, "4096")] {
        let state = State::Setting(value.map(ToOwned::to_owned));
        let said = hands.write(&[(Subject::PgSetting("work_mem".to_owned()), state)]).await.unwrap();
        assert_eq!(said.event, Event::Written, "{major}: {:?}", said.note);
        let session = &hands.session;
        session.run("reloading", "SELECT pg_reload_conf()").await.unwrap();
        let read = "SELECT reset_val FROM pg_settings WHERE name = 'work_mem'";
        let mut found = String::new();
        for _ in 0..100 {
            found = session.row("reading", read).await.unwrap().text("reset_val");
            if found == want {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(found, want, "{major}");
    }
}

async fn refusals(session: &Session) {
    for (why, sql) in [
        ("not on the list", "ALTER SYSTEM SET archive_command TO 'x'".to_owned()),
        ("not on the list", wrapper::call("archive_command", Some("x"))),
        ("two statements in one", wrapper::call("work_mem", Some("1MB'; DROP TABLE x; --"))),
        ("two statements in one", wrapper::call("work_mem; DROP TABLE x", Some("1MB"))),
        ("a value that the server does not take", wrapper::call("work_mem", Some("many"))),
        ("other files", "SELECT pg_read_file('/etc/passwd')".to_owned()),
        (
            "a function of others",
            "CREATE FUNCTION pgpilot.f() RETURNS int LANGUAGE sql AS 'select 1'".to_owned(),
        ),
    ] {
        assert!(session.run(why, &sql).await.is_err(), "{why}: {sql}");
    }
    for name in ["passwd", "device:1:2/../../x", "memory.max/../../../etc", "rotational:../x", ""] {
        let sql = format!("SELECT pgpilot.host_file('{name}') AS text");
        assert_eq!(session.row("reading a file", &sql).await.unwrap().get("text"), None, "{name}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_role_with_too_few_rights_gets_reasons() {
    for major in MAJORS {
        let Some(pg) = Server::start(*major, &[]) else { continue };
        let admin = connect(&target(&pg.superuser_url())).await;
        admin.run("making a role", "CREATE ROLE nobody LOGIN").await.unwrap();
        for role in ["nobody", "monitor"] {
            let target = target(&pg.url(role));
            let session = connect(&target).await;
            let facts = look(&target, &session).await;
            let found = server(&facts);
            assert_eq!(found.role.monitors, role == "monitor");
            assert!(!found.role.may_reload && !found.role.reads_host && found.role.may_set.is_empty());
            assert!(found.auto_conf.reason().unwrap().contains("permission denied"), "{:?}", found.auto_conf);
            assert!(facts.limits.reason().unwrap().contains("pgpilot setup"), "{:?}", facts.limits);
            assert!(facts.shm.reason().is_some() && facts.storage.reason().is_some());
            assert_eq!(
                facts.host.get().map(|host| host.from),
                Some(Origin::Own),
                "on loopback, so it is our machine"
            );
        }
        let session = connect(&target(&pg.url("monitor"))).await;
        let refused = setup::run(&session, &role("pgpilot", false)).await.unwrap_err();
        assert!(refused.to_string().contains("no superuser"), "{refused}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn setup_never_touches_a_superuser_or_drops_a_role_that_it_did_not_make() {
    let Some(pg) = Server::start(15, &[]) else { return };
    let admin = connect(&target(&pg.superuser_url())).await;
    let refused = setup::run(&admin, &role("postgres", false)).await.unwrap_err();
    assert!(chain(&refused).contains("is a superuser"), "{refused}");
    let refused = setup::run(&admin, &role("monitor", false)).await.unwrap_err();
    assert!(chain(&refused).contains("was not made by pgpilot setup"), "{refused}");
    setup::run(&admin, &role("monitor", true)).await.unwrap();
    let left =
        admin.row("looking", "SELECT count(*) AS n FROM pg_roles WHERE rolname = 'monitor'").await.unwrap();
    assert_eq!(left.number("n"), Some(1.0));
}

#[tokio::test(flavor = "current_thread")]
async fn a_server_that_is_not_there_is_a_reason_too() {
    let target = target("postgresql://nobody@127.0.0.1:1/postgres?sslmode=disable");
    let error = target.connect(&lane()).await.err().unwrap();
    let facts = facts(Inputs {
        at: "2026-01-01T00:00:00Z".parse().unwrap(),
        declared: Declared::default(),
        data_dir: None,
        ours: Ours::default(),
        names: NAMES,
        target: &target,
        session: Err(&error),
    })
    .await;
    assert!(facts.postgres.reason().unwrap().contains("127.0.0.1:1"), "{:?}", facts.postgres);
    assert!(matches!(facts.limits, Seen::Not(_)) && facts.host.get().is_some());
}

#[tokio::test(flavor = "current_thread")]
async fn the_doctors_sql_is_a_cure() {
    for major in MAJORS {
        let Some(pg) = Server::start(*major, &["shared_preload_libraries = 'pg_stat_statements'"]) else {
            continue;
        };
        let admin = connect(&target(&pg.superuser_url())).await;
        admin.run("making a role", "CREATE ROLE nobody LOGIN").await.unwrap();
        let target = target(&pg.url("nobody"));
        let names = ["work_mem", "max_wal_size", "io_workers"];
        let examine = |facts: Facts| {
            doctor::examine(&doctor::Patient { facts: &facts, names: &names, journal: Ok(()) })
        };
        let ill = examine(look(&target, &connect(&target).await).await);
        for finding in ill.iter().filter(|finding| finding.state != doctor::State::Ok) {
            let remedy = finding.remedy.as_deref().unwrap();
            if ["GRANT", "CREATE"].iter().any(|verb| remedy.starts_with(verb)) {
                admin.run(finding.name, remedy).await.unwrap();
            }
        }
        // What a role without pg_monitor could not see is mended in a second round.
        for finding in examine(look(&target, &connect(&target).await).await) {
            if finding.name == "pg_stat_statements" && finding.state != doctor::State::Ok {
                admin
                    .run(finding.name, &format!("SET search_path = public; {}", finding.remedy.unwrap()))
                    .await
                    .unwrap();
            }
        }
        let left = examine(look(&target, &connect(&target).await).await);
        let mut left: Vec<_> =
            left.iter().filter(|found| found.state != doctor::State::Ok).map(|found| found.name).collect();
        left.retain(|name| !["host_file", "memory", "shm", "storage", "free_space"].contains(name));
        let want: &[&str] = if *major < 15 { &["alter_system"] } else { &[] };
        assert_eq!(left, want, "{major}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn without_a_way_in_by_the_socket_14_gets_the_rest_and_a_reason() {
    let Some(pg) = Server::start(14, &[]) else { return };
    std::fs::write(pg.data().join("pg_hba.conf"), "host all all 127.0.0.1/32 trust\n").unwrap();
    let admin = connect(&target(&pg.superuser_url())).await;
    admin.run("reloading", "SELECT pg_reload_conf()").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let done = setup::run(&admin, &role("pgpilot", false)).await.unwrap();
    assert_eq!(done.left_out.len(), 1);
    assert!(done.left_out[0].1.contains("pg_hba.conf"), "{:?}", done.left_out);
    let target = target(&pg.url("pgpilot"));
    let facts = look(&target, &connect(&target).await).await;
    assert!(server(&facts).role.may_set.is_empty() && server(&facts).role.reads_host);
}
