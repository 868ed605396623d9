//! Runs any query: all at once on one session, so that they cost one round trip together.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::query::{Fields, Query};
use crate::client::postgres::Session;
use crate::collect::{Absence, CollectError, Outcome, Report};

/// Runs queries on a server of this major and hands each report out as soon as it is there.
///
/// Each statement is its own transaction: one that fails spoils no other. The server works them off one after
/// another, so a query's time counts from the end of the one before it.
pub async fn run(session: &Session, major: u32, queries: &[&'static Query], report: impl Fn(Report)) {
    let done = Mutex::new(Instant::now());
    let (done, report) = (&done, &report);
    let one = |query: &'static Query| async move {
        let outcome = collect(session, major, query).await;
        let took = lap(done, Instant::now());
        report(Report { collector: query.name, outcome, took });
    };
    join_all(queries.iter().map(|query| one(query))).await;
}

/// The time since the last lap; the next one starts now.
fn lap(done: &Mutex<Instant>, now: Instant) -> Duration {
    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
    now - std::mem::replace(&mut *done, now)
}

async fn collect(session: &Session, major: u32, query: &'static Query) -> Result<Outcome, CollectError> {
    let Some(sql) = query.statement(major) else { return Ok(Outcome::Nothing(Absence::OlderServer)) };
    let rows = session.rows(query.name, sql).await?;
    let rows: Vec<&dyn Fields> = rows.iter().map(|row| row as &dyn Fields).collect();
    Ok(Outcome::Collected(query.decode(major, &rows)))
}
