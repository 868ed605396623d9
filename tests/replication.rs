//! What collectors show of a primary, its standby and a subscription: values, on real servers of every major.

mod support;

use support::families::{missing, only, read, read_until};
use support::pg::{MAJORS, Server};
use support::sql::run;

/// One primary with a slot for a standby, and a table that a subscription of its other database takes.
const PRIMARY: &[&str] = &[
    "select pg_create_physical_replication_slot('standby', true)",
    "create table public.people (id int primary key, name text)",
    "create publication people for table public.people",
    "select pg_create_logical_replication_slot('taken', 'pgoutput')",
    "create database other",
];

/// WAL of about 3 MB.
const MUCH: &str =
    "insert into public.people select n, repeat('x', 100) from generate_series(1000, 15000) as n";

fn pair(major: u32) -> Option<(Server, Server)> {
    let mut primary = Server::start(major, &["wal_level = logical", "wal_retrieve_retry_interval = 500ms"])?;
    run(&primary.superuser_url(), PRIMARY);
    let standby = primary.standby();
    Some((primary, standby))
}

#[test]
fn a_standby_is_seen_from_both_ends() {
    for &major in MAJORS {
        let Some((mut primary, standby)) = pair(major) else { continue };
        let (url, its) = (primary.url("monitor"), standby.url("monitor"));
        let both = "{application_name=walreceiver,client_addr=127.0.0.1,state=streaming,slot_name=standby}";
        let behind = format!("pg_stat_replication_replay_lag_bytes{both}");

        run(&primary.superuser_url(), &["insert into public.people values (1, 'first')"]);
        let found = read_until(&url, "stat_replication", |found| found.get(&behind) == Some(&0.0));
        let state = both.replace('}', ",sync_state=async}");
        assert_eq!(found[&format!("pg_stat_replication_sync_state{state}")], 1.0, "{major}: {found:#?}");
        assert!(found[&format!("pg_stat_replication_pg_current_wal_lsn_bytes{both}")] > 1e7, "{major}");
        // Times are there only for a while after something was sent; reading does not fail for want of them.
        let found = read_until(&url, "stat_replication", |found| {
            run(
                &primary.superuser_url(),
                &["insert into public.people values (0, '') on conflict (id) do update set name = 'x'"],
            );
            missing(found, "stat_replication", major).is_empty()
        });
        assert!((0.0..30.0).contains(&only(&found, "pg_stat_replication_replay_lag_seconds")), "{found:#?}");

        let receiver = read(&its, "stat_wal_receiver");
        assert_eq!(missing(&receiver, "stat_wal_receiver", major), ["pg_stat_wal_receiver_upstream_node"]);
        let from = "{upstream_host=127.0.0.1,slot_name=standby,status=streaming}";
        assert_eq!(receiver[&format!("pg_stat_wal_receiver_received_tli{from}")], 1.0, "{major}");
        assert_eq!(receiver["pg_replication_wal_receiver_up{}"], 1.0, "{major}");
        assert_eq!(read(&url, "stat_wal_receiver").len(), 0, "{major}: nothing on a primary");

        let lag = read_until(&its, "replication", |found| found["pg_replication_lag_seconds{}"] == 0.0);
        assert_eq!(lag["pg_in_recovery_paused{}"], 0.0, "{major}");
        assert!(lag["pg_replication_last_replay_seconds{}"] < 60.0, "{major}");
        assert_eq!(read(&url, "replication").len(), 1, "{major}: a primary has only a lag, of 0");

        run(&standby.superuser_url(), &["select pg_wal_replay_pause()"]);
        run(&primary.superuser_url(), &[MUCH]);
        let sent = format!("pg_stat_replication_flush_lag_bytes{both}");
        let found = read_until(&url, "stat_replication", |found| found[&sent] == 0.0 && found[&behind] > 1e6);
        assert_eq!(found[&behind], found[&format!("pg_stat_replication_pg_wal_lsn_diff{both}")], "{major}");
        let lag = read(&its, "replication");
        assert_eq!(lag["pg_in_recovery_paused{}"], 1.0, "{major}");
        let late = lag["pg_replication_lag_seconds{}"];
        assert!(late > 0.0 && late <= lag["pg_replication_last_replay_seconds{}"] + 1.0, "{major}: {lag:?}");

        run(&standby.superuser_url(), &["select pg_wal_replay_resume()"]);
        read_until(&its, "replication", |found| found["pg_replication_lag_seconds{}"] == 0.0);
        if major >= 15 {
            let ahead = read(&its, "recovery_prefetch");
            assert_eq!(missing(&ahead, "recovery_prefetch", major), [""; 0], "{major}");
            let seen: f64 = ahead.iter().filter(|(name, _)| name.ends_with("_total{}")).map(|(_, n)| n).sum();
            assert!(seen > 1e4, "{major}: each of {seen} blocks is read ahead or not, for a reason");
        }

        primary.stop();
        let receiver =
            read_until(&its, "stat_wal_receiver", |found| found["pg_replication_wal_receiver_up{}"] == 0.0);
        assert_eq!(receiver.len(), 1, "{major}: {receiver:?}");
        // This is why `up` is there.
        assert_eq!(read(&its, "replication")["pg_replication_lag_seconds{}"], 0.0, "{major}");
    }
}

#[test]
fn slots_show_what_they_hold() {
    for &major in MAJORS {
        let Some((primary, mut standby)) = pair(major) else { continue };
        let url = primary.url("monitor");
        let of = |name: &str, slot: &str, kind: &str| {
            format!("pg_replication_slots_{name}{{slot_name={slot},{kind}}}")
        };
        let (kind, database) = ("slot_type=physical", "database=");
        let active = of("active", "standby", database);
        let found = read_until(&url, "replication_slots", |found| {
            found[&active] == 1.0 && found.contains_key(&of("xmin_age_xids", "standby", kind))
        });
        assert_eq!(found[&of("slot_is_active", "standby", kind)], 1.0, "{major}");
        assert_eq!(
            found[&of("wal_status", "standby", "slot_type=physical,wal_status=reserved")],
            1.0,
            "{major}"
        );
        assert_eq!(found[&of("invalidated", "standby", "slot_type=physical,reason=")], 0.0, "{major}");
        assert_eq!(found[&of("active", "taken", "database=postgres")], 0.0, "{major}");
        let (lsn, flushed) =
            (of("slot_current_wal_lsn", "taken", "slot_type=logical"), "slot_confirmed_flush_lsn");
        assert!(found[&of(flushed, "taken", "slot_type=logical")] <= found[&lsn], "{major}");
        assert!(!found.contains_key(&of(flushed, "standby", kind)), "{major}");
        assert!(
            !found.contains_key(&of("safe_wal_size_bytes", "standby", kind)),
            "{major}: there is no limit"
        );
        if major >= 17 {
            assert_eq!(found[&of("inactive_seconds", "standby", kind)], 0.0, "{major}");
            assert!(found[&of("inactive_seconds", "taken", "slot_type=logical")] > 0.0, "{major}");
        }
        standby.stop();
        read_until(&url, "replication_slots", |found| found[&active] == 0.0);
        run(&primary.superuser_url(), &[MUCH]);
        let retained = of("retained_bytes", "standby", kind);
        let found = read(&url, "replication_slots");
        assert!(found[&retained] > 1e6, "{major}: {found:#?}");
        assert_eq!(found[&retained], found[&of("pg_wal_lsn_diff", "standby", database)], "{major}");
        // With a limit that is passed already, the next checkpoint gives the slot up.
        run(
            &primary.superuser_url(),
            &[
                "alter system set max_slot_wal_keep_size = '1MB'",
                "alter system set wal_keep_size = 0",
                "select pg_reload_conf()",
                "select pg_sleep(0.5), pg_switch_wal()",
                "insert into public.people values (2, '')",
                "select pg_switch_wal()",
                "checkpoint",
                "insert into public.people values (3, '')",
                "select pg_switch_wal()",
                "checkpoint",
            ],
        );
        let lost = of("invalidated", "standby", "slot_type=physical,reason=wal_removed");
        let found = read_until(&url, "replication_slots", |found| found.get(&lost) == Some(&1.0));
        assert_eq!(found[&of("wal_status", "standby", "slot_type=physical,wal_status=lost")], 1.0, "{major}");
        assert_eq!(found.get(&retained).copied().unwrap_or_default(), 0.0, "{major}: {found:#?}");
    }
}

#[test]
fn a_subscription_shows_what_it_receives_and_where_it_fails() {
    for &major in MAJORS {
        let settings = ["wal_level = logical", "wal_retrieve_retry_interval = 500ms"];
        let Some(server) = Server::start(major, &settings) else { continue };
        let (url, person) = (server.url("monitor"), server.superuser_url());
        let other = person.replace("/postgres?", "/other?");
        run(&person, PRIMARY);
        let from = format!("host=127.0.0.1 port={} dbname=postgres user=postgres", server.port);
        let subscribe = format!(
            "create subscription taken connection '{from}' publication people with (create_slot = false, slot_name = 'taken')"
        );
        run(&other, &["create table public.people (id int primary key, name text)", &subscribe]);
        run(&person, &["insert into public.people values (1, 'first')"]);
        let labels = "{datname=other,subname=taken}";
        let found = read_until(&url, "stat_subscription", |found| {
            missing(found, "stat_subscription", major).is_empty()
        });
        assert_eq!(found[&format!("pg_subscription_enabled{labels}")], 1.0, "{major}");
        assert!(found[&format!("pg_stat_subscription_workers{labels}")] >= 1.0, "{major}");
        assert!(found[&format!("pg_stat_subscription_received_lsn_bytes{labels}")] > 1e7, "{major}");
        assert!(
            (0.0..30.0).contains(&found[&format!("pg_stat_subscription_lag_seconds{labels}")]),
            "{major}"
        );
        assert!(
            (0.0..60.0).contains(&found[&format!("pg_stat_subscription_last_msg_age_seconds{labels}")]),
            "{major}"
        );

        let sent = "pg_stat_replication_slots_total_txns_total{slot_name=taken}";
        run(&person, &["insert into public.people values (2, 'second')"]);
        let found = read_until(&url, "stat_replication_slots", |found| found.get(sent) > Some(&0.0));
        assert!(found["pg_stat_replication_slots_total_bytes_total{slot_name=taken}"] > 0.0, "{major}");
        assert_eq!(missing(&found, "stat_replication_slots", major), [""; 0], "{major}");

        // The same key on both sides is a conflict that stops it.
        run(&other, &["insert into public.people values (3, 'own')"]);
        run(&person, &["insert into public.people values (3, 'third')"]);
        if major >= 15 {
            let errors = format!("pg_stat_subscription_apply_errors_total{labels}");
            let found = read_until(&url, "stat_subscription", |found| found[&errors] >= 1.0);
            if major >= 18 {
                assert!(
                    found[&format!("pg_stat_subscription_confl_insert_exists_total{labels}")] >= 1.0,
                    "{found:#?}"
                );
            }
        }
        run(&other, &["alter subscription taken disable"]);
        let found = read_until(&url, "stat_subscription", |found| {
            found[&format!("pg_stat_subscription_workers{labels}")] == 0.0
        });
        assert_eq!(found[&format!("pg_subscription_enabled{labels}")], 0.0, "{major}");
    }
}

#[test]
fn prepared_transactions_and_the_archive() {
    for &major in MAJORS {
        let settings = [
            "max_prepared_transactions = 2",
            "archive_mode = on",
            "archive_command = 'test -e tried || ! touch tried'",
        ];
        let Some(server) = Server::start(major, &settings) else { continue };
        let (url, person) = (server.url("monitor"), server.superuser_url());
        assert_eq!(
            only(&read(&url, "prepared_xacts"), "pg_prepared_xacts_oldest_age_seconds"),
            0.0,
            "{major}"
        );
        run(
            &person,
            &[
                "begin",
                "create table public.left (id int)",
                "prepare transaction 'left'",
                "select pg_sleep(0.2)",
                "select pg_switch_wal()",
            ],
        );
        let found = read(&url, "prepared_xacts");
        assert_eq!(found["pg_prepared_xacts{}"], 1.0, "{major}");
        assert!((0.2..60.0).contains(&found["pg_prepared_xacts_oldest_age_seconds{}"]), "{major}: {found:?}");
        let found =
            read_until(&url, "stat_archiver", |found| found["pg_stat_archiver_archived_count{}"] >= 1.0);
        assert_eq!(found["pg_stat_archiver_failed_count{}"], 1.0, "{major}");
        let (archived, failed) = (
            "pg_stat_archiver_last_archived_timestamp_seconds{}",
            "pg_stat_archiver_last_failed_timestamp_seconds{}",
        );
        assert!(
            found[failed] < found[archived] && found["pg_stat_archiver_last_archive_age{}"] < 60.0,
            "{major}: {found:?}"
        );
        run(&person, &["rollback prepared 'left'"]);
    }
}
