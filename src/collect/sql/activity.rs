//! Sessions: how many, in which state, and how long. All three read shared memory only.

use super::query::{FAST, Query, Shape, gauge, sql};

/// Every state of every database has a sample, 0 too: rules on a state that is absent would never fire.
pub(super) const STATES: Query = Query {
    name: "activity",
    why: "Sessions against max_connections, and transactions left open, are what stops an indexer first.",
    sql: &[sql(
        14,
        "select {db:d.datname} as datname, s.state, count(a.pid) as sessions, \
               coalesce(max(extract(epoch from clock_timestamp() - a.xact_start)), 0) as longest \
               from pg_database d cross join unnest(array['active', 'idle', 'idle in transaction', \
               'idle in transaction (aborted)', 'fastpath function call', 'disabled']) as s (state) \
               left join pg_stat_activity a on a.datid = d.oid and a.state = s.state group by 1, 2",
    )],
    shape: Shape::Columns {
        labels: &["datname", "state"],
        columns: &[
            gauge(
                "sessions",
                "pg_stat_activity_count",
                "Sessions of a database in a state, those of pgpilot included.",
            ),
            gauge(
                "longest",
                "pg_stat_activity_max_tx_duration",
                "Age of the oldest transaction of a database in a state, in seconds.",
            ),
        ],
    },
    ..FAST
};

/// Our own session, autovacuum and replication are left out: their age is no one's neglect.
pub(super) const AGES: Query = Query {
    name: "activity_ages",
    why: "An old transaction holds back vacuum in the whole server; one that idles does so for nothing.",
    sql: &[sql(
        14,
        "select {db:d.datname} as datname, \
               coalesce(max(extract(epoch from clock_timestamp() - a.xact_start)), 0) as xact, \
               coalesce(max(extract(epoch from clock_timestamp() - a.query_start)) \
               filter (where a.state = 'active'), 0) as query, \
               coalesce(max(extract(epoch from clock_timestamp() - a.state_change)) \
               filter (where a.state like 'idle in transaction%'), 0) as idle_in_transaction \
               from pg_database d left join pg_stat_activity a on a.datid = d.oid and a.pid <> pg_backend_pid() \
               and a.backend_type not in ('autovacuum worker', 'walsender') where d.datallowconn group by 1",
    )],
    shape: Shape::Columns {
        labels: &["datname"],
        columns: &[
            gauge(
                "xact",
                "pg_stat_activity_oldest_xact_age_seconds",
                "Age of the oldest transaction; 0 when there is none.",
            ),
            gauge(
                "query",
                "pg_stat_activity_oldest_query_age_seconds",
                "Age of the oldest running query; 0 when there is none.",
            ),
            gauge(
                "idle_in_transaction",
                "pg_stat_activity_oldest_idle_in_transaction_age_seconds",
                "How long the longest idler in a transaction has idled; 0 when there is none.",
            ),
        ],
    },
    ..FAST
};

pub(super) const BACKENDS: Query = Query {
    name: "backends",
    why: "Tells client sessions from workers, so that a full worker pool is seen as one.",
    sql: &[sql(
        // Without pg_monitor the type of other roles' processes is hidden.
        14,
        "select coalesce(backend_type, 'unknown') as backend_type, count(*) as backends \
               from pg_stat_activity group by 1",
    )],
    shape: Shape::Columns {
        labels: &["backend_type"],
        columns: &[gauge("backends", "pg_stat_activity_backends", "Processes of the server by type.")],
    },
    ..FAST
};
