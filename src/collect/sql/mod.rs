//! The SQL collectors: one file a view, one constant a statement, one line here.

mod activity;
mod archiver;
mod bgwriter;
mod bloat;
mod buffercache;
mod catalog;
mod checkpointer;
mod clock;
mod conflicts;
mod control;
mod database;
mod distribution;
mod folders;
mod freeze;
mod ground;
mod indexes;
mod io;
mod limits;
mod locks;
mod mistakes;
mod prepared;
mod progress;
mod query;
mod rank;
mod replication;
mod rights;
mod row;
mod run;
mod server;
mod settings;
mod shmem;
mod slots;
mod slru;
mod ssl;
pub mod statement_groups;
mod statements;
mod subscriptions;
mod table_sizes;
mod tables;
pub mod template;
mod timescale;
mod waits;
mod wal;

pub use ground::Ground;
pub use query::{Cadence, Column, Given, Most, OLDEST, Query, Rest, Scope, Shape, Sql, Top};
pub use rank::{OTHER, Ranking, Settled};
pub use rights::{MONITOR, RIGHTS, Right};
pub use row::{Fields, Layout, Made, Row, families};
pub use run::{Found, Ran, Task, each, plain, prepared, run};

/// The list of SQL collectors, in the order of the reference page.
pub const QUERIES: &[Query] = &[
    // First, since its value is older the longer it waits.
    clock::CLOCK,
    server::SERVER,
    server::IDENTITY,
    settings::SETTINGS,
    database::DATABASE,
    database::SIZE,
    limits::DATABASES,
    limits::ROLES,
    conflicts::CONFLICTS,
    freeze::WRAPAROUND,
    freeze::CURRENT,
    freeze::WORKERS,
    freeze::RUNNING,
    checkpointer::CHECKPOINTER,
    control::CHECKPOINT,
    bgwriter::BGWRITER,
    buffercache::SUMMARY,
    wal::WAL,
    wal::POSITION,
    folders::WAL,
    folders::ARCHIVE,
    folders::TEMP,
    folders::TABLESPACES,
    io::IO,
    activity::STATES,
    activity::AGES,
    activity::BACKENDS,
    distribution::XACT_AGE,
    distribution::IDLE,
    waits::CONNECTIONS,
    waits::WAITS,
    waits::LONG,
    waits::HORIZON,
    waits::HOLDER,
    locks::COUNT,
    locks::WAITING,
    locks::BLOCKED,
    locks::BLOCKERS,
    mistakes::FILE_ERRORS,
    mistakes::HBA,
    statements::STATEMENTS,
    statements::ALL,
    statements::STATE,
    tables::TABLES,
    table_sizes::SIZES,
    indexes::INDEXES,
    indexes::INVALID,
    indexes::WASTE,
    bloat::TABLES,
    bloat::BTREES,
    catalog::SEQUENCES,
    catalog::EXTENSIONS,
    catalog::PUBLICATIONS,
    catalog::FUNCTIONS,
    replication::LAG,
    replication::STANDBYS,
    replication::RECEIVER,
    slots::SLOTS,
    slots::DECODED,
    subscriptions::SUBSCRIPTIONS,
    subscriptions::PREFETCH,
    progress::RATIO,
    progress::VACUUM,
    progress::ANALYZE,
    progress::CREATE_INDEX,
    progress::CLUSTER,
    progress::COPY,
    progress::BASEBACKUP,
    archiver::ARCHIVER,
    slru::SLRU,
    ssl::SSL,
    prepared::PREPARED,
    shmem::SHMEM,
    timescale::INFO,
    timescale::HYPERTABLES,
    timescale::SIZES,
    timescale::JOBS,
    timescale::CAGGS,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::metric::Kind;

    const MAJORS: std::ops::RangeInclusive<u32> = OLDEST..=18;

    /// Counters whose name in existing dashboards has no `_total`.
    const DE_FACTO: &[&str] =
        &["pg_stat_database_", "pg_stat_user_tables_", "pg_statio_user_tables_", "pg_stat_archiver_"];

    /// Whether a statement has the name as a word of its own.
    fn selects(sql: &str, name: &str) -> bool {
        sql.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == name)
    }

    #[test]
    fn the_newest_statement_stands_first_and_what_has_none_is_not_declared() {
        for query in QUERIES {
            let first = query.sql.last().map(|sql| sql.since).unwrap();
            assert!(
                query.gives().iter().all(|it| it.since >= first),
                "{}: declared from {first} on",
                query.name
            );
            let since: Vec<_> = query.sql.iter().map(|sql| sql.since).collect();
            assert!(since.is_sorted_by(|newer, older| newer > older), "{}: {since:?}", query.name);
            assert!(query.statement(OLDEST - 1).is_none(), "{}", query.name);
        }
    }

    #[test]
    fn every_declared_column_is_selected_by_every_variant_that_should_have_it() {
        for query in QUERIES {
            for major in MAJORS {
                let Some(Sql { text: sql, .. }) = query.statement(major) else { continue };
                for column in query.reads(major) {
                    assert!(selects(sql, column), "{} {major}: {column}", query.name);
                }
            }
        }
    }

    #[test]
    fn names_are_unique_and_say_what_they_count() {
        let all: Vec<_> = QUERIES.iter().flat_map(Query::gives).map(|it| it.desc).collect();
        let mut names: Vec<_> = all.iter().map(|desc| desc.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len(), "no name twice");
        for desc in all {
            let name = desc.name;
            match desc.kind {
                Kind::Counter if DE_FACTO.iter().any(|prefix| name.starts_with(prefix)) => {}
                Kind::Counter => assert!(name.ends_with("_total"), "{name}"),
                Kind::Gauge => assert!(!name.ends_with("_total") && !name.ends_with("_info"), "{name}"),
                Kind::Info => assert!(name.ends_with("_info"), "{name}"),
                Kind::Histogram => assert!(name.ends_with("_seconds"), "{name}"),
            }
            assert!(name.starts_with("pg_") && desc.help.ends_with('.'), "{name}: {}", desc.help);
        }
    }

    #[test]
    fn every_collector_says_why_and_has_a_name_of_its_own() {
        let mut names: Vec<_> = QUERIES.iter().map(|query| query.name).collect();
        assert!(QUERIES.iter().all(|query| query.why.ends_with('.')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), QUERIES.len());
    }
}
