//! Changes that are interrupted, overtaken or taken back, on a real server: nothing half-way, and a history that is true.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::cli::{self, Person, row, says};
use support::pg::Server;
use support::sql;

/// Passes bytes on until it has seen so many statements that write; then the connection, and every later one, is cut
/// for a while.
fn cutting_proxy(server_port: u16, after: usize, down_for: std::time::Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(AtomicUsize::new(0));
    let cut_at: Arc<std::sync::Mutex<Option<std::time::Instant>>> = Arc::default();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (seen, cut_at) = (seen.clone(), cut_at.clone());
            if cut_at.lock().unwrap().is_some_and(|at| at.elapsed() < down_for) {
                continue;
            }
            std::thread::spawn(move || {
                let server = TcpStream::connect(("127.0.0.1", server_port)).unwrap();
                let (mut from_server, mut to_client) =
                    (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || drop(std::io::copy(&mut from_server, &mut to_client)));
                pass_on(client, server, after, &seen, &cut_at);
            });
        }
    });
    port
}

fn pass_on(
    mut client: TcpStream,
    mut server: TcpStream,
    after: usize,
    seen: &AtomicUsize,
    cut_at: &std::sync::Mutex<Option<std::time::Instant>>,
) {
    let mut buffer = [0u8; 65536];
    while let Ok(read) = client.read(&mut buffer) {
        if read == 0 {
            break;
        }
        let writes = String::from_utf8_lossy(&buffer[..read]).matches("ALTER SYSTEM").count();
        if writes > 0 && seen.fetch_add(writes, Ordering::SeqCst) + writes == after {
            *cut_at.lock().unwrap() = Some(std::time::Instant::now());
            break;
        }
        if server.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    drop(server.shutdown(std::net::Shutdown::Both));
    drop(client.shutdown(std::net::Shutdown::Both));
}

#[test]
fn a_server_that_goes_away_in_the_middle_and_stays_away_leaves_nothing_half_way() {
    let Some(server) = Server::start(17, &[]) else { return };
    let direct = server.superuser_url();
    let before = sql::settings(&direct);
    let port = cutting_proxy(server.port, 5, std::time::Duration::from_secs(60));
    let person = Person::new(format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"));
    let ran = person.run(&["apply", "--yes"]);
    says(&ran, 1, &["change 1 was interrupted while writing", "start pgpilot again"]);
    let written =
        sql::run(&direct, &["SELECT name FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'"]);
    assert_eq!(written.len(), 4, "it was cut before the fifth");
    let again = Person { url: direct.clone(), ..person };
    let settled = again.run(&["apply", "--yes", "--only", "jit"]);
    assert_eq!(settled.code, 0, "{settled:?}");
    assert!(settled.err.contains("change 1 was open and is now reverted"), "{settled:?}");
    again.run(&["rollback", "--last", "--yes"]).good();
    assert_eq!(sql::settings(&direct), before);
}

#[test]
fn a_server_that_comes_back_in_time_is_waited_for() {
    let Some(server) = Server::start(17, &[]) else { return };
    let direct = server.superuser_url();
    let before = sql::settings(&direct);
    let port = cutting_proxy(server.port, 5, std::time::Duration::from_millis(50));
    let person = Person::new(format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"));
    let ran = person.run(&["apply", "--yes"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.out.contains("reverted") && ran.out.contains("interrupted"), "{ran:?}");
    assert_eq!(sql::settings(&direct), before, "what was half written is taken back");
}

#[test]
fn killed_while_writing_it_is_settled_by_the_next_start() {
    let Some(server) = Server::start(17, &[]) else { return };
    let direct = server.superuser_url();
    // The proxy holds the fifth statement back for ever, so that there is time to kill in the middle.
    let port = cutting_proxy(server.port, 5, std::time::Duration::from_secs(60));
    let person = Person::new(format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"))
        .with("PGPILOT_TEST_TIME_SCALE", "1");
    let mut child = cli::command(&person.environment(), &["apply", "--yes"]).spawn().unwrap();
    let entries =
        || sql::run(&direct, &["SELECT name FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'"]).len();
    for _ in 0..200 {
        if entries() == 4 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(entries(), 4);
    let person = Person { url: direct.clone(), ..person }.with("PGPILOT_MODE", "apply");
    let serving = person.serve();
    serving.wait_for("/readyz", |status, _| status == 200);
    let history = person.run(&["history", "--json"]).good().json();
    assert_eq!(history[0]["phase"]["reverted"], "interrupted", "{history}");
    assert_eq!(history[1]["phase"], "kept", "{history}");
}

/// Writes the restart-only settings that are named, for a machine of this size.
fn apply_restart(person: &Person, memory: &str, names: &[&str]) {
    let mut environment = person.environment();
    environment.retain(|(name, _)| *name != "PGPILOT_MEMORY");
    environment.push(("PGPILOT_MEMORY", memory));
    let named = names.iter().flat_map(|name| ["--only", *name]);
    let arguments: Vec<_> = ["apply", "--yes", "--include-restart"].into_iter().chain(named).collect();
    cli::run(&environment, &arguments).good();
}

#[test]
fn a_later_change_of_a_waiting_one_does_not_undo_the_rest_of_it() {
    let Some(mut server) = Server::start(17, &[]) else { return };
    let person = Person::new(server.superuser_url());
    apply_restart(&person, "2GB", &["shared_buffers", "wal_buffers", "max_locks_per_transaction"]);
    apply_restart(&person, "8GB", &["shared_buffers"]);
    server.restart();
    let person = person.with("PGPILOT_MEMORY", "8GB");
    person.run(&["apply", "--yes", "--only", "jit"]).good();
    assert_eq!(sql::show(&person.url, "shared_buffers"), "2GB");
    assert_eq!(sql::show(&person.url, "max_locks_per_transaction"), "128");
    let history = person.run(&["history", "--json"]).good().json();
    let phases: Vec<_> =
        history.as_array().unwrap().iter().map(|record| record["phase"].to_string()).collect();
    assert_eq!(phases, ["\"kept\"", "\"kept\"", "\"kept\""], "{phases:?}");
    let entries =
        sql::run(&person.url, &["SELECT name FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'"]);
    assert_eq!(entries.len(), 4);
}

#[test]
fn an_entry_that_somebody_took_away_is_seen_before_the_restart_loses_it() {
    let Some(mut server) = Server::start(17, &[]) else { return };
    let person = Person::new(server.superuser_url());
    apply_restart(&person, "4GB", &["wal_buffers"]);
    server.restart();
    person.run(&["apply", "--yes", "--only", "jit"]).good();
    sql::run(&person.url, &["ALTER SYSTEM RESET wal_buffers", "SELECT pg_reload_conf()"]);
    let plan = person.run(&["plan", "--json"]).good().json();
    assert_eq!(row(&plan, "wal_buffers")["verdict"]["block"], "by_hand", "{}", row(&plan, "wal_buffers"));
}

#[test]
fn a_change_is_taken_back_once() {
    let Some(server) = Server::start(17, &[]) else { return };
    let person = Person::new(server.superuser_url());
    person.run(&["apply", "--yes", "--only", "work_mem"]).good();
    person.run(&["rollback", "1", "--yes"]).good();
    person.run(&["apply", "--yes", "--only", "work_mem"]).good();
    says(&person.run(&["rollback", "1", "--yes"]), 3, &["taken_back"]);
    assert_ne!(sql::show(&person.url, "work_mem"), "4MB", "the later change stands");
    person.run(&["rollback", "--last", "--yes"]).good();
    assert_eq!(sql::show(&person.url, "work_mem"), "4MB");
    assert!(person.run(&["rollback", "--last", "--yes"]).good().out.contains("nothing to roll back"));
}

#[test]
fn a_rollback_that_is_refused_names_the_setting() {
    let Some(server) = Server::start(17, &[]) else { return };
    let person = Person::new(server.superuser_url());
    person.run(&["apply", "--yes"]).good();
    sql::run(&person.url, &["ALTER SYSTEM SET work_mem = '77MB'", "SELECT pg_reload_conf()"]);
    let ran = person.run(&["rollback", "--last", "--yes"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.out.contains("work_mem") && ran.out.contains("77MB"), "{}", ran.out);
    assert_eq!(sql::show(&person.url, "work_mem"), "77MB");
}

#[test]
fn a_damaged_journal_is_said_and_nothing_is_claimed() {
    let Some(server) = Server::start(17, &[]) else { return };
    let person = Person::new(server.superuser_url());
    person.run(&["apply", "--yes"]).good();
    let journal = person.state.path().join("pgpilot.db");
    for file in ["pgpilot.db", "pgpilot.db-wal", "pgpilot.db-shm"] {
        drop(std::fs::remove_file(person.state.path().join(file)));
    }
    std::fs::write(&journal, "this is no database, however long one looks at it\n".repeat(200)).unwrap();
    says(&person.run(&["rollback", "--last", "--yes"]), 3, &["pgpilot.db", "move the file away"]);
    says(&person.run(&["apply", "--yes"]), 3, &["pgpilot.db"]);
    says(&person.run(&["plan"]), 0, &["pgpilot.db"]);
    says(&person.run(&["history"]), 1, &["pgpilot.db", "move the file away"]);
}

#[test]
fn a_journal_that_is_removed_under_serve_is_noticed_before_anything_is_written() {
    let Some(server) = Server::start(17, &[]) else { return };
    let person =
        Person::new(server.superuser_url()).with("PGPILOT_MODE", "apply").with("PGPILOT_PLAN_EVERY", "1s");
    let serving = person.serve();
    serving.wait_for("/readyz", |status, _| status == 200);
    for file in std::fs::read_dir(person.state.path()).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    let conf = server.data().join("postgresql.conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    std::fs::write(&conf, format!("{text}\ncheckpoint_completion_target = 0.5\n")).unwrap();
    sql::run(&person.url, &["SELECT pg_reload_conf()"]);
    serving.wait_for("/metrics", |_, body| body.contains("pgpilot_problem{problem=\"journal\"} 1"));
    // The next pass begins a new journal, and what it writes can be read again.
    serving.wait_for("/readyz", |status, _| status == 200);
    let history = person.run(&["history", "--json"]).good().json();
    let names: Vec<_> =
        history.as_array().unwrap().iter().flat_map(|r| r["change"]["moves"].as_array().unwrap()).collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn it_stops_in_time_while_the_server_hangs() {
    let Some(server) = Server::start(17, &[]) else { return };
    let person =
        Person::new(server.superuser_url()).with("PGPILOT_MODE", "apply").with("PGPILOT_PLAN_EVERY", "1s");
    let mut serving = person.serve();
    serving.wait_for("/readyz", |status, _| status == 200);
    let pids = sql::run(
        &person.url,
        &["SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgpilot serve%'"],
    );
    let signal = |name: &str, pid: &str| {
        let done = std::process::Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status();
        assert!(done.is_ok_and(|status| status.success()));
    };
    signal("STOP", &pids[0].text("pid"));
    // Long enough for a pass to be under way.
    std::thread::sleep(std::time::Duration::from_secs(2));
    signal("TERM", &serving.child.id().to_string());
    let since = std::time::Instant::now();
    let ended = serving.child.wait().unwrap();
    let took = since.elapsed();
    signal("CONT", &pids[0].text("pid"));
    assert!(ended.success(), "{ended:?}");
    // The promise itself, whose margin is a second.
    assert!(took.as_secs() < 5, "{took:?}");
}

/// Passes bytes on until it is told to swallow them: the connections of that moment stay open and dead, later ones work.
fn swallowing_proxy(server_port: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Connections that were made before this generation are dead.
    let generation = Arc::new(AtomicUsize::new(0));
    let shared = generation.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)) else { continue };
            let mine = shared.load(Ordering::SeqCst);
            for (from, to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server.try_clone().unwrap(), client.try_clone().unwrap()),
            ] {
                let generation = shared.clone();
                std::thread::spawn(move || pass_while(from, to, &generation, mine));
            }
        }
    });
    (port, generation)
}

fn pass_while(mut from: TcpStream, mut to: TcpStream, generation: &AtomicUsize, mine: usize) {
    let mut buffer = [0u8; 65536];
    while let Ok(read) = from.read(&mut buffer) {
        let dead = generation.load(Ordering::SeqCst) != mine;
        if read == 0 || (!dead && to.write_all(&buffer[..read]).is_err()) {
            break;
        }
    }
    if generation.load(Ordering::SeqCst) == mine {
        drop(to.shutdown(std::net::Shutdown::Both));
    }
}

#[test]
fn a_session_that_the_network_lost_is_replaced() {
    let Some(server) = Server::start(17, &[]) else { return };
    let (port, generation) = swallowing_proxy(server.port);
    let person = Person::new(format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"))
        .with("PGPILOT_MODE", "apply")
        .with("PGPILOT_PLAN_EVERY", "1s")
        .with("PGPILOT_STATEMENT_TIMEOUT", "200ms");
    let serving = person.serve();
    serving.wait_for("/readyz", |status, _| status == 200);
    generation.fetch_add(1, Ordering::SeqCst);
    serving.wait_for("/readyz", |status, body| status == 503 && body.contains("no answer"));
    serving.wait_for("/readyz", |status, _| status == 200);
}

#[test]
fn a_session_of_ours_that_was_left_with_the_lock_is_ended() {
    let Some(server) = Server::start(17, &[]) else { return };
    let person = Person::new(server.superuser_url());
    person.run(&["apply", "--yes", "--only", "jit"]).good();
    let db = rusqlite::Connection::open(person.state.path().join("pgpilot.db")).unwrap();
    let name: String =
        db.query_row("SELECT value FROM meta WHERE key = 'name'", [], |row| row.get(0)).unwrap();
    let url = person.url.clone();
    // A verb of ours whose machine is gone; the server has not noticed.
    let leftover = std::thread::spawn(move || {
        let url = format!("{url}&application_name=x");
        let lock = format!("SET application_name = 'pgpilot apply {name}'");
        sql::run_until_ended(&url, &[&lock, "SELECT pg_advisory_lock(1885827177, 1)", "SELECT pg_sleep(60)"])
    });
    for _ in 0..100 {
        let locks = sql::run(
            &person.url,
            &["SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND granted"],
        );
        if locks[0].text("n") == "1" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    person.run(&["rollback", "--last", "--yes"]).good();
    assert!(leftover.join().unwrap().contains("terminating connection"));
}
