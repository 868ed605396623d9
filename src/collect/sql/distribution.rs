//! How long transactions are open and sessions idle, by size: one number would hide the many behind the one.
//!
//! These histograms are of this moment: they fall again, so `rate()` of them means nothing.

use super::query::{Query, Shape, TEN_SECONDS, sql};
use super::row::Fields;
use super::waits::program;
use crate::model::metric::{Desc, Histogram, Kind, label_set};

/// Seconds; from the length of a healthy transaction to that of a forgotten one.
const BOUNDS: [f64; 10] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, f64::INFINITY];

/// Columns of the statements: how many fall into each bucket, by `width_bucket`, which counts from 0.
const COLUMNS: [&str; 10] = ["b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9"];

pub(super) const XACT_AGE: Query = Query {
    name: "activity_xact_age",
    why: "Whether one transaction is old or all of them are.",
    sql: &[sql(
        14,
        "select datname, sum(age) as total, count(*) filter (where b = 0) as b0, count(*) filter (where b = 1) as b1, \
         count(*) filter (where b = 2) as b2, count(*) filter (where b = 3) as b3, count(*) filter (where b = 4) as b4, \
         count(*) filter (where b = 5) as b5, count(*) filter (where b = 6) as b6, count(*) filter (where b = 7) as b7, \
         count(*) filter (where b = 8) as b8, count(*) filter (where b = 9) as b9 from (select datname, age, \
         width_bucket(age, array[1, 3, 10, 30, 100, 300, 1000, 3000, 10000]::float8[]) as b from (select \
         {db:datname} as datname, greatest(extract(epoch from clock_timestamp() - xact_start)::float8, 0) as age \
         from pg_stat_activity where xact_start is not null and datname is not null and pid <> pg_backend_pid() \
         and backend_type in ('client backend', 'parallel worker')) as open) as sorted group by 1",
    )],
    shape: Shape::Rows {
        reads: &["b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9", "datname", "total"],
        gives: &[XACT],
        decode: |rows| vec![XACT.histogram(rows.iter().map(|row| histogram(*row, &["datname"])).collect())],
    },
    ..TEN_SECONDS
};

/// The programs with the most idle sessions by name; what programs append to their names is cut, as in
/// [`super::waits::CONNECTIONS`].
pub(super) const IDLE: Query = Query {
    name: "process_idle",
    why: "Sessions that idle for hours are a pool that is too large.",
    sql: &[sql(
        14,
        concat!(
            "select state, application_name, sum(idle) as total, count(*) filter (where b = 0) as b0, \
         count(*) filter (where b = 1) as b1, count(*) filter (where b = 2) as b2, count(*) filter (where b = 3) as b3, \
         count(*) filter (where b = 4) as b4, count(*) filter (where b = 5) as b5, count(*) filter (where b = 6) as b6, \
         count(*) filter (where b = 7) as b7, count(*) filter (where b = 8) as b8, count(*) filter (where b = 9) as b9 \
         from (select state, case when dense_rank() over (order by many desc, application_name) <= 10 \
         then application_name else 'other' end as application_name, idle, \
         width_bucket(idle, array[1, 3, 10, 30, 100, 300, 1000, 3000, 10000]::float8[]) as b from (select state, \
         application_name, idle, count(*) over (partition by application_name) as many from (select state, \
         ",
            program!(),
            " \
         as application_name, greatest(extract(epoch from clock_timestamp() - state_change)::float8, 0) as idle \
         from pg_stat_activity where state like 'idle%') as sessions) as counted) as ranked group by 1, 2"
        ),
    )],
    shape: Shape::Rows {
        reads: &[
            "application_name",
            "b0",
            "b1",
            "b2",
            "b3",
            "b4",
            "b5",
            "b6",
            "b7",
            "b8",
            "b9",
            "state",
            "total",
        ],
        gives: &[PROCESS],
        decode: |rows| {
            vec![
                PROCESS.histogram(
                    rows.iter().map(|row| histogram(*row, &["state", "application_name"])).collect(),
                ),
            ]
        },
    },
    ..TEN_SECONDS
};

const XACT: Desc = Desc {
    name: "pg_stat_activity_xact_age_seconds",
    kind: Kind::Histogram,
    labels: &["datname"],
    help: "Transactions of clients that are open at this moment, by age.",
};

const PROCESS: Desc = Desc {
    name: "pg_process_idle_seconds",
    kind: Kind::Histogram,
    labels: &["state", "application_name"],
    help: "Client sessions that are idle at this moment, by how long.",
};

fn histogram(row: &dyn Fields, labels: &[&'static str]) -> Histogram {
    let texts = labels.iter().map(|name| row.get(name).unwrap_or_default());
    let count = |name: &&str| row.get(name).and_then(|text| text.parse().ok()).unwrap_or_default();
    let buckets = BOUNDS.into_iter().zip(COLUMNS.iter().map(count)).collect();
    Histogram { labels: label_set(labels, texts), buckets, sum: row.number("total").unwrap_or_default() }
}
