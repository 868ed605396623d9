//! What a collector gives on a server, through the product's own session.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgpilot::client::postgres::Session;
use pgpilot::collect::Absence;
use pgpilot::collect::sql::{Fields, Ground, Layout, Made, QUERIES, Query, Shape, families};
use pgpilot::model::metric::Family;

use super::sql::{lane, target};

/// What a test waits for on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Values by series, such as `pg_up{}`.
pub type Values = BTreeMap<String, f64>;

/// The families of a query, whose result must have exactly the columns that it declares.
pub async fn collect(session: &Session, query: &'static Query) -> Vec<Arc<Family>> {
    let ground = Ground::read(session, &QUERIES.iter().collect::<Vec<_>>()).await.expect("the server is up");
    let major = ground.major;
    let sql = match ground.statement(query, None) {
        Ok(sql) => sql,
        Err(Absence::OlderServer | Absence::NoExtension) => return vec![],
        Err(absence) => panic!("{} on {major}: {absence:?}", query.name),
    };
    let rows = session.rows(query.name, &sql).await;
    let rows = rows.unwrap_or_else(|error| panic!("{} on {major}: {error:?}\n{sql}", query.name));
    if let Some(row) = rows.first() {
        let mut found: Vec<&str> = row.columns().collect();
        found.sort_unstable();
        assert_eq!(found, query.reads(major), "{} on {major}", query.name);
    }
    match query.shape {
        Shape::Rows { decode, .. } => {
            let rows: Vec<&dyn Fields> = rows.iter().map(|row| row as &dyn Fields).collect();
            Made::of(decode(&rows)).families
        }
        Shape::Columns { labels, columns } => {
            let Some(first) = rows.first() else { return vec![] };
            let layout = Layout::new(labels, columns, first.columns());
            let rows: Vec<_> = rows.iter().map(|row| layout.row(|at| row.at(at))).collect();
            let made = families(query, &rows, None);
            assert_eq!(made.duplicates, 0, "{} on {major}", query.name);
            made.families
        }
    }
}

fn values(families: &[Arc<Family>]) -> Values {
    let series = |family: &Arc<Family>| {
        let name = family.name.clone();
        let one = move |(labels, value): (String, f64)| (format!("{name}{labels}"), value);
        let samples = family.samples.iter().map(|sample| {
            let labels: Vec<_> = sample.labels.iter().map(|(name, text)| format!("{name}={text}")).collect();
            (format!("{{{}}}", labels.join(",")), sample.value)
        });
        samples.map(one).collect::<Vec<_>>()
    };
    families.iter().flat_map(series).collect()
}

/// The collector of this name.
pub fn query(name: &str) -> &'static Query {
    QUERIES.iter().find(|query| query.name == name).expect("a collector of that name")
}

/// One reading of a collector.
pub fn read(url: &str, name: &str) -> Values {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let session = target(url).connect(&lane()).await.expect("the server is up");
        values(&collect(&session, query(name)).await)
    })
}

/// Reads until it is as it should be; the test fails with the last reading if that does not come.
pub fn read_until(url: &str, name: &str, holds: impl Fn(&Values) -> bool) -> Values {
    let since = Instant::now();
    loop {
        let found = read(url, name);
        if holds(&found) {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "{name}: {found:#?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The value of the only series of a metric.
#[track_caller]
pub fn only(values: &Values, metric: &str) -> f64 {
    let named: Vec<_> =
        values.iter().filter(|(series, _)| series.split('{').next() == Some(metric)).collect();
    assert_eq!(named.len(), 1, "{metric}: {values:#?}");
    *named[0].1
}

/// Metrics of a collector that a server of this major should have, and of which there is no sample.
pub fn missing(values: &Values, name: &str, major: u32) -> Vec<&'static str> {
    let has = |metric: &str| values.keys().any(|series| series.split('{').next() == Some(metric));
    let gives = query(name).gives().into_iter().filter(|it| (it.since..=it.until).contains(&major));
    gives.map(|it| it.desc.name).filter(|metric| !has(metric)).collect()
}
