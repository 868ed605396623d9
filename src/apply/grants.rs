//! The SQL of `pgpilot setup`: what the role is given, and how it is taken away again.

use postgres_protocol::password::scram_sha_256;

use super::setup::{Step, Wanted};
use super::wrapper;
use crate::model::host_file;
use crate::model::setting::{quote, quote_name};

/// Our sessions: three lanes, one to apply, and as many again while a new container takes over.
const SESSIONS: u32 = 8;

/// Marks a role as made by us, so that removing never drops another one.
const MARK: &str = "made by pgpilot setup";

/// Endings of settings that are as good as a shell or as superuser: never granted, whoever asks.
const NEVER: &[&str] =
    &["_libraries", "_library", "_command", "_file", "_path", "_directory", "_directories"];

/// Parameters can be granted, and pg_checkpoint exists, since this major.
const GRANTS_SINCE: u32 = 15;

/// Makes the role and gives it its rights.
pub(super) fn give(wanted: &Wanted<'_>, major: u32) -> Vec<Step> {
    let role = quote_role(wanted.role);
    let mut steps = make_role(wanted, &role);
    steps.extend(grant_rights(major, &role));
    steps.push(Step::new("schema pgpilot", schema(&role)));
    steps.push(Step::new("pgpilot.host_file, which shows where PostgreSQL runs", host_file_function(&role)));
    let names = grantable(wanted.names);
    if !names.is_empty() {
        steps.push(grant_settings(major, &role, &names));
    }
    steps.push(Step::optional("extension pg_stat_statements, where it is preloaded", STATEMENTS.to_owned()));
    steps
}

/// The settings among these that may be granted.
fn grantable<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let is_fit = |name: &&str| !NEVER.iter().any(|ending| name.ends_with(ending));
    names.iter().copied().filter(is_fit).collect()
}

/// A role's name is one identifier, whatever dots it has.
fn quote_role(role: &str) -> String {
    format!("\"{}\"", role.replace('"', "\"\""))
}

fn make_role(wanted: &Wanted<'_>, role: &str) -> Vec<Step> {
    let name = quote(wanted.role);
    let make = format!(
        "DO $pgpilot$ BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {name} AND rolsuper) THEN
    RAISE EXCEPTION 'role % is a superuser: set PGPILOT_ROLE to a name of its own', {name};
  END IF;
  IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {name}
    AND pg_catalog.shobj_description(oid, 'pg_authid') IS DISTINCT FROM {mark}) THEN
    RAISE EXCEPTION 'role % is there and was not made by pgpilot setup: set PGPILOT_ROLE to a name of its own', {name};
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {name}) THEN
    CREATE ROLE {role};
    COMMENT ON ROLE {role} IS {mark};
  END IF;
END $pgpilot$",
        mark = quote(MARK),
    );
    let limits = format!("ALTER ROLE {role} LOGIN NOSUPERUSER CONNECTION LIMIT {SESSIONS}");
    // The server gets a verifier and never the password, which would stand in its log.
    let password = wanted.password.map(|password| {
        let verifier = scram_sha_256(password.expose().as_bytes());
        Step::new("its password, as a verifier", format!("ALTER ROLE {role} PASSWORD {}", quote(&verifier)))
    });
    let steps = [Step::new("the role", make), Step::new("it may log in, a few times at once", limits)];
    steps.into_iter().chain(password).collect()
}

fn grant_rights(major: u32, role: &str) -> Vec<Step> {
    let monitor = if major >= GRANTS_SINCE { "pg_monitor, pg_checkpoint" } else { "pg_monitor" };
    let files = format!(
        "GRANT SELECT ON pg_catalog.pg_file_settings TO {role};
GRANT EXECUTE ON FUNCTION pg_catalog.pg_show_all_file_settings() TO {role}"
    );
    let reload = format!("GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO {role}");
    vec![
        Step::new("it sees statistics, settings and sessions", format!("GRANT {monitor} TO {role}")),
        Step::new("it may reload the configuration", reload),
        Step::new("it sees what stands in the configuration files", files),
    ]
}

/// Taken over when someone else made it before: what is in it runs with a superuser's rights.
fn schema(role: &str) -> String {
    format!(
        "CREATE SCHEMA IF NOT EXISTS pgpilot;
ALTER SCHEMA pgpilot OWNER TO CURRENT_USER;
REVOKE ALL ON SCHEMA pgpilot FROM PUBLIC;
GRANT USAGE ON SCHEMA pgpilot TO {role}"
    )
}

fn host_file_function(role: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION pgpilot.host_file(name text) RETURNS text
  LANGUAGE sql STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  AS $pgpilot$ SELECT pg_read_file({}, 0, {}, true) $pgpilot$;
{}",
        host_file::sql_path(),
        host_file::MOST_BYTES,
        ours_alone("pgpilot.host_file(text)", role)
    )
}

/// A function that runs as superuser belongs to a superuser, and only the role may call it.
pub(super) fn ours_alone(function: &str, role: &str) -> String {
    format!(
        "ALTER FUNCTION {function} OWNER TO CURRENT_USER;
REVOKE ALL ON FUNCTION {function} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {function} TO {role}"
    )
}

fn grant_settings(major: u32, role: &str, names: &[&str]) -> Step {
    const WHAT: &str = "it may set these, and no others";
    if major < GRANTS_SINCE {
        return Step::optional(WHAT, wrapper::sql(role, names));
    }
    let list: Vec<_> = names.iter().map(|name| format!("    {}", quote(&quote_name(name)))).collect();
    Step::new(WHAT, GRANT_KNOWN.replace("{list}", &list.join(",\n")).replace("{role}", &quote(role)))
}

/// A setting that this server does not have is passed over, but for those of extensions, which may come later.
const GRANT_KNOWN: &str = r#"DO $pgpilot$ DECLARE parameter text; BEGIN
  FOREACH parameter IN ARRAY ARRAY[
{list}
  ] LOOP
    IF parameter LIKE '%.%' OR EXISTS (SELECT FROM pg_catalog.pg_settings
      WHERE name = pg_catalog.btrim(parameter, '"')) THEN
      EXECUTE 'GRANT ALTER SYSTEM ON PARAMETER ' || parameter || ' TO ' || {role};
    END IF;
  END LOOP;
END $pgpilot$"#;

/// Named with its schema, since our sessions' search_path has no place where objects can be made.
pub(super) const STATEMENTS: &str = "DO $pgpilot$ BEGIN
  IF current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%'
    AND EXISTS (SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'pg_stat_statements') THEN
    CREATE EXTENSION IF NOT EXISTS pg_stat_statements WITH SCHEMA public;
  END IF;
END $pgpilot$";

/// Takes back all of it but the extension pg_stat_statements, which others may use by now.
///
/// Nothing that the role owns is dropped, and a role that we did not make stays.
pub(super) fn take(wanted: &Wanted<'_>, major: u32) -> Vec<Step> {
    let (name, role) = (&quote(wanted.role), &quote_role(wanted.role));
    let drop = format!(
        "DO $pgpilot$ BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {name}
    AND pg_catalog.shobj_description(oid, 'pg_authid') = {mark}) THEN DROP ROLE {role}; END IF;
END $pgpilot$",
        mark = quote(MARK),
    );
    let functions = format!("DROP FUNCTION IF EXISTS pgpilot.host_file(text);\n{}", wrapper::REMOVE);
    vec![
        Step::new("the role's rights", revoke_rights(major, name, role)),
        Step::new("pgpilot's functions", functions),
        Step::new("schema pgpilot", "DROP SCHEMA IF EXISTS pgpilot".to_owned()),
        Step::new("the role, if pgpilot made it", drop),
    ]
}

fn revoke_rights(major: u32, name: &str, role: &str) -> String {
    let parameters = if major >= GRANTS_SINCE { revoke_parameters(role) } else { String::new() };
    format!(
        "DO $pgpilot$ DECLARE parameter text; BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {name}) THEN RETURN; END IF;{parameters}
  REVOKE pg_monitor FROM {role};
  REVOKE EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() FROM {role};
  REVOKE SELECT ON pg_catalog.pg_file_settings FROM {role};
  REVOKE EXECUTE ON FUNCTION pg_catalog.pg_show_all_file_settings() FROM {role};
  IF EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'pgpilot') THEN
    REVOKE ALL ON SCHEMA pgpilot FROM {role};
  END IF;
END $pgpilot$"
    )
}

/// All of them, since an older version of us may have granted others than this one.
fn revoke_parameters(role: &str) -> String {
    format!(
        "
  FOR parameter IN SELECT parname FROM pg_catalog.pg_parameter_acl, pg_catalog.aclexplode(paracl)
    WHERE grantee = {literal}::pg_catalog.regrole LOOP
    EXECUTE pg_catalog.format('REVOKE ALL ON PARAMETER %s FROM %s', parameter, {literal});
  END LOOP;
  REVOKE pg_checkpoint FROM {role};",
        literal = quote(role),
    )
}
