//! Statements that differ only in how many rows or elements they name are one: an indexer that inserts by hundreds
//! would have a series for each number of rows.
//!
//! Told by the text, which is read once for each statement that is new.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::query::{Query, Rest, Shape};
use super::row::Row;

/// What is known of the statements of a server.
#[derive(Debug, Default)]
pub struct Groups {
    /// By `queryid`; none where the statement stands for itself.
    known: HashMap<String, Option<String>>,
    /// Figures of statements in groups, by their labels, as they were last.
    last: HashMap<Vec<String>, Vec<f64>>,
    /// Figures of groups. They only grow, also when the server evicts a member.
    sums: BTreeMap<Vec<String>, Vec<f64>>,
}

/// The group is the text with one element in each IN list, without what follows the first row of VALUES, and without the
/// numbers of parameters, which the lengths shift.
///
/// Of a long list of rows of parameters, and of nothing else, the middle is left out before rows are taken apart: 12 000
/// characters name some hundred rows. What is longer than 200 000 stands for itself.
pub fn texts_sql(schema: &str, ids: &[&str]) -> String {
    format!(
        "select queryid, case when text ~* '\\y(values|in)\\s*\\(' and length(text) <= 200000 then ('x' || left(md5(\
         regexp_replace(regexp_replace(text, '(\\yvalues\\s*{TUPLE})(\\s*,\\s*{TUPLE})+', '\\1', 'gi'), \
         '\\$\\d+', '$', 'g')), 16))::bit(64)::int8 end as grouped \
         from (select queryid, case when length(whole) > 12000 and left(whole, 8000) ~* '\\yvalues\\s*\\(' \
         and substr(whole, 8001, length(whole) - 12000) ~ '^[\\s$0-9,()]*$' then regexp_replace(left(whole, 8000), \
         '[^)]*$', '') || ', ' || regexp_replace(right(whole, 4000), '^[^(]*', '') else whole end as text \
         from (select distinct on (queryid) queryid, regexp_replace(query, \
         '(\\yin\\s*\\()\\s*\\$\\d+(\\s*,\\s*\\$\\d+|\\s*/\\*, \\.\\.\\. \\*/)*\\s*\\)', '\\1$)', 'gi') as whole \
         from {schema}.pg_stat_statements(true) where queryid in ({})) as read) as texts",
        ids.join(", ")
    )
}

/// One row of VALUES, with calls in it.
const TUPLE: &str = "\\((?:[^()]|\\([^()]*\\))*\\)";

/// The texts of these statements, on one line, with the first row of VALUES only, and not longer than a label should be.
pub fn shown_sql(schema: &str, ids: &[&str]) -> String {
    format!(
        "select distinct on (queryid) queryid, left(regexp_replace(regexp_replace(left(query, 200000), \
         '(\\yvalues\\s*{TUPLE})(\\s*,\\s*{TUPLE})+', '\\1, ...', 'gi'), '\\s+', ' ', 'g'), 1000) as query \
         from {schema}.pg_stat_statements(true) where queryid in ({})",
        ids.join(", ")
    )
}

impl Groups {
    /// Statements of these rows whose texts were not read yet, those first that took the most of the first column.
    pub fn unknown(&self, rows: &[Row]) -> Vec<String> {
        let mut new: Vec<&Row> =
            rows.iter().filter(|row| !self.known.contains_key(&row.labels[QUERYID])).collect();
        new.sort_by(|a, b| b.values[0].total_cmp(&a.values[0]));
        let mut seen = HashSet::new();
        new.into_iter().map(|row| row.labels[QUERYID].clone()).filter(|id| seen.insert(id.clone())).collect()
    }

    /// Learns the group of a statement, or that it has none.
    pub fn learn(&mut self, queryid: String, group: Option<String>) {
        self.known.insert(queryid, group);
    }

    /// The rows with those of a group as one; statements that are gone are forgotten.
    pub fn fold(&mut self, query: &Query, rows: Vec<Row>) -> Vec<Row> {
        let present: HashSet<&String> = rows.iter().map(|row| &row.labels[QUERYID]).collect();
        self.known.retain(|id, _| present.contains(id));
        let mut last = HashMap::new();
        let mut own = vec![];
        for row in rows {
            let Some(Some(group)) = self.known.get(&row.labels[QUERYID]) else {
                // Should its group be learned later, only what it grew since is the group's.
                if !self.known.contains_key(&row.labels[QUERYID]) {
                    last.insert(row.labels.clone(), row.values.clone());
                }
                own.push(row);
                continue;
            };
            let mut labels = row.labels.clone();
            labels[QUERYID].clone_from(group);
            let sums = self.sums.entry(labels).or_insert_with(|| vec![f64::NAN; row.values.len()]);
            grow(sums, &row.values, self.last.get(&row.labels));
            last.insert(row.labels, row.values);
        }
        self.last = last;
        let groups: HashSet<&String> = self.known.values().flatten().collect();
        self.sums.retain(|labels, _| groups.contains(&labels[QUERYID]));
        debug_assert!(is_counters(query), "{}", query.name);
        own.extend(
            self.sums.iter().map(|(labels, values)| Row { labels: labels.clone(), values: values.clone() }),
        );
        own
    }

    /// A statement that stands for what a label `queryid` names: itself, or any of the group.
    pub fn member<'a>(&'a self, id: &'a str) -> &'a str {
        let of_group = self.known.iter().find(|(_, group)| group.as_deref() == Some(id));
        of_group.map_or(id, |(member, _)| member)
    }
}

/// The position of `queryid` among the labels.
pub const QUERYID: usize = 2;

/// Adds what a member grew; a counter that fell began anew.
fn grow(sums: &mut [f64], values: &[f64], last: Option<&Vec<f64>>) {
    for (at, (sum, value)) in sums.iter_mut().zip(values).enumerate() {
        if value.is_nan() {
            continue;
        }
        let before = last.map_or(0.0, |last| if last[at] <= *value { last[at] } else { 0.0 });
        *sum = if sum.is_nan() { 0.0 } else { *sum } + value - before;
    }
}

fn is_counters(query: &Query) -> bool {
    match query.shape {
        Shape::Columns { columns, .. } => columns.iter().all(|column| column.rest == Rest::Sum),
        Shape::Rows { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::statements::STATEMENTS;
    use super::*;

    fn row(id: &str, calls: f64) -> Row {
        let labels = ["kaspad", "kaspa", id].map(ToOwned::to_owned).into();
        let mut values = vec![0.0; 14];
        values[0] = calls;
        Row { labels, values }
    }

    fn fold(groups: &mut Groups, rows: &[(&str, f64)]) -> Vec<(String, f64)> {
        let rows = rows.iter().map(|(id, calls)| row(id, *calls)).collect();
        let mut folded: Vec<_> = groups
            .fold(&STATEMENTS, rows)
            .into_iter()
            .map(|row| (row.labels[QUERYID].clone(), row.values[0]))
            .collect();
        folded.sort_by(|a, b| a.0.cmp(&b.0));
        folded
    }

    #[test]
    fn members_of_a_group_are_one_row_that_only_grows() {
        let mut groups = Groups::default();
        assert_eq!(groups.unknown(&[row("1", 5.0), row("2", 7.0), row("2", 7.0)]), ["2", "1"]);
        groups.learn("1".to_owned(), Some("g".to_owned()));
        groups.learn("2".to_owned(), Some("g".to_owned()));
        groups.learn("3".to_owned(), None);
        let own = |id: &str, calls| (id.to_owned(), calls);
        assert_eq!(fold(&mut groups, &[("1", 5.0), ("2", 7.0), ("3", 1.0)]), [own("3", 1.0), own("g", 12.0)]);
        assert!(["1", "2"].contains(&groups.member("g")));
        assert_eq!(groups.member("3"), "3");
        // The server evicted 2; and then it came back and counts from nothing.
        assert_eq!(fold(&mut groups, &[("1", 6.0), ("3", 1.0)]), [own("3", 1.0), own("g", 13.0)]);
        groups.learn("2".to_owned(), Some("g".to_owned()));
        assert_eq!(fold(&mut groups, &[("1", 6.0), ("2", 2.0)]), [own("g", 15.0)]);
        assert_eq!(fold(&mut groups, &[]), [], "what nobody runs any more is forgotten");
    }
}
