//! What collectors could show if the role had more rights: the doctor's findings on metrics.

use crate::client::Target;
use crate::client::postgres::{Lane, PgError};
use crate::collect::sql::{Ground, QUERIES, RIGHTS, Right};
use crate::model::doctor::{Finding, State};
use crate::model::setting::quote_identifier;

/// Rights that the doctor looks at anyway, because tuning needs them too.
const ELSEWHERE: &[&str] = &["pg_monitor", "pg_file_settings"];

/// Looks with a session of its own.
///
/// # Errors
/// When the server cannot be reached.
pub(super) async fn findings(target: &Target, lane: &Lane) -> Result<Vec<Finding>, PgError> {
    let session = target.connect(lane).await?;
    let ground = Ground::read(&session, &[]).await?;
    let role = session.row("reading our role", "select current_user as name").await?.text("name");
    let role = quote_identifier(&role);
    let rights = RIGHTS.iter().filter(|right| !ELSEWHERE.contains(&right.name));
    let mut found: Vec<_> = rights.map(|right| of_right(right, &ground, &role)).collect();
    found.extend(
        ground.shut().filter(|(name, _)| is_read(name)).map(|(name, schema)| of_schema(name, &schema, &role)),
    );
    Ok(found)
}

fn of_right(right: &Right, ground: &Ground, role: &str) -> Finding {
    let names: Vec<_> =
        QUERIES.iter().filter(|query| query.needs.contains(&right)).map(|query| query.name).collect();
    let names = names.join(", ");
    if ground.holds(right) {
        let what = format!("the role sees {}", right.gives);
        return Finding { name: right.name, state: State::Ok, what, remedy: None };
    }
    let what =
        format!("optional: without this right the collectors {names} give nothing; it gives {}", right.gives);
    Finding { name: right.name, state: State::Warn, what, remedy: Some(right.grant(role)) }
}

fn is_read(extension: &str) -> bool {
    QUERIES.iter().any(|query| query.extension == Some(extension))
}

fn of_schema(extension: &str, schema: &str, role: &str) -> Finding {
    let what = format!("the role may not look into {schema}, where {extension} is");
    let remedy = format!("GRANT USAGE ON SCHEMA {schema} TO {role};");
    Finding { name: "extension_schema", state: State::Warn, what, remedy: Some(remedy) }
}
