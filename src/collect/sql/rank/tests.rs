//! Rankings over several readings, by hand and at random.

use proptest::prelude::*;

use super::super::query::{Column, FAST, Most, counter, gauge};
use super::*;

const COLUMNS: &[Column] = &[
    counter("writes", "x_writes_total", "Writes."),
    gauge("size", "x_bytes", "Size."),
    gauge("age", "x_age_seconds", "Age.").max(),
    gauge("ratio", "x_ratio", "Ratio.").alone(),
];
const TOP: Top = Top { most: Most::Relations, by: &["writes", "size"], folds: &["name"] };
const QUERY: Query =
    Query { shape: Shape::Columns { labels: &["db", "name"], columns: COLUMNS }, top: Some(TOP), ..FAST };

const DATABASES: Query =
    Query { shape: Shape::Columns { labels: &["datname", "name"], columns: COLUMNS }, ..QUERY };

fn row(name: &str, writes: f64, size: f64) -> Row {
    Row { labels: vec!["a".to_owned(), name.to_owned()], values: vec![writes, size, size, 0.5] }
}

fn ranking(most: usize) -> Ranking {
    Ranking::new(&QUERY, &TOP, Some(most))
}

fn read(ranking: &mut Ranking, rows: &[(&str, f64, f64)], at: Instant) -> Vec<(String, f64, f64)> {
    rows.iter().for_each(|(name, writes, size)| ranking.push(row(name, *writes, *size)));
    let shown = ranking.settle(at).rows;
    shown.into_iter().map(|row| (row.labels[1].clone(), row.values[0], row.values[1])).collect()
}

fn names(rows: &[(String, f64, f64)]) -> Vec<&str> {
    rows.iter().map(|(name, ..)| name.as_str()).collect()
}

#[test]
fn what_fits_is_shown_whole() {
    let rows = read(&mut ranking(3), &[("x", 1.0, 2.0), ("y", 0.0, 0.0)], Instant::now());
    assert_eq!(names(&rows), ["x", "y"]);
}

#[test]
fn the_first_of_each_ranking_are_shown_and_the_rest_adds_up() {
    let all = [("busy", 100.0, 1.0), ("big", 1.0, 100.0), ("c", 2.0, 3.0), ("d", 4.0, 5.0)];
    let mut ranking = ranking(2);
    all.iter().for_each(|(name, writes, size)| ranking.push(row(name, *writes, *size)));
    let settled = ranking.settle(Instant::now());
    assert_eq!((settled.shown, settled.rest), (2, 2));
    let rest = &settled.rows[2];
    assert_eq!(rest.labels, ["a", "other"]);
    assert_eq!(rest.values[..3], [6.0, 8.0, 100.0], "sum, sum, greatest of all");
    assert!(rest.values[3].is_nan(), "a ratio has no sum");
}

#[test]
fn a_newcomer_waits_and_takes_the_place_of_who_is_out_longest() {
    let at = Instant::now();
    let mut ranking = ranking(1);
    let mut writes = 0.0;
    let mut shown = vec![];
    for round in 0..5 {
        writes += 100.0;
        let old = 10.0 + f64::from(round);
        let rows = if round == 0 {
            vec![("old", 10.0, 0.0), ("idle", 1.0, 0.0)]
        } else {
            vec![("old", old, 0.0), ("new", writes, 0.0), ("idle", 1.0, 0.0)]
        };
        shown.push(names(&read(&mut ranking, &rows, at))[0].to_owned());
    }
    assert_eq!(shown, ["old", "old", "old", "new", "new"], "three readings, then it is in");
}

#[test]
fn who_is_out_leaves_after_an_hour_even_if_nobody_wants_the_place() {
    let at = Instant::now();
    let mut ranking = ranking(2);
    let first = [("a", 5.0, 0.0), ("b", 5.0, 0.0), ("c", 0.0, 0.0)];
    assert_eq!(names(&read(&mut ranking, &first, at)), ["a", "b", "other"]);
    let still = [("a", 6.0, 0.0), ("b", 5.0, 0.0), ("c", 0.0, 0.0)];
    assert_eq!(names(&read(&mut ranking, &still, at)), ["a", "b", "other"]);
    assert_eq!(names(&read(&mut ranking, &still, at + TIME_TO_LEAVE * 2)), ["a", "other"]);
}

#[test]
fn a_row_that_is_called_other_is_part_of_the_rest() {
    let all = [("other", 100.0, 0.0), ("a", 50.0, 0.0), ("b", 1.0, 0.0)];
    let rows = read(&mut ranking(1), &all, Instant::now());
    let other: Vec<_> = rows.iter().filter(|(name, ..)| name == OTHER).collect();
    assert_eq!((other.len(), rows.iter().map(|(_, writes, _)| writes).sum::<f64>()), (1, 151.0), "{rows:?}");
}

#[test]
fn a_group_that_could_not_be_read_goes_on_where_it_was() {
    let at = Instant::now();
    let mut ranking = ranking(1);
    let all = [("a", 100.0, 0.0), ("b", 10.0, 0.0)];
    assert_eq!(names(&read(&mut ranking, &all, at)), ["a", "other"]);
    assert_eq!(read(&mut ranking, &[], at).len(), 0);
    // Half of it came, and then the statement failed.
    ranking.push(row("b", 10.0, 0.0));
    ranking.forget(&DATABASES, "a");
    assert_eq!(ranking.settle(at).rows.len(), 0);
    let rows = read(&mut ranking, &[("a", 100.0, 0.0), ("b", 15.0, 0.0)], at);
    assert_eq!(rows, [("a".to_owned(), 100.0, 0.0), ("other".to_owned(), 15.0, 0.0)]);
}

#[test]
fn what_evicts_is_only_let_rise() {
    let query = Query { evicts: true, ..QUERY };
    let mut ranking = Ranking::new(&query, &TOP, Some(5));
    let seen =
        [100.0, 60.0, 70.0].map(|writes| read(&mut ranking, &[("a", writes, 0.0)], Instant::now())[0].1);
    assert_eq!(seen, [100.0, 100.0, 110.0]);
}

#[test]
fn all_means_all() {
    let mut ranking = Ranking::new(&QUERY, &TOP, None);
    let many: Vec<_> = (0..500).map(|n: u32| n.to_string()).collect();
    let rows: Vec<_> = many.iter().map(|name| (name.as_str(), 1.0, 1.0)).collect();
    assert_eq!(read(&mut ranking, &rows, Instant::now()).len(), 500);
}

proptest! {
    /// Whoever comes and goes: no series of a counter ever falls, what is added is added once, and a gauge's rows
    /// add up to the whole.
    #[test]
    fn counters_never_fall_and_sums_stay_right(rounds in prop::collection::vec(prop::collection::vec(0u32..50, 12), 2..12)) {
        let mut ranking = ranking(4);
        let names: Vec<String> = (0..12).map(|n| format!("t{n}")).collect();
        let mut writes = [0u32; 12];
        let mut last: HashMap<String, f64> = HashMap::new();
        let mut at = Instant::now();
        let mut first_total = None;
        let mut grown = 0.0;
        for round in rounds {
            at += Duration::from_secs(1200);
            let rows: Vec<_> = round.iter().enumerate().map(|(n, more)| {
                writes[n] += more;
                (names[n].as_str(), f64::from(writes[n]), f64::from(*more))
            }).collect();
            let shown = read(&mut ranking, &rows, at);
            prop_assert!(shown.len() <= 5);
            let size: f64 = shown.iter().map(|(.., size)| size).sum();
            prop_assert_eq!(size, round.iter().map(|more| f64::from(*more)).sum::<f64>());
            for (name, writes, _) in &shown {
                if let Some(before) = last.insert(name.clone(), *writes) {
                    // A series that was away for a reading starts anew.
                    prop_assert!(name != OTHER || *writes >= before, "{}: {} after {}", name, writes, before);
                    grown += writes - before;
                }
            }
            last.retain(|name, _| shown.iter().any(|(known, ..)| known == name));
            let total: f64 = writes.iter().map(|n| f64::from(*n)).sum();
            let first = *first_total.get_or_insert(total);
            prop_assert!(grown <= total - first + 1e-6, "{} seen of {}", grown, total - first);
        }
    }
}
