//! Which rows of a view are shown one by one, when there are more than an operator wants series of; and the row that
//! sums up the others.
//!
//! Who is shown changes seldom: each coming and going is a new series. What is shown of counters only ever grows, the
//! rest included: a row that moves between the two would otherwise look like a burst or like a restart.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use super::query::{Query, Rest, Shape, Top};
use super::row::Row;
use crate::model::metric::Kind;

/// In how many readings running a row must be among the first before it takes another one's place.
const READINGS_TO_ENTER: u8 = 3;

/// How long a row that is no longer among the first stays, unless its place is wanted.
const TIME_TO_LEAVE: Duration = Duration::from_secs(3600);

/// What the labels of the summed-up row read.
pub const OTHER: &str = "other";

type Key = u64;

/// The standing of a view's rows, over time.
#[derive(Debug)]
pub struct Ranking {
    /// None: every row is shown.
    most: Option<usize>,
    /// Positions of the columns that rank, and whether they are counters.
    by: Vec<(usize, bool)>,
    /// Which labels become `other`.
    folds: Vec<bool>,
    columns: Vec<(Rest, bool)>,
    /// Ranking columns of all rows in the last reading.
    before: HashMap<Key, Vec<f64>>,
    members: HashMap<Key, Member>,
    streaks: HashMap<Key, u8>,
    rests: BTreeMap<Vec<String>, Account>,
    /// Of rows whose counters are only let rise; none where the source never falls.
    risen: Option<HashMap<Key, Risen>>,
    reading: Reading,
}

/// A row that is shown.
#[derive(Debug)]
struct Member {
    group: Vec<String>,
    values: Vec<f64>,
    /// Since when it is no longer among the first.
    out: Option<Instant>,
}

/// What the rest of one group was.
#[derive(Debug, Clone)]
struct Account {
    /// Of all rows of the group, members too.
    total: Vec<f64>,
    /// What is shown.
    shown: Vec<f64>,
    at: Instant,
}

/// A counter whose source may fall without having begun anew.
#[derive(Debug)]
struct Risen {
    last: Vec<f64>,
    shown: Vec<f64>,
}

/// The reading under way.
#[derive(Debug, Default)]
struct Reading {
    rows: Vec<Ranked>,
    now: HashMap<Key, Vec<f64>>,
    totals: BTreeMap<Vec<String>, Total>,
    count: usize,
}

#[derive(Debug)]
struct Ranked {
    key: Key,
    group: Vec<String>,
    scores: Vec<f64>,
    row: Row,
}

#[derive(Debug)]
struct Total {
    rows: usize,
    values: Vec<f64>,
}

/// What a reading came to.
#[derive(Debug)]
pub struct Settled {
    pub rows: Vec<Row>,
    /// Rows that are shown by name, and those in the rest.
    pub shown: usize,
    pub rest: usize,
}

impl Ranking {
    /// For a query with a bound; `most` rows are shown by name, or all.
    pub fn new(query: &Query, top: &Top, most: Option<usize>) -> Self {
        let (labels, columns) = match query.shape {
            Shape::Columns { labels, columns } => (labels, columns),
            Shape::Rows { .. } => (&[][..], &[][..]),
        };
        let place = |name: &&str| columns.iter().position(|column| column.column == *name);
        let is_counter = |at: usize| columns[at].kind == Kind::Counter;
        Self {
            most,
            by: top.by.iter().filter_map(place).map(|at| (at, is_counter(at))).collect(),
            folds: labels.iter().map(|label| top.folds.contains(label)).collect(),
            columns: columns.iter().map(|column| (column.rest, column.kind == Kind::Counter)).collect(),
            before: HashMap::new(),
            members: HashMap::new(),
            streaks: HashMap::new(),
            rests: BTreeMap::new(),
            risen: query.evicts.then(HashMap::new),
            reading: Reading::default(),
        }
    }

    /// Takes a row of the reading under way.
    pub fn push(&mut self, mut row: Row) {
        let key = key_of(&row.labels);
        if let Some(risen) = &mut self.risen {
            rise(risen, key, &mut row.values, &self.columns);
        }
        let group = self.group(&row.labels);
        let now: Vec<f64> = self.by.iter().map(|(at, _)| zero_if_none(row.values[*at])).collect();
        let scores = self.scores(key, &now);
        self.reading.count += 1;
        let fresh = || Total { rows: 0, values: vec![f64::NAN; row.values.len()] };
        let total = self.reading.totals.entry(group.clone()).or_insert_with(fresh);
        total.rows += 1;
        add(&mut total.values, &row.values, &self.columns);
        self.reading.rows.push(Ranked { key, group, scores, row });
        if let Some(most) = self.most {
            self.reading.now.insert(key, now);
            // Room for the first of each ranking, and as much again so that pruning stays rare.
            if self.reading.rows.len() > 2 * most * self.by.len().max(1) + self.members.len() {
                self.prune(most);
            }
        }
    }

    /// Forgets the reading under way.
    pub fn discard(&mut self) {
        self.reading = Reading::default();
    }

    /// Forgets the rows of one database in the reading under way.
    pub fn forget(&mut self, query: &Query, database: &str) {
        let Some(at) = query.labels().iter().position(|label| *label == "datname") else { return };
        let reading = &mut self.reading;
        reading.rows.retain(|it| it.row.labels[at] != database);
        reading.totals.retain(|group, _| group[at] != database);
        reading.count = reading.totals.values().map(|total| total.rows).sum();
    }

    /// Ends the reading: the rows to show, the rest last.
    pub fn settle(&mut self, at: Instant) -> Settled {
        let reading = std::mem::take(&mut self.reading);
        let Some(most) = self.most else {
            let rows: Vec<Row> = reading.rows.into_iter().map(|it| it.row).collect();
            return Settled { shown: rows.len(), rows, rest: 0 };
        };
        let first = if reading.count <= most {
            reading.rows.iter().map(|it| it.key).collect()
        } else {
            first(&reading.rows, most, self.by.len())
        };
        self.choose(&first, &reading, most, at);
        self.before = reading.now;
        // A row that is called as the rest is would take its name: it is part of it.
        let is_member = |it: &Ranked| self.members.contains_key(&it.key) && it.row.labels != it.group;
        let (mut shown, _): (Vec<Ranked>, Vec<Ranked>) = reading.rows.into_iter().partition(is_member);
        shown.sort_by(|a, b| a.row.labels.cmp(&b.row.labels));
        let rests = self.settle_rests(&shown, reading.totals, at);
        for it in &shown {
            if let Some(member) = self.members.get_mut(&it.key) {
                member.values.clone_from(&it.row.values);
            }
        }
        let mut rows: Vec<Row> = shown.into_iter().map(|it| it.row).collect();
        let named = rows.len();
        rows.extend(rests);
        Settled { rows, shown: named, rest: reading.count - named }
    }

    /// Labels with `other` in the place of those that fold.
    fn group(&self, labels: &[String]) -> Vec<String> {
        let fold = |(text, folds): (&String, &bool)| if *folds { OTHER.to_owned() } else { text.clone() };
        labels.iter().zip(&self.folds).map(fold).collect()
    }

    /// A counter ranks by its growth since the last reading; all that it has where it is new.
    fn scores(&self, key: Key, now: &[f64]) -> Vec<f64> {
        let before = self.before.get(&key);
        let score = |(nth, value): (usize, &f64)| match before {
            Some(before) if self.by[nth].1 && before[nth] <= *value => value - before[nth],
            _ => *value,
        };
        now.iter().enumerate().map(score).collect()
    }

    /// Forgets rows that can no longer be shown; their numbers are in the totals already.
    fn prune(&mut self, most: usize) {
        let first = first_of_each(&self.reading.rows, most, self.by.len());
        let members = &self.members;
        self.reading.rows.retain(|it| first.contains(&it.key) || members.contains_key(&it.key));
    }

    fn choose(&mut self, first: &HashSet<Key>, reading: &Reading, most: usize, at: Instant) {
        let groups: HashMap<Key, &Vec<String>> = reading.rows.iter().map(|it| (it.key, &it.group)).collect();
        self.members.retain(|key, member| {
            member.out = if first.contains(key) { None } else { member.out.or(Some(at)) };
            let rests = member.out.is_some_and(|out| at.saturating_duration_since(out) >= TIME_TO_LEAVE);
            // A group of which nothing was read, as of a database that could not be entered, is not gone.
            let is_there = groups.contains_key(key) || !reading.totals.contains_key(&member.group);
            is_there && (!rests || reading.count <= most)
        });
        self.streaks = first
            .iter()
            .filter(|key| !self.members.contains_key(key))
            .map(|key| (*key, self.streaks.get(key).map_or(1, |streak| streak.saturating_add(1))))
            .collect();
        let mut waiting: Vec<_> = self.streaks.iter().map(|(key, streak)| (*streak, *key)).collect();
        waiting.sort_unstable_by(|a, b| b.cmp(a));
        for (streak, key) in waiting {
            if self.members.len() >= most && (streak < READINGS_TO_ENTER || !self.make_room()) {
                continue;
            }
            let group = groups.get(&key).map(|group| (*group).clone()).unwrap_or_default();
            self.members.insert(key, Member { group, values: vec![], out: None });
        }
    }

    /// The one that has been out longest goes.
    fn make_room(&mut self) -> bool {
        let out = self.members.iter().filter_map(|(key, member)| Some((member.out?, *key))).min();
        out.is_some_and(|(_, key)| self.members.remove(&key).is_some())
    }

    /// The rest of each group that has one.
    fn settle_rests(
        &mut self,
        shown: &[Ranked],
        totals: BTreeMap<Vec<String>, Total>,
        at: Instant,
    ) -> Vec<Row> {
        let mut rows = vec![];
        let mut accounts = std::mem::take(&mut self.rests);
        accounts.retain(|_, account| at.saturating_duration_since(account.at) < TIME_TO_LEAVE);
        for (group, total) in totals {
            let own: Vec<&Ranked> = shown.iter().filter(|it| it.group == group).collect();
            let account = self.account(accounts.get(&group), &own, &total, at);
            if total.rows > own.len() {
                rows.push(Row { labels: group.clone(), values: account.shown.clone() });
            }
            accounts.insert(group, account);
        }
        self.rests = accounts;
        rows
    }

    fn account(&self, before: Option<&Account>, own: &[&Ranked], total: &Total, at: Instant) -> Account {
        let shown = self.columns.iter().enumerate().map(|(nth, (rest, is_counter))| match (rest, before) {
            (Rest::Nothing, _) => f64::NAN,
            (Rest::Max, _) => total.values[nth],
            (Rest::Sum, Some(before)) if *is_counter => self.grown(nth, before, own, total),
            (Rest::Sum, _) => {
                total.values[nth] - own.iter().map(|it| zero_if_none(it.row.values[nth])).sum::<f64>()
            }
        });
        Account { shown: shown.collect(), total: total.values.clone(), at }
    }

    /// A counter of the rest: grown by what all rows grew, less what those grew that were shown before and are now.
    fn grown(&self, at: usize, before: &Account, own: &[&Ranked], total: &Total) -> f64 {
        let stayed = own.iter().filter_map(|it| {
            let member = self.members.get(&it.key)?;
            Some(zero_if_none(it.row.values[at]) - zero_if_none(*member.values.get(at)?))
        });
        let all = zero_if_none(total.values[at]) - zero_if_none(before.total[at]);
        zero_if_none(before.shown[at]) + (all - stayed.sum::<f64>()).max(0.0)
    }
}

/// Adds up, each column in its way; what is none in every row stays none.
fn add(totals: &mut [f64], values: &[f64], columns: &[(Rest, bool)]) {
    for ((total, value), (rest, _)) in totals.iter_mut().zip(values).zip(columns) {
        if value.is_nan() {
            continue;
        }
        *total = match (rest, total.is_nan()) {
            (_, true) => *value,
            (Rest::Max, false) => total.max(*value),
            (Rest::Sum | Rest::Nothing, false) => *total + value,
        };
    }
}

/// Puts in the place of counters what they rose to: where the source fell, they stay.
fn rise(risen: &mut HashMap<Key, Risen>, key: Key, values: &mut [f64], columns: &[(Rest, bool)]) {
    let fresh = || Risen { last: values.to_vec(), shown: values.to_vec() };
    let known = risen.entry(key).or_insert_with(fresh);
    for (at, (_, is_counter)) in columns.iter().enumerate().filter(|(_, (_, is_counter))| *is_counter) {
        debug_assert!(*is_counter);
        known.shown[at] += (values[at] - known.last[at]).max(0.0);
        known.last[at] = values[at];
        values[at] = known.shown[at];
    }
}

fn zero_if_none(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

fn key_of(labels: &[String]) -> Key {
    let mut hasher = DefaultHasher::new();
    labels.hash(&mut hasher);
    hasher.finish()
}

/// Positions of the rows by one score, the greatest first; those without any are left out.
fn order(rows: &[Ranked], nth: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).filter(|at| rows[*at].scores[nth] > 0.0).collect();
    // By key where the score is the same, so that equals do not change places.
    order.sort_by(|a, b| {
        let (a, b) = (&rows[*a], &rows[*b]);
        b.scores[nth].total_cmp(&a.scores[nth]).then(a.key.cmp(&b.key))
    });
    order
}

/// The first of each ranking in turn, until there are `most`.
fn first(rows: &[Ranked], most: usize, rankings: usize) -> HashSet<Key> {
    let orders: Vec<_> = (0..rankings).map(|nth| order(rows, nth)).collect();
    let longest = orders.iter().map(Vec::len).max().unwrap_or_default();
    let in_turn = (0..longest).flat_map(|place| orders.iter().filter_map(move |order| order.get(place)));
    let mut chosen = HashSet::new();
    for at in in_turn {
        if chosen.len() == most {
            break;
        }
        chosen.insert(rows[*at].key);
    }
    chosen
}

fn first_of_each(rows: &[Ranked], most: usize, rankings: usize) -> HashSet<Key> {
    let each = |nth| order(rows, nth).into_iter().take(most).map(|at| rows[at].key).collect::<Vec<_>>();
    (0..rankings).flat_map(each).collect()
}

#[cfg(test)]
mod tests;
