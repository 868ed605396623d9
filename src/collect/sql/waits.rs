//! Who is connected, what sessions wait for, and what holds vacuum back.

use super::query::{FAST, Most, Query, Shape, TEN_SECONDS, Top, gauge, sql};

/// The name of a session's program. What it appends, a number or an identifier, would be a new series with each start:
/// it is cut.
macro_rules! program {
    () => {
        "regexp_replace(coalesce(application_name, ''), '([-_ :#./]+[0-9a-f-]*[0-9][0-9a-f.-]*|[0-9]+)$', '')"
    };
}
pub(super) use program;

pub(super) const CONNECTIONS: Query = Query {
    name: "connections",
    why: "Whose pool it is that takes the connections.",
    sql: &[sql(
        14,
        concat!(
            "select coalesce(usename, '') as usename, \
         ",
            program!(),
            " \
         as application_name, count(*) as connections from pg_stat_activity where backend_type = 'client backend' \
         group by 1, 2"
        ),
    )],
    shape: Shape::Columns {
        labels: &["usename", "application_name"],
        columns: &[gauge(
            "connections",
            "pg_stat_activity_connections",
            "Client sessions by role and program.",
        )],
    },
    top: Some(Top { most: Most::Fixed(20), by: &["connections"], folds: &["usename", "application_name"] }),
    ..TEN_SECONDS
};

/// A process that works and waits for nothing is on the CPU, or would be.
pub(super) const WAITS: Query = Query {
    name: "wait_events",
    why: "What sessions spend their time on: disk, locks, the client, or work.",
    sql: &[sql(
        14,
        "select case when backend_type in ('client backend', 'parallel worker', 'autovacuum worker', 'walsender') \
         then backend_type else 'background' end as backend_type_group, \
         coalesce(wait_event_type, case when state = 'active' or backend_type <> 'client backend' then 'CPU' else '' end) \
         as wait_event_type, coalesce(wait_event, '') as wait_event, count(*) as backends \
         from pg_stat_activity where pid <> pg_backend_pid() group by 1, 2, 3",
    )],
    shape: Shape::Columns {
        labels: &["backend_type_group", "wait_event_type", "wait_event"],
        columns: &[gauge(
            "backends",
            "pg_wait_events_backends",
            "Processes by what they wait for at this moment.",
        )],
    },
    top: Some(Top {
        most: Most::Fixed(20),
        by: &["backends"],
        folds: &["backend_type_group", "wait_event_type", "wait_event"],
    }),
    ..FAST
};

/// As postgres_exporter has it: longer than a minute, autovacuum left out.
pub(super) const LONG: Query = Query {
    name: "long_running_transactions",
    why: "A transaction that stays open keeps dead rows in every table.",
    sql: &[sql(
        14,
        "select count(*) as transactions, coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0) as oldest \
         from pg_stat_activity where state is distinct from 'idle' and now() - xact_start > interval '1 minute' \
         and backend_type <> 'autovacuum worker'",
    )],
    shape: Shape::Columns {
        labels: &[],
        columns: &[
            gauge(
                "transactions",
                "pg_long_running_transactions",
                "Transactions that have been open for more than a minute.",
            ),
            gauge(
                "oldest",
                "pg_long_running_transactions_oldest_timestamp_seconds",
                "Age of the oldest of them, in seconds whatever the name says; 0 when there is none.",
            ),
        ],
    },
    ..TEN_SECONDS
};

/// Every snapshot that vacuum must respect, with what holds it. A vacuum's own is none.
macro_rules! holders {
    () => {
        "(select 'backend' as holder, coalesce(usename, '') || ' ' || coalesce(application_name, '') as name, \
             greatest(age(backend_xmin), age(backend_xid)) as xids from pg_stat_activity where pid <> pg_backend_pid() \
             and backend_type <> 'walsender' and coalesce(query, '') not like 'autovacuum: VACUUM%' union all \
             select 'prepared_xact', gid, age(transaction) from pg_prepared_xacts union all \
             select 'slot', slot_name, greatest(age(xmin), age(catalog_xmin)) from pg_replication_slots union all \
             select 'standby_feedback', coalesce(application_name, ''), age(backend_xmin) from pg_stat_replication \
             where backend_xmin is not null)"
    };
}

/// Every holder has a sample, 0 too.
pub(super) const HORIZON: Query = Query {
    name: "xmin_horizon",
    why: "Vacuum cannot remove what the oldest snapshot may still see; it is a session, a slot, a standby or a \
          transaction that somebody prepared and forgot.",
    sql: &[sql(
        14,
        concat!(
            "select k.holder, coalesce(max(h.xids), 0) as xids from unnest(array['backend', 'prepared_xact', 'slot', \
         'standby_feedback']) as k (holder) left join ",
            holders!(),
            " as h on h.holder = k.holder group by 1"
        ),
    )],
    shape: Shape::Columns {
        labels: &["holder"],
        columns: &[gauge(
            "xids",
            "pg_xmin_horizon_age_xids",
            "Transactions since the oldest snapshot of this kind; 0 when there is none.",
        )],
    },
    ..TEN_SECONDS
};

pub(super) const HOLDER: Query = Query {
    name: "xmin_holder",
    why: "Who it is: the one to end, drop or finish.",
    sql: &[sql(
        14,
        concat!(
            "select holder, name, xids from ",
            holders!(),
            " as h where xids is not null order by xids desc limit 1"
        ),
    )],
    shape: Shape::Columns {
        labels: &["holder", "name"],
        columns: &[gauge(
            "xids",
            "pg_xmin_horizon_oldest_age_xids",
            "Age of the oldest snapshot of all, with what holds it and its name.",
        )],
    },
    ..TEN_SECONDS
};
