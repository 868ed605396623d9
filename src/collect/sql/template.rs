//! Fills the braces of a statement with what the server at hand has.
//!
//! | brace | becomes |
//! |---|---|
//! | `{column}` | `, column` where the view has it, else nothing |
//! | `{column\|text}` | the text where the view has the column, else nothing |
//! | `{column\|text\|otherwise}` | one of the two |
//! | `{view.column…}` | the same for another view than the statement's |
//! | `{function(arguments)}` | the call with the function's schema where an extension has it, else `null` |
//! | `{schema:extension}` | the quoted schema of an extension |
//! | `{db:expression}` | a database's name, `other` for those that are not shown by name |
//!
//! Versions alone do not tell: after pg_upgrade an extension keeps its old views until it is updated.

use super::ground::Ground;
use super::query::Sql;
use crate::model::setting::quote;

/// The statement as this server understands it. `named`: the databases to show by name; none: all.
pub fn fill(sql: &Sql, ground: &Ground, named: Option<&[String]>) -> String {
    fill_text(sql.text, sql.view, ground, named)
}

fn fill_text(text: &str, view: &str, ground: &Ground, named: Option<&[String]>) -> String {
    let Some((before, tail)) = text.split_once('{') else { return text.to_owned() };
    let (brace, after) = matching(tail);
    let meant = match brace.split_once(':') {
        Some(("schema", extension)) => ground.schema(extension),
        Some(("db", expression)) => database(expression, named),
        _ if called(brace).is_some() => call(brace, ground),
        _ => fill_text(&optional(brace, view, ground), view, ground, named),
    };
    before.to_owned() + &meant + &fill_text(after, view, ground, named)
}

/// At the first bar that is in no inner brace.
fn split(text: &str) -> (&str, Option<&str>) {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            '|' if depth == 0 => return (&text[..at], Some(&text[at + 1..])),
            _ => {}
        }
    }
    (text, None)
}

/// What is inside of a brace that was opened, and what follows it.
fn matching(tail: &str) -> (&str, &str) {
    let mut depth = 1;
    for (at, c) in tail.char_indices() {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return (&tail[..at], &tail[at + 1..]);
        }
    }
    (tail, "")
}

fn optional(brace: &str, view: &str, ground: &Ground) -> String {
    let (column, rest) = split(brace);
    let (there, missing) = rest.map_or((None, None), |rest| {
        let (there, missing) = split(rest);
        (Some(there), missing)
    });
    let (view, column) = column.split_once('.').unwrap_or((view, column));
    match (ground.has(view, column), there) {
        (true, None) => format!(", {column}"),
        (true, Some(text)) => text.to_owned(),
        (false, _) => missing.unwrap_or_default().to_owned(),
    }
}

/// The function that a brace calls, if it does.
fn called(brace: &str) -> Option<&str> {
    let (name, _) = brace.split_once('(')?;
    (brace.ends_with(')') && !name.contains('|')).then_some(name)
}

fn call(brace: &str, ground: &Ground) -> String {
    let schema = called(brace).and_then(|name| ground.function(name));
    schema.map_or_else(|| "null".to_owned(), |schema| format!("{schema}.{brace}"))
}

fn database(expression: &str, named: Option<&[String]>) -> String {
    match named {
        None => expression.to_owned(),
        Some([]) => "'other'".to_owned(),
        Some(names) => {
            let list = names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
            format!("case when {expression} in ({list}) then {expression} else 'other' end")
        }
    }
}

fn braces(sql: &Sql) -> impl Iterator<Item = &'static str> {
    let all = sql.text.split('{').skip(1).map(|tail| tail.split('}').next().unwrap_or_default());
    all.filter(|brace| !brace.starts_with("schema:") && !brace.starts_with("db:"))
}

/// The functions that a statement calls where they are.
pub fn functions(sql: &Sql) -> impl Iterator<Item = &'static str> {
    braces(sql).filter_map(called)
}

/// The views whose columns a statement asks for.
pub fn views(sql: &Sql) -> Vec<&'static str> {
    let mut found = vec![];
    for brace in braces(sql).filter(|brace| called(brace).is_none()) {
        let column = brace.split('|').next().unwrap_or_default();
        found.push(column.split_once('.').map_or(sql.view, |(view, _)| view));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::query::sql_of;
    use super::*;

    #[test]
    fn braces_follow_what_the_server_has() {
        let ground = Ground::of(17, &[("v", "a"), ("v", "new"), ("w", "x")], &[("ext", "my schema")])
            .with_function("size", "my schema");
        let rows = [
            ("select a{new}{missing} from v", "select a, new from v"),
            ("select {new|new + 1|0}, {missing|missing|null} as m", "select new + 1, null as m"),
            ("select 1{missing|, missing}", "select 1"),
            ("select 1{w.x|, x}{w.y|, y}", "select 1, x"),
            (
                "select 1{new|, (select {schema:ext}.f({missing|x|y}))}, 2",
                "select 1, (select \"my schema\".f(y)), 2",
            ),
            ("select {size(c.oid)} as a, {lost(1)} as b", "select \"my schema\".size(c.oid) as a, null as b"),
            ("select {new|least(new)}", "select least(new)"),
            ("from {schema:ext}.t", "from \"my schema\".t"),
            (
                "select {db:datname}",
                "select case when datname in ('a', 'it''s') then datname else 'other' end",
            ),
        ];
        for (text, want) in rows {
            let named = ["a".to_owned(), "it's".to_owned()];
            assert_eq!(fill(&sql_of("v", 14, text), &ground, Some(&named)), want, "{text}");
        }
        assert_eq!(fill(&sql_of("v", 14, "select {db:d.datname}"), &ground, None), "select d.datname");
    }

    #[test]
    fn the_views_and_functions_that_are_asked_for_are_known() {
        let text = "select {a}{w.b|, max(b)}, {size(c.oid)} from {schema:ext}.t where {db:x} = 1";
        let sql = sql_of("v", 14, text);
        assert_eq!(views(&sql), ["v", "w"]);
        assert_eq!(functions(&sql).collect::<Vec<_>>(), ["size"]);
    }
}
