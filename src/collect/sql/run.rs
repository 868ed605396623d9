//! Runs any query, and several at once on one session, so that they cost one round trip together.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::ground::Ground;
use super::query::{Query, Shape};
use super::row::{Fields, Layout, Made, Row};
use crate::client::postgres::{PgError, Session, TextRow};
use crate::collect::Absence;

/// What came of one query.
#[derive(Debug)]
pub struct Ran {
    pub query: &'static Query,
    pub found: Result<Found, PgError>,
    pub took: Duration,
}

#[derive(Debug)]
pub enum Found {
    /// Of a query whose columns are metrics.
    Rows(Vec<Row>),
    /// Of one that decodes for itself, with the number of rows that it had.
    Families(Made, usize),
    Nothing(Absence),
}

/// A query with the statement to send, or why there is none.
#[derive(Debug)]
pub struct Task {
    pub query: &'static Query,
    sql: Result<String, Absence>,
}

/// The statements of queries as they are. `named` as in [`super::template::fill`].
pub fn plain(ground: &Ground, queries: &[&'static Query], named: Option<&[String]>) -> Vec<Task> {
    queries.iter().map(|query| Task { query, sql: ground.statement(query, named) }).collect()
}

/// As [`plain`], for a session that runs them many times: the server keeps their plans, of which making is most of
/// what they cost (measured, a round of 29: 12 ms without, 6 ms with). One that it will not prepare is sent as it is.
pub async fn prepared(session: &Session, tasks: Vec<Task>) -> Vec<Task> {
    let one = |(at, task): (usize, Task)| async move {
        let Ok(sql) = &task.sql else { return task };
        let prepare = format!("prepare pgpilot_{at} as {sql}");
        match session.run(task.query.name, &prepare).await {
            Ok(()) => Task { sql: Ok(format!("execute pgpilot_{at}")), ..task },
            Err(_) => task,
        }
    };
    join_all(tasks.into_iter().enumerate().map(one)).await
}

/// Runs queries and hands each result out as soon as it is there.
///
/// Each statement is its own transaction: one that fails spoils no other. The server works them off one after
/// another, so a query's time counts from the end of the one before it.
pub async fn run(session: &Session, tasks: impl Iterator<Item = &Task>, report: impl Fn(Ran)) {
    let done = Mutex::new(Instant::now());
    let (done, report) = (&done, &report);
    let one = |task: &Task| {
        let (query, sql) =
            (task.query, task.sql.as_deref().map_err(|absence| *absence).map(ToOwned::to_owned));
        async move {
            let found = match sql {
                Ok(sql) => find(session, query, &sql).await,
                Err(absence) => Ok(Found::Nothing(absence)),
            };
            let took = lap(done, Instant::now());
            report(Ran { query, found, took });
        }
    };
    join_all(tasks.map(one)).await;
}

/// The time since the last lap; the next one starts now.
fn lap(done: &Mutex<Instant>, now: Instant) -> Duration {
    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
    now - std::mem::replace(&mut *done, now)
}

async fn find(session: &Session, query: &'static Query, sql: &str) -> Result<Found, PgError> {
    match query.shape {
        Shape::Columns { .. } => {
            let mut rows = vec![];
            each(session, query, sql, |row| rows.push(row)).await?;
            Ok(Found::Rows(rows))
        }
        Shape::Rows { decode, .. } => {
            let rows = session.rows(query.name, sql).await?;
            let fields: Vec<&dyn Fields> = rows.iter().map(|row| row as &dyn Fields).collect();
            Ok(Found::Families(Made::of(decode(&fields)), rows.len()))
        }
    }
}

/// Hands out the rows of a query whose columns are metrics one by one: there may be tens of thousands.
///
/// # Errors
/// When the server refuses the statement or does not answer in time.
pub async fn each(
    session: &Session,
    query: &Query,
    sql: &str,
    mut take: impl FnMut(Row),
) -> Result<(), PgError> {
    let Shape::Columns { labels, columns } = query.shape else { return Ok(()) };
    let mut layout = None;
    session
        .each(query.name, sql, |row: &TextRow| {
            let layout = layout.get_or_insert_with(|| Layout::new(labels, columns, row.columns()));
            take(layout.row(|at| row.at(at)));
        })
        .await
}
