//! PostgreSQL 14 cannot grant ALTER SYSTEM: there a function of a superuser does it, for a fixed list of settings.
//!
//! ALTER SYSTEM refuses to run in a transaction, and so in a function. The function opens a second session to its own
//! server through dblink and the unix socket, as the superuser that owns it. The server itself then checks the value,
//! takes its lock and replaces the file, so nothing of that is done a second time here. It needs the extension dblink
//! and a socket that lets the server's own user in (`trust` or `peer`, as the images and the distributions have it).

use super::grants::ours_alone;
use crate::model::setting::quote;

/// What makes the functions. It ends with a try, so that a socket that asks for a password is known at once.
pub(super) fn sql(role: &str, names: &[&str]) -> String {
    // Everyone may call dblink's own functions, and our role can look into this schema: it is to open no sessions.
    let dblink = "CREATE EXTENSION IF NOT EXISTS dblink WITH SCHEMA pgpilot;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA pgpilot FROM PUBLIC";
    let a_try = "DO $pgpilot$ BEGIN PERFORM pgpilot.run_again('SET lock_timeout TO 0'); END $pgpilot$";
    format!("{dblink};\n{};\n{RUN_AGAIN};\n{};\n{a_try}", alterable(role, names), alter_system(role))
}

/// Undoes it; a dblink that was there before us lies in another schema and stays.
pub(super) const REMOVE: &str = "DROP FUNCTION IF EXISTS pgpilot.alter_system(text, text);
DROP FUNCTION IF EXISTS pgpilot.alterable();
DROP FUNCTION IF EXISTS pgpilot.run_again(text);
DO $pgpilot$ BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'dblink' AND n.nspname = 'pgpilot') THEN DROP EXTENSION dblink; END IF;
END $pgpilot$";

/// What to run instead of ALTER SYSTEM; without a value it is a RESET.
pub fn call(name: &str, value: Option<&str>) -> String {
    let value = value.map_or_else(|| "NULL".to_owned(), quote);
    format!("SELECT pgpilot.alter_system({}, {value})", quote(name))
}

/// The list is a function of its own, so that what may be set can be asked.
fn alterable(role: &str, names: &[&str]) -> String {
    let list: Vec<_> = names.iter().map(|name| quote(name)).collect();
    format!(
        "CREATE OR REPLACE FUNCTION pgpilot.alterable() RETURNS text[]
  LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
  AS $pgpilot$ SELECT ARRAY[{}]::text[] $pgpilot$;
{}",
        list.join(", "),
        ours_alone("pgpilot.alterable()", role)
    )
}

/// Runs a statement in a second session, as the superuser that it runs as itself; nobody else may call it.
const RUN_AGAIN: &str = r"CREATE OR REPLACE FUNCTION pgpilot.run_again(command text) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
  AS $pgpilot$
DECLARE
  socket text := trim(split_part(current_setting('unix_socket_directories'), ',', 1));
  home text := (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'dblink');
  way text := (SELECT string_agg(format('%s=''%s''', key, replace(replace(data, '\', '\\'), '''', '\''')), ' ')
    FROM (VALUES ('host', socket), ('port', current_setting('port')), ('dbname', current_database()),
      ('user', current_user), ('connect_timeout', '3'), ('application_name', 'pgpilot alter_system'))
      AS part (key, data));
BEGIN
  IF socket = '' OR home IS NULL THEN
    RAISE EXCEPTION 'this needs a unix socket and the extension dblink';
  END IF;
  EXECUTE format('SELECT %I.dblink_exec($1, $2)', home) USING way, command;
END
$pgpilot$;
ALTER FUNCTION pgpilot.run_again(text) OWNER TO CURRENT_USER;
REVOKE ALL ON FUNCTION pgpilot.run_again(text) FROM PUBLIC";

/// The name is one of the list's, and the value is a literal: neither can carry another statement.
fn alter_system(role: &str) -> String {
    format!(
        r"CREATE OR REPLACE FUNCTION pgpilot.alter_system(name text, value text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $pgpilot$
BEGIN
  IF name IS NULL OR NOT name = ANY (pgpilot.alterable()) THEN
    RAISE EXCEPTION 'setting % is not one that pgpilot may move', coalesce(name, '(none)')
      USING ERRCODE = '42501';
  END IF;
  PERFORM pgpilot.run_again(CASE WHEN value IS NULL THEN format('ALTER SYSTEM RESET %s', name)
    ELSE format('ALTER SYSTEM SET %s TO %L', name, value) END);
END
$pgpilot$;
{}",
        ours_alone("pgpilot.alter_system(text, text)", role)
    )
}
