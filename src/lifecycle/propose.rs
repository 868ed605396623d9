//! From a plan's rows to the change that carries them.

use jiff::Timestamp;

use crate::model::change::{Cause, Change, Disruption, Move, State, Subject};
use crate::model::plan::{Plan, Row};
use crate::model::postgres::Postgres;
use crate::model::setting::{Context, Value};

/// Which rows of the plan are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub disruption: Disruption,
    /// Empty: all of them.
    pub only: &'a [String],
}

/// The change that writes the plan's wanted rows; none when there are none.
pub fn propose(plan: &Plan, server: &Postgres, wanted: Wanted<'_>, now: Timestamp) -> Option<Change> {
    let context = match wanted.disruption {
        Disruption::Reload => Context::Reload,
        Disruption::Restart => Context::Restart,
    };
    let named = |row: &&Row| wanted.only.is_empty() || wanted.only.contains(&row.name);
    let moves: Vec<_> = plan.to_set(context).filter(named).filter_map(|row| to_move(row, server)).collect();
    (!moves.is_empty()).then(|| Change {
        cause: Cause::Plan,
        made_at: now,
        system_identifier: server.system_identifier.clone(),
        server_started_ms: started_ms(server),
        disruption: wanted.disruption,
        moves,
    })
}

fn to_move(row: &Row, server: &Postgres) -> Option<Move> {
    let planned = row.planned.as_ref()?;
    Some(Move {
        subject: Subject::PgSetting(row.name.clone()),
        expect: State::Setting(server.entry(&row.name).map(ToOwned::to_owned)),
        desired: State::Setting(Some(stored(planned))),
        from: row.current.shown(),
        to: planned.shown(),
        why: row.why.clone(),
    })
}

/// `pg_postmaster_start_time()` in whole milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 are far below 2⁶³")]
pub(super) fn started_ms(server: &Postgres) -> i64 {
    (server.started_at * 1000.0).round() as i64
}

/// The value as ALTER SYSTEM stores it, and `pg_file_settings` shows it afterwards.
fn stored(value: &Value) -> String {
    match value {
        Value::List(items) => items.iter().map(|item| quote_identifier(item)).collect::<Vec<_>>().join(", "),
        Value::Size(_)
        | Value::Time(_)
        | Value::Int(_)
        | Value::Real(_)
        | Value::Bool(_)
        | Value::Word(_) => value.to_string(),
    }
}

/// The server quotes an element of a list unless it is a plain lower-case name.
fn quote_identifier(item: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if item.chars().all(plain) && !item.starts_with(|c: char| c.is_ascii_digit()) {
        item.to_owned()
    } else {
        format!("\"{}\"", item.replace('"', "\"\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_stored_as_the_server_stores_them() {
        let list = Value::List(vec!["timescaledb".to_owned(), "$libdir/x".to_owned()]);
        assert_eq!(stored(&list), "timescaledb, \"$libdir/x\"");
    }
}
