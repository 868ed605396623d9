//! Statements: read without texts, grouped by texts that are read once, shown with the texts of those that are shown.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tracing::debug;

use super::desk::Desk;
use super::locked;
use super::own::QUERY_TEXT;
use crate::client::postgres::{PgError, Session};
use crate::collect::sql::statement_groups::{Groups, QUERYID, shown_sql, texts_sql};
use crate::collect::sql::{Ground, OTHER, Query, Row, each};
use crate::model::error::chain;
use crate::model::metric::Family;

/// The server reads all texts from a file each time, and takes these many apart.
const BATCH: usize = 500;

/// What is left unread after this time is read the next time.
const PATIENCE: Duration = Duration::from_secs(2);

/// A server whose texts cannot be read in time is not asked again so soon.
const PAUSE: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(super) struct Statements {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    groups: Groups,
    /// By label `queryid`.
    texts: HashMap<String, String>,
    not_before: Option<Instant>,
}

impl Statements {
    /// Reads them and puts them on the desk, with the texts of those that are shown.
    pub(super) async fn read(
        &self,
        session: &Session,
        ground: &Ground,
        query: &'static Query,
        desk: &Desk,
        sql: &str,
    ) -> Result<Duration, PgError> {
        let began = Instant::now();
        let mut rows = vec![];
        each(session, query, sql, |row| rows.push(row)).await?;
        let schema = ground.schema("pg_stat_statements");
        self.learn(session, &schema, &rows).await;
        let folded = self.held().groups.fold(query, rows);
        folded.into_iter().for_each(|row| desk.push(query, row));
        Ok(began.elapsed())
    }

    /// Reads the texts of statements that are new; a failure costs only that they stand for themselves.
    async fn learn(&self, session: &Session, schema: &str, rows: &[Row]) {
        let began = Instant::now();
        let unknown = self.held().groups.unknown(rows);
        for batch in unknown.chunks(BATCH) {
            if began.elapsed() > PATIENCE || self.is_pausing() {
                return;
            }
            let ids: Vec<&str> = batch.iter().map(String::as_str).collect();
            match session.rows("reading the texts of statements", &texts_sql(schema, &ids)).await {
                Ok(found) => {
                    let mut held = self.held();
                    // One that was evicted in between has no text.
                    batch.iter().for_each(|id| held.groups.learn(id.clone(), None));
                    for row in found {
                        held.groups.learn(row.text("queryid"), row.get("grouped").map(ToOwned::to_owned));
                    }
                }
                Err(error) => return self.pause(&error),
            }
        }
    }

    /// A family with the texts of these rows.
    pub(super) async fn texts(
        &self,
        session: &Session,
        ground: &Ground,
        rows: &[String],
    ) -> Option<Arc<Family>> {
        let wanted: Vec<(String, String)> = {
            let held = self.held();
            let new = rows.iter().filter(|id| *id != OTHER && !held.texts.contains_key(*id));
            new.map(|id| (id.clone(), held.groups.member(id).to_owned())).collect()
        };
        if !wanted.is_empty() && !self.is_pausing() {
            let ids: Vec<&str> = wanted.iter().map(|(_, member)| member.as_str()).collect();
            let sql = shown_sql(&ground.schema("pg_stat_statements"), &ids);
            match session.rows("reading the texts of statements", &sql).await {
                Ok(found) => {
                    let by_id: HashMap<_, _> =
                        found.iter().map(|row| (row.text("queryid"), row.text("query"))).collect();
                    let text = |member: &String| by_id.get(member).cloned();
                    self.held()
                        .texts
                        .extend(wanted.iter().filter_map(|(id, member)| Some((id.clone(), text(member)?))));
                }
                Err(error) => self.pause(&error),
            }
        }
        let mut held = self.held();
        held.texts.retain(|id, _| rows.contains(id));
        let sample = |(id, text): (&String, &String)| QUERY_TEXT.sample(&[id, text], 1.0);
        let samples: Vec<_> = held.texts.iter().map(sample).collect();
        (!samples.is_empty()).then(|| Arc::new(QUERY_TEXT.family(samples)))
    }

    fn is_pausing(&self) -> bool {
        self.held().not_before.is_some_and(|at| Instant::now() < at)
    }

    fn pause(&self, error: &PgError) {
        // A session that was lost says nothing of the texts.
        if error.limit().is_some() {
            debug!(error = chain(error), "texts of statements are left alone for ten minutes");
            self.held().not_before = Some(Instant::now() + PAUSE);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        locked(&self.held)
    }
}

/// The label `queryid` of a reading's samples, once each.
pub(super) fn ids(families: &[Arc<Family>]) -> Vec<String> {
    let Some(family) = families.first() else { return vec![] };
    let mut ids: Vec<_> =
        family.samples.iter().filter_map(|sample| Some(sample.labels.get(QUERYID)?.1.clone())).collect();
    ids.sort();
    ids.dedup();
    ids
}
