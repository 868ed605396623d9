//! The server's clock beside ours.

use super::query::{FAST, Query, Shape, sql};
use super::row::Fields;
use crate::model::metric::{Desc, Family, Kind};

/// Off by the time that the answer took, some milliseconds.
pub(super) const CLOCK: Query = Query {
    name: "clock",
    why: "Ages and lags that compare the two clocks are wrong by as much.",
    sql: &[sql(14, "select extract(epoch from clock_timestamp()) as now")],
    shape: Shape::Rows { reads: &["now"], gives: &[SKEW], decode },
    ..FAST
};

const SKEW: Desc = Desc {
    name: "pg_clock_skew_seconds",
    kind: Kind::Gauge,
    labels: &[],
    help: "How far the server's clock is ahead of pgpilot's.",
};

fn decode(rows: &[&dyn Fields]) -> Vec<Family> {
    let ours = jiff::Timestamp::now().as_duration().as_secs_f64();
    rows.iter().filter_map(|row| Some(SKEW.single(row.number("now")? - ours))).collect()
}
