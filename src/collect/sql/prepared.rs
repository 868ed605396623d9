//! Prepared transactions, which outlive sessions and restarts.

use super::query::{MINUTE, Query, Shape, gauge, sql};

pub(super) const PREPARED: Query = Query {
    name: "prepared_xacts",
    why: "One that was forgotten holds its locks and keeps vacuum from its work for ever.",
    sql: &[sql(
        14,
        "select count(*) as prepared, coalesce(extract(epoch from clock_timestamp() - min(prepared)), 0) as oldest \
         from pg_prepared_xacts",
    )],
    shape: Shape::Columns {
        labels: &[],
        columns: &[
            gauge("prepared", "pg_prepared_xacts", "Transactions prepared for two-phase commit."),
            gauge(
                "oldest",
                "pg_prepared_xacts_oldest_age_seconds",
                "Time since the oldest was prepared; 0 when there is none.",
            ),
        ],
    },
    ..MINUTE
};
