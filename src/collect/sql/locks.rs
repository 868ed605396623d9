//! Locks: how many, who waits, and for whom.

use super::query::{FAST, Most, Query, Shape, Top, gauge, sql};

/// Every mode of every database has a sample, 0 too; the modes in lower case, as dashboards ask for them.
pub(super) const COUNT: Query = Query {
    name: "locks",
    why: "The lock table is of a fixed size, and full it stops whoever needs one more.",
    sql: &[sql(
        14,
        "select {db:d.datname} as datname, lower(m.mode) as mode, count(l.pid) as locks from pg_database d \
         cross join unnest(array['AccessShareLock', 'RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock', \
         'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock', 'SIReadLock']) as m (mode) \
         left join pg_locks l on l.database = d.oid and l.mode = m.mode group by 1, 2",
    )],
    shape: Shape::Columns {
        labels: &["datname", "mode"],
        columns: &[gauge("locks", "pg_locks_count", "Locks held or awaited.")],
    },
    ..FAST
};

pub(super) const WAITING: Query = Query {
    name: "locks_waiting",
    why: "Who waits for a lock does no work, and everyone behind them neither.",
    sql: &[sql(
        14,
        "select lower(m.mode) as mode, count(l.pid) as waiting from unnest(array['AccessShareLock', 'RowShareLock', \
         'RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', \
         'AccessExclusiveLock']) as m (mode) left join pg_locks l on l.mode = m.mode and not l.granted group by 1",
    )],
    shape: Shape::Columns {
        labels: &["mode"],
        columns: &[gauge("waiting", "pg_locks_waiting", "Locks that somebody waits for.")],
    },
    ..FAST
};

/// `pg_blocking_pids` stops the lock table for a moment: it is called for those who wait, so that it costs nothing
/// while nobody does.
pub(super) const BLOCKED: Query = Query {
    name: "locks_blocked",
    why: "How many wait, how many make them wait, and for how long already.",
    sql: &[sql(
        14,
        "select count(distinct pid) filter (where not granted) as blocked, \
         (select count(distinct pid) from (select unnest(pg_blocking_pids(w.pid)) as pid from pg_locks w \
         where not w.granted) b) as blocking, \
         coalesce(max(extract(epoch from clock_timestamp() - waitstart)) filter (where not granted), 0) as oldest_wait, \
         count(*) filter (where fastpath)::float8 / nullif(count(*), 0) as fastpath, \
         count(*) filter (where locktype = 'advisory') as advisory from pg_locks",
    )],
    shape: Shape::Columns {
        labels: &[],
        columns: &[
            gauge("blocked", "pg_blocked_backends", "Sessions that wait for a lock."),
            gauge("blocking", "pg_blocking_backends", "Sessions that others wait for."),
            gauge(
                "oldest_wait",
                "pg_locks_oldest_wait_seconds",
                "How long the longest waiter has waited; 0 when nobody does.",
            ),
            gauge(
                "fastpath",
                "pg_locks_fastpath_fraction",
                "Share of locks that needed no entry in the shared table.",
            ),
            gauge("advisory", "pg_advisory_locks", "Advisory locks held or awaited."),
        ],
    },
    ..FAST
};

/// Prepared transactions block as process 0.
pub(super) const BLOCKERS: Query = Query {
    name: "locks_blockers",
    why: "Whose session it is that others wait for, and what it does meanwhile.",
    sql: &[sql(
        14,
        "select coalesce({db:a.datname}, '') as datname, coalesce(a.usename, '') as usename, \
         case when b.pid = 0 then 'prepared transaction' else coalesce(a.application_name, '') end as application_name, \
         coalesce(a.state, '') as state, count(distinct b.waiter) as blocked \
         from (select w.pid as waiter, unnest(pg_blocking_pids(w.pid)) as pid from pg_locks w where not w.granted) b \
         left join pg_stat_activity a on a.pid = b.pid group by 1, 2, 3, 4",
    )],
    shape: Shape::Columns {
        labels: &["datname", "usename", "application_name", "state"],
        columns: &[gauge(
            "blocked",
            "pg_blocking_backend_waiters",
            "Sessions that wait for sessions of this kind.",
        )],
    },
    top: Some(Top {
        most: Most::Fixed(10),
        by: &["blocked"],
        folds: &["datname", "usename", "application_name", "state"],
    }),
    ..FAST
};
