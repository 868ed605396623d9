//! What the role that we are connected as may do.

use crate::client::postgres::{PgError, Session};
use crate::model::postgres::Role;

/// Parameters can be granted since this major.
const GRANTS_SINCE: u32 = 15;

/// Reads our rights; `list` is a text array of settings' names.
pub async fn read(session: &Session, major: u32, list: &str) -> Result<Role, PgError> {
    let rights = session.row("reading our rights", RIGHTS).await?;
    let superuser = rights.is_true("superuser");
    let holds = match (superuser, major >= GRANTS_SINCE, rights.is_true("wrapped")) {
        (true, ..) => Some("true"),
        (false, true, _) => Some("pg_catalog.has_parameter_privilege(name, 'ALTER SYSTEM')"),
        (false, false, true) => Some("name = ANY (pgpilot.alterable())"),
        (false, false, false) => None,
    };
    let may_set = match holds {
        Some(holds) => {
            let sql = format!("SELECT name FROM pg_catalog.unnest({list}) AS name WHERE {holds}");
            session.rows("reading which settings are granted", &sql).await?
        }
        None => vec![],
    };
    Ok(Role {
        name: rights.text("name"),
        superuser,
        may_set: may_set.iter().map(|row| row.text("name")).collect(),
        may_reload: rights.is_true("may_reload"),
        sees_file_settings: rights.is_true("sees_file_settings"),
        reads_host: superuser || rights.is_true("reads_host"),
        monitors: rights.is_true("monitors"),
    })
}

/// A function in a schema that we may not use is not ours to call, so names are looked up in the catalogue:
/// `to_regprocedure` would fail there.
const RIGHTS: &str = "WITH ours AS (SELECT p.proname FROM pg_catalog.pg_proc p \
       JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'pgpilot' \
       AND pg_catalog.has_schema_privilege(n.oid, 'usage') AND pg_catalog.has_function_privilege(p.oid, 'execute')) \
     SELECT current_user AS name, \
     (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) AS superuser, \
     pg_catalog.has_function_privilege('pg_catalog.pg_reload_conf()', 'execute') AS may_reload, \
     pg_catalog.has_table_privilege('pg_catalog.pg_file_settings', 'select') \
       AND pg_catalog.has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'execute') AS sees_file_settings, \
     EXISTS (SELECT FROM ours WHERE proname = 'host_file') AS reads_host, \
     EXISTS (SELECT FROM ours WHERE proname = 'alter_system') AS wrapped, \
     pg_catalog.pg_has_role('pg_monitor', 'usage') AS monitors";
