//! What a session finds: which columns views have, which extensions are installed with which functions, and which
//! rights the role holds.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::try_join;

use super::query::Query;
use super::rights::{RIGHTS, Right};
use super::template;
use crate::client::postgres::{PgError, Session, TextRow};
use crate::collect::Absence;
use crate::model::setting::{quote, quote_identifier};

/// The ground that statements stand on; read once for each session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ground {
    pub major: u32,
    /// The database of the session.
    pub database: String,
    /// (view, column)
    columns: BTreeSet<(String, String)>,
    /// Name and schema.
    extensions: BTreeMap<String, String>,
    /// Extensions in schemas that the role may not look into.
    shut: BTreeSet<String>,
    /// Functions of extensions: name and schema.
    functions: BTreeMap<String, String>,
    /// Names of rights that the role lacks.
    lacks: BTreeSet<&'static str>,
}

impl Ground {
    /// Reads it in one round trip, for the views that these queries ask for.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn read(session: &Session, queries: &[&'static Query]) -> Result<Self, PgError> {
        let (server, extensions) = (server_sql(), extensions_sql());
        let (columns, functions) = (columns_sql(queries), functions_sql(queries));
        let (server, extensions, columns, functions) = try_join!(
            session.row("reading the server's version and our rights", &server),
            session.rows("reading the extensions", &extensions),
            session.rows("reading the columns of views", &columns),
            session.rows("reading the functions of extensions", &functions),
        )?;
        let pair = |row: &TextRow, first: &str, second: &str| (row.text(first), row.text(second));
        Ok(Self {
            major: server.get("major").and_then(|text| text.parse().ok()).unwrap_or_default(),
            database: server.text("database"),
            columns: columns.iter().map(|row| pair(row, "view", "name")).collect(),
            extensions: extensions
                .iter()
                .filter(|row| !row.is_true("idle"))
                .map(|row| pair(row, "name", "schema"))
                .collect(),
            shut: extensions.iter().filter(|row| !row.is_true("open")).map(|row| row.text("name")).collect(),
            functions: functions.iter().map(|row| pair(row, "name", "schema")).collect(),
            lacks: RIGHTS.iter().map(|it| it.name).filter(|name| !server.is_true(name)).collect(),
        })
    }

    /// A ground by hand, with every right.
    #[cfg(test)]
    pub(super) fn of(major: u32, columns: &[(&str, &str)], extensions: &[(&str, &str)]) -> Self {
        let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        Self {
            major,
            columns: columns.iter().map(own).collect(),
            extensions: extensions.iter().map(own).collect(),
            ..Self::default()
        }
    }

    #[cfg(test)]
    pub(super) fn with_function(mut self, name: &str, schema: &str) -> Self {
        self.functions.insert(name.to_owned(), schema.to_owned());
        self
    }

    /// Whether a view has a column.
    pub fn has(&self, view: &str, column: &str) -> bool {
        self.columns.contains(&(view.to_owned(), column.to_owned()))
    }

    /// The quoted schema of an extension.
    pub fn schema(&self, extension: &str) -> String {
        // Statements with it are run only where the extension is.
        self.extensions.get(extension).map_or_else(|| "pg_catalog".to_owned(), |it| quote_identifier(it))
    }

    /// The quoted schema of an extension's function, where there is such a function.
    pub fn function(&self, name: &str) -> Option<String> {
        self.functions.get(name).map(|schema| quote_identifier(schema))
    }

    /// The rights that are missing, of those that a reader could use.
    pub fn missing(&self) -> impl Iterator<Item = &'static Right> {
        RIGHTS.iter().copied().filter(|right| !self.holds(right))
    }

    /// Whether the role has a right.
    pub fn holds(&self, right: &Right) -> bool {
        !self.lacks.contains(right.name)
    }

    /// Extensions whose schema the role may not look into, with that schema quoted.
    pub fn shut(&self) -> impl Iterator<Item = (&str, String)> {
        self.shut.iter().map(|name| (name.as_str(), self.schema(name)))
    }

    /// The statement of a query on this ground, or why there is none. `named` as in [`template::fill`].
    ///
    /// # Errors
    /// With the reason, which is no fault.
    pub fn statement(&self, query: &Query, named: Option<&[String]>) -> Result<String, Absence> {
        if query.extension.is_some_and(|name| !self.extensions.contains_key(name)) {
            return Err(Absence::NoExtension);
        }
        if query.extension.is_some_and(|name| self.shut.contains(name)) {
            return Err(Absence::MissingRight(EXTENSION_SCHEMA));
        }
        if let Some(right) = query.needs.iter().find(|right| !self.holds(right)) {
            return Err(Absence::MissingRight(right.name));
        }
        let sql = query.statement(self.major).ok_or(Absence::OlderServer)?;
        Ok(template::fill(sql, self, named))
    }
}

/// In `pgpilot_missing_privilege`: USAGE on the schema that an extension is in.
const EXTENSION_SCHEMA: &str = "extension_schema";

fn server_sql() -> String {
    let rights = RIGHTS.iter().map(|right| format!(", ({}) as {}", right.held, right.name));
    let rights: String = rights.collect();
    format!(
        "select current_setting('server_version_num')::int / 10000 as major, current_database() as database{rights}"
    )
}

fn extensions_sql() -> String {
    // Its functions refuse to work unless the library was loaded at the server's start.
    "select e.extname as name, n.nspname as schema, has_schema_privilege(n.oid, 'usage') as open, \
     e.extname = 'pg_stat_statements' and current_setting('pg_stat_statements.max', true) is null as idle \
     from pg_extension e join pg_namespace n on n.oid = e.extnamespace"
        .to_owned()
}

/// Views of the system, and of extensions in whatever schema.
fn columns_sql(queries: &[&'static Query]) -> String {
    let views: BTreeSet<_> =
        queries.iter().flat_map(|query| query.sql).flat_map(template::views).map(quote).collect();
    let list = list(views);
    format!(
        "select c.relname as view, a.attname as name from pg_class c join pg_attribute a on a.attrelid = c.oid \
         where c.relname in ({list}) and a.attnum > 0 and not a.attisdropped and (c.relnamespace = 'pg_catalog'::regnamespace \
         or c.oid in (select objid from pg_depend where classid = 'pg_class'::regclass and deptype = 'e'))"
    )
}

/// One schema for each name, should there be several.
fn functions_sql(queries: &[&'static Query]) -> String {
    let names = queries.iter().flat_map(|query| query.sql).flat_map(template::functions).map(quote).collect();
    format!(
        "select p.proname as name, min(n.nspname::text) as schema from pg_proc p \
         join pg_namespace n on n.oid = p.pronamespace where p.proname in ({}) and p.oid in \
         (select objid from pg_depend where classid = 'pg_proc'::regclass and deptype = 'e') group by 1",
        list(names)
    )
}

/// Quoted texts as a list, which must not be empty in SQL.
fn list(texts: BTreeSet<String>) -> String {
    if texts.is_empty() { "''".to_owned() } else { texts.into_iter().collect::<Vec<_>>().join(", ") }
}

#[cfg(test)]
mod tests {
    use super::super::query::{FAST, sql};
    use super::super::rights::READ_ALL_DATA;
    use super::*;

    #[test]
    fn a_query_without_what_it_needs_says_what() {
        const SQL: &[super::super::query::Sql] = &[sql(16, "select 1")];
        let plain = Query { sql: SQL, ..FAST };
        let extended = Query { sql: SQL, extension: Some("timescaledb"), ..FAST };
        let needy = Query { sql: SQL, needs: &[&READ_ALL_DATA], ..FAST };
        let mut ground = Ground::of(16, &[], &[]);
        assert_eq!(ground.statement(&plain, None), Ok("select 1".to_owned()));
        assert_eq!(ground.statement(&extended, None), Err(Absence::NoExtension));
        assert!(ground.statement(&needy, None).is_ok());
        ground.lacks = [READ_ALL_DATA.name].into();
        assert_eq!(ground.statement(&needy, None), Err(Absence::MissingRight("pg_read_all_data")));
        ground.major = 15;
        assert_eq!(ground.statement(&plain, None), Err(Absence::OlderServer));
    }
}
