//! Queries that a standby cancels because the primary changed what they read.

use super::query::{MINUTE, Most, Query, Shape, Top, counter, sql_of};

/// All zero on a primary, and left out there.
pub(super) const CONFLICTS: Query = Query {
    name: "database_conflicts",
    why: "Each is a query that somebody ran on the standby and did not get an answer to.",
    sql: &[sql_of(
        "pg_stat_database_conflicts",
        14,
        "select datid, datname, confl_tablespace, confl_lock, confl_snapshot, confl_bufferpin, confl_deadlock\
         {confl_active_logicalslot} from pg_stat_database_conflicts where pg_is_in_recovery()",
    )],
    shape: Shape::Columns {
        labels: &["datid", "datname"],
        columns: &[
            counter(
                "confl_tablespace",
                "pg_stat_database_conflicts_confl_tablespace",
                "Queries cancelled because a tablespace was dropped.",
            ),
            counter(
                "confl_lock",
                "pg_stat_database_conflicts_confl_lock",
                "Queries cancelled because of a lock.",
            ),
            counter(
                "confl_snapshot",
                "pg_stat_database_conflicts_confl_snapshot",
                "Queries cancelled because rows that they could see were removed.",
            ),
            counter(
                "confl_bufferpin",
                "pg_stat_database_conflicts_confl_bufferpin",
                "Queries cancelled because they held a page in memory.",
            ),
            counter(
                "confl_deadlock",
                "pg_stat_database_conflicts_confl_deadlock",
                "Queries cancelled because of a deadlock.",
            ),
            counter(
                "confl_active_logicalslot",
                "pg_stat_database_conflicts_confl_active_logicalslot",
                "Logical slots in use that were invalidated.",
            )
            .since(16),
        ],
    },
    top: Some(Top {
        most: Most::Databases,
        by: &["confl_snapshot", "confl_lock"],
        folds: &["datid", "datname"],
    }),
    ..MINUTE
};
