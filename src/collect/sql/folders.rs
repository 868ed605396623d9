//! What lies in the server's folders: WAL, its archive, files of queries, tablespaces.

use super::query::{Cadence, MINUTE, Most, Query, Shape, Top, gauge, sql};
use super::rights::MONITOR;

pub(super) const WAL: Query = Query {
    name: "wal_files",
    why: "WAL that a slot, an archive or a standby holds on to fills the disk.",
    needs: &[&MONITOR],
    sql: &[sql(
        14,
        "select count(*) as segments, coalesce(sum(size), 0) as bytes from pg_ls_waldir() \
         where length(name) = 24 and name ~ '^[0-9A-F]+$'",
    )],
    shape: Shape::Columns {
        labels: &[],
        columns: &[
            gauge("segments", "pg_wal_segments", "WAL files."),
            gauge("bytes", "pg_wal_size_bytes", "Size of the WAL files."),
        ],
    },
    cost: "some microseconds a file",
    ..MINUTE
};

pub(super) const ARCHIVE: Query = Query {
    name: "wal_archive_ready",
    why: "When these pile up, the archive command is failing or too slow.",
    needs: &[&MONITOR],
    sql: &[sql(
        14,
        "select count(*) as ready from pg_ls_archive_statusdir() where name like '%.ready' \
         having current_setting('archive_mode') <> 'off'",
    )],
    shape: Shape::Columns {
        labels: &[],
        columns: &[gauge(
            "ready",
            "pg_wal_archive_ready_files",
            "WAL files that wait for the archive command; absent while archive_mode is off.",
        )],
    },
    cost: "some microseconds a file",
    ..MINUTE
};

pub(super) const TEMP: Query = Query {
    name: "temp_files",
    why: "Sorts and hashes that do not fit into work_mem, while they run.",
    needs: &[&MONITOR],
    sql: &[sql(14, "select count(*) as files, coalesce(sum(size), 0) as bytes from pg_ls_tmpdir()")],
    shape: Shape::Columns {
        labels: &[],
        columns: &[
            gauge("files", "pg_temp_files", "Files of queries that are running, in the default tablespace."),
            gauge("bytes", "pg_temp_files_bytes", "Size of those files."),
        ],
    },
    ..MINUTE
};

pub(super) const TABLESPACES: Query = Query {
    name: "tablespace_size",
    why: "Which disk it is that grows.",
    cadence: Cadence::TenMinutes,
    sql: &[sql(
        14,
        "select spcname, pg_tablespace_size(oid) as bytes from pg_tablespace \
         where has_tablespace_privilege(oid, 'create') or pg_has_role('pg_read_all_stats', 'usage')",
    )],
    shape: Shape::Columns {
        labels: &["spcname"],
        columns: &[gauge("bytes", "pg_tablespace_size_bytes", "Disk space of the tablespace.")],
    },
    top: Some(Top { most: Most::Fixed(20), by: &["bytes"], folds: &["spcname"] }),
    cost: "2 µs for each file of the server",
    ..MINUTE
};
