//! Encryption of connections.

use super::query::{MINUTE, Query, Shape, gauge, sql};

pub(super) const SSL: Query = Query {
    name: "stat_ssl",
    why: "Who still connects in clear text, or with an old version of TLS.",
    sql: &[sql(
        14,
        "select ssl::text as ssl, version, count(*) as connections from pg_stat_ssl where ssl is not null group by 1, 2",
    )],
    shape: Shape::Columns {
        labels: &["ssl", "version"],
        columns: &[gauge(
            "connections",
            "pg_stat_ssl_connections",
            "Connections by encryption and version of TLS, those over a local socket and of standbys included.",
        )],
    },
    ..MINUTE
};
