//! The files of `host_file::FILES` as PostgreSQL sees them where it runs.

use futures_util::future::join_all;

use super::files::{Answer, Files};
use crate::client::postgres::Session;
use crate::model::error::chain;
use crate::model::host_file::{MOST_BYTES, path};
use crate::model::setting::quote;

/// Who calls `pg_read_file`: a superuser may, and everyone else through our function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    Superuser,
    Function,
}

/// Lets PostgreSQL read files where it runs. The statements travel together; one that fails costs only its own file.
pub async fn read(session: &Session, through: Through, names: &[String], into: &mut Files) {
    let asked = names.iter().filter_map(|name| Some((name, statement(through, name)?)));
    let answers = join_all(asked.map(|(name, sql)| async move {
        let row = session.row(&format!("reading the host's {name}"), &sql).await;
        (
            name.clone(),
            row.map_or_else(|error| Answer::Refused(chain(&error)), |row| Answer::of(row.get("text"))),
        )
    }));
    into.extend(answers.await);
}

fn statement(through: Through, name: &str) -> Option<String> {
    let path = path(name)?;
    Some(match through {
        Through::Function => format!("SELECT pgpilot.host_file({}) AS text", quote(name)),
        Through::Superuser => {
            format!("SELECT pg_catalog.pg_read_file({}, 0, {MOST_BYTES}, true) AS text", quote(&path))
        }
    })
}
