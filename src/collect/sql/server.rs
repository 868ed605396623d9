//! The server itself: version, start, role in replication.

use super::query::{FAST, MINUTE, Query, Shape, gauge, info, one, sql};

pub(super) const SERVER: Query = Query {
    name: "server",
    why: "A start time or a version that changed explains most jumps in everything else.",
    sql: &[sql(
        // Peers give three numbers, as semantic versioning does: 17.10.0.
        14,
        "select version() as version, n / 10000 || '.' || n % 10000 || '.0' as short_version, n as version_num, \
               extract(epoch from pg_postmaster_start_time()) as started, \
               extract(epoch from pg_conf_load_time()) as loaded, \
               pg_is_in_recovery() as is_replica, \
               current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int \
               - coalesce(current_setting('reserved_connections', true)::int, 0) as usable \
               from (select current_setting('server_version_num')::int) as v (n)",
    )],
    shape: Shape::Columns {
        labels: &["version", "short_version"],
        columns: &[
            one("pg_static", "Version of the server, as labels."),
            gauge("version_num", "pg_version_num", "Version of the server as a number, such as 170010.")
                .only(&[]),
            gauge(
                "started",
                "pg_postmaster_start_time_seconds",
                "When the server started, in seconds since 1970.",
            )
            .only(&[]),
            gauge(
                "loaded",
                "pg_conf_load_time_timestamp_seconds",
                "When the server last read its configuration, in seconds since 1970.",
            )
            .only(&[]),
            gauge(
                "is_replica",
                "pg_replication_is_replica",
                "Whether the server is in recovery, that is, a standby or being restored.",
            )
            .only(&[]),
            gauge(
                "usable",
                "pg_connections_usable",
                "Connections that ordinary roles can have: max_connections without the reserved ones.",
            )
            .only(&[]),
        ],
    },
    ..FAST
};

/// Apart from [`SERVER`], because `pg_control_system()` is not for everyone: a role without the right loses only this.
pub(super) const IDENTITY: Query = Query {
    name: "identity",
    why: "The system identifier tells a restored or swapped data directory from the one of yesterday.",
    sql: &[sql(
        14,
        "select current_setting('server_version') as version, \
               current_setting('server_version_num') as server_version_num, system_identifier, \
               current_setting('cluster_name') as cluster_name from pg_control_system()",
    )],
    shape: Shape::Columns {
        labels: &["version", "server_version_num", "system_identifier", "cluster_name"],
        columns: &[info("pg_server_info", "Version and identity of the server, as labels.")],
    },
    ..MINUTE
};
