//! How many connections a database or a role may have.

use super::query::{MINUTE, Most, Query, Shape, Top, gauge, sql};

pub(super) const DATABASES: Query = Query {
    name: "database_limits",
    why: "A database that is full refuses connections although the server has some left.",
    sql: &[sql(14, "select datname, datconnlimit as most from pg_database")],
    shape: Shape::Columns {
        labels: &["datname"],
        columns: &[gauge(
            "most",
            "pg_database_connection_limit",
            "Connections that the database may have; -1 is no limit.",
        )
        .alone()],
    },
    top: Some(Top { most: Most::Databases, by: &["most"], folds: &["datname"] }),
    ..MINUTE
};

/// Roles without a limit are left out, and PostgreSQL's own.
pub(super) const ROLES: Query = Query {
    name: "roles",
    why: "A role at its limit is refused although the server has connections left.",
    sql: &[sql(
        14,
        "select rolname, rolconnlimit as most from pg_roles where rolconnlimit >= 0 and rolname not like 'pg\\_%'",
    )],
    shape: Shape::Columns {
        labels: &["rolname"],
        columns: &[gauge("most", "pg_roles_connection_limit", "Connections that the role may have.").alone()],
    },
    top: Some(Top { most: Most::Fixed(50), by: &["most"], folds: &["rolname"] }),
    ..MINUTE
};
