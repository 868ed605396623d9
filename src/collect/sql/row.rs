//! From a server's rows to numbers, and from those to families.

use std::collections::HashSet;
use std::sync::Arc;

use super::query::{Column, Query, Shape};
use crate::client::postgres::TextRow;
use crate::model::metric::{Family, Labels, Sample, label_set};

/// A row of a query whose columns are metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// In the order of the query's labels; NULL is empty.
    pub labels: Vec<String>,
    /// In the order of the query's columns, scaled; not a number where there is none.
    pub values: Vec<f64>,
}

/// A row by column names: a server's, or a test's.
pub trait Fields {
    fn get(&self, column: &str) -> Option<&str>;

    /// A number; `t` and `f` are 1 and 0.
    fn number(&self, column: &str) -> Option<f64> {
        number(self.get(column)?)
    }
}

impl Fields for TextRow {
    fn get(&self, column: &str) -> Option<&str> {
        Self::get(self, column)
    }
}

fn number(text: &str) -> Option<f64> {
    match text {
        "t" => Some(1.0),
        "f" => Some(0.0),
        text => text.parse().ok(),
    }
}

/// Where a result has the columns of a query: found once, since results can have thousands of rows.
#[derive(Debug)]
pub struct Layout {
    labels: Vec<Option<usize>>,
    /// With the factor.
    values: Vec<(Place, f64)>,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    One,
    At(usize),
    Missing,
}

impl Layout {
    /// From the names of the result's columns.
    pub fn new<'a>(labels: &[&str], columns: &[Column], found: impl Iterator<Item = &'a str>) -> Self {
        let found: Vec<_> = found.collect();
        let at = |name: &str| found.iter().position(|known| *known == name);
        let place = |column: &Column| match column.column {
            "" => Place::One,
            name => at(name).map_or(Place::Missing, Place::At),
        };
        Self {
            labels: labels.iter().map(|name| at(name)).collect(),
            values: columns.iter().map(|column| (place(column), column.factor)).collect(),
        }
    }

    /// Takes one row, given what stands at a position.
    pub fn row<'a>(&self, get: impl Fn(usize) -> Option<&'a str>) -> Row {
        let label = |at: &Option<usize>| at.and_then(&get).unwrap_or_default().to_owned();
        let value = |(place, factor): &(Place, f64)| match place {
            Place::One => 1.0,
            Place::At(at) => get(*at).and_then(number).map_or(f64::NAN, |value| value * factor),
            Place::Missing => f64::NAN,
        };
        Row {
            labels: self.labels.iter().map(label).collect(),
            values: self.values.iter().map(value).collect(),
        }
    }
}

/// Families that are ready to be shown.
#[derive(Debug, Clone, Default)]
pub struct Made {
    pub families: Vec<Arc<Family>>,
    /// Samples that the limit cut off.
    pub dropped: u64,
    /// Samples whose labels were there already.
    pub duplicates: u64,
}

impl Made {
    /// Takes families as they are, but for doubles and for families without samples.
    pub fn of(families: Vec<Family>) -> Self {
        let mut made = Self::default();
        for mut family in families {
            made.duplicates += family.tidy();
            if !family.is_empty() {
                made.families.push(Arc::new(family));
            }
        }
        made
    }

    pub fn series(&self) -> usize {
        self.families.iter().map(|family| family.series()).sum()
    }
}

/// The families of a query whose columns are metrics, of no more rows than `limit` series take; a family without
/// samples is left out.
pub fn families(query: &Query, rows: &[Row], limit: Option<usize>) -> Made {
    let Shape::Columns { labels, columns } = query.shape else { return Made::default() };
    let most = limit.map_or(rows.len(), |limit| (limit / columns.len().max(1)).max(1));
    let (kept, cut) = rows.split_at(most.min(rows.len()));
    let shared: Vec<Labels> = kept.iter().map(|row| of_row(labels, labels, row)).collect();
    let family = |(at, column): (usize, &Column)| {
        let desc = column.desc(labels);
        let all = desc.labels == labels;
        let set =
            |nth: usize| if all { shared[nth].clone() } else { of_row(desc.labels, labels, &kept[nth]) };
        #[expect(clippy::mutable_key_type, reason = "what is written once is not what is compared")]
        let mut seen = HashSet::new();
        let samples = kept.iter().enumerate().filter(|(_, row)| !row.values[at].is_nan());
        let samples = samples.map(|(nth, row)| Sample { labels: set(nth), value: row.values[at] });
        // With fewer labels than the row has, several rows say the same.
        desc.family(samples.filter(|sample| all || seen.insert(sample.labels.clone())).collect())
    };
    let families = columns.iter().enumerate().map(family);
    let dropped = cut.iter().flat_map(|row| &row.values).filter(|value| !value.is_nan()).count();
    Made { dropped: dropped as u64, ..Made::of(families.collect()) }
}

/// Some of a row's labels.
fn of_row(wanted: &[&'static str], labels: &[&str], row: &Row) -> Labels {
    let text = |name: &&'static str| {
        labels.iter().position(|known| known == name).map_or("", |at| row.labels[at].as_str())
    };
    label_set(wanted, wanted.iter().map(text))
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::super::query::{FAST, Query, Shape, counter, gauge, one};
    use super::*;

    impl Fields for BTreeMap<&str, &str> {
        fn get(&self, column: &str) -> Option<&str> {
            BTreeMap::get(self, column).copied()
        }
    }

    const COLUMNS: &[Column] = &[
        counter("ms", "x_seconds_total", "Time.").times(1e-3),
        gauge("late", "x_late", "Late.").since(17),
        one("x_static", "One.").only(&["a"]),
    ];
    const QUERY: Query = Query { shape: Shape::Columns { labels: &["a", "b"], columns: COLUMNS }, ..FAST };

    fn rows(all: &[[Option<&'static str>; 4]], found: [&str; 4]) -> Vec<Row> {
        let layout = Layout::new(&["a", "b"], COLUMNS, found.into_iter());
        all.iter().map(|row| layout.row(|at| row[at])).collect()
    }

    #[test]
    fn columns_are_found_by_name_scaled_and_null_is_no_sample() {
        let all = [[Some("1500"), Some("1"), Some("2"), None], [Some("10"), Some("1"), Some("3"), Some("t")]];
        let made = families(&QUERY, &rows(&all, ["ms", "a", "b", "late"]), None);
        let shown: Vec<_> = made
            .families
            .iter()
            .map(|it| (it.name.as_ref(), it.samples.iter().map(|it| it.value).collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            shown,
            [("x_seconds_total", vec![1.5, 0.01]), ("x_late", vec![1.0]), ("x_static", vec![1.0])]
        );
        assert_eq!(made.families[2].samples[0].labels[..], [("a".into(), "1".to_owned())]);
        assert_eq!((made.dropped, made.duplicates), (0, 0));
    }

    #[test]
    fn a_column_that_the_server_lacks_gives_nothing() {
        let all = [[Some("1500"), Some("1"), Some("2"), Some("9")]];
        let made = families(&QUERY, &rows(&all, ["ms", "a", "b", "other"]), None);
        assert!(made.families.iter().all(|family| family.name != "x_late"));
    }

    #[test]
    fn what_is_over_the_limit_is_dropped_and_counted_and_doubles_too() {
        let row = [Some("1"), Some("1"), Some("2"), Some("3")];
        let made = families(&QUERY, &rows(&[row, row, row], ["ms", "a", "b", "late"]), Some(6));
        assert_eq!((made.dropped, made.duplicates), (3, 2));
    }
}
