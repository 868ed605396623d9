//! Metrics about ourselves: name, type, labels and help of each in one table.

use std::time::{Duration, Instant};

use super::shelf::{Cost, Reading, Timeouts};
use crate::client::Reach;
use crate::collect::Report;
use crate::collect::sql::MONITOR;
use crate::model::metric::{Desc, Family, Histogram, Kind, Labels, Sample};
use crate::model::plan::{Block, Plan, Row, Verdict};
use crate::model::setting::Value;

/// A table of metrics: each row becomes a constant, and all of them the list that the reference page prints.
macro_rules! own_metrics {
    ($( $constant:ident = $kind:ident $name:literal $labels:tt $help:literal; )*) => {
        $( pub const $constant: Desc = Desc { name: $name, kind: Kind::$kind, labels: &$labels, help: $help }; )*

        /// The whole table.
        pub const OWN: &[Desc] = &[ $( $constant ),* ];
    };
}

own_metrics! {
    UP = Gauge "pg_up" [] "Whether PostgreSQL answered this scrape.";
    UP_STATE = Gauge "pg_up_state" ["state"] "1 for the state that the connection to PostgreSQL is in, 0 for the others.";
    BUILD_INFO = Info "pgpilot_build_info" ["version"] "The version of pgpilot.";
    READY = Gauge "pgpilot_ready" [] "Whether pgpilot is connected, its last pass was good, and it is alone on this server.";
    PROBLEM = Gauge "pgpilot_problem" ["problem"] "Whether pgpilot has this trouble now (1) or not (0); the page at / says more.";
    OUTCOME = Gauge "pgpilot_collector_outcome" ["collector", "outcome"] "1 for the outcome of a collector's last round, 0 for the others.";
    DURATION = Gauge "pgpilot_collector_duration_seconds" ["collector"] "How long a collector's last round took.";
    AGE = Gauge "pgpilot_collector_age_seconds" ["collector"] "Time since a collector last succeeded; absent before it first did.";
    COLLECTOR_SUCCESS = Gauge "pg_scrape_collector_success" ["collector"] "Whether a collector's last round gave no error.";
    COLLECTOR_DURATION = Gauge "pg_scrape_collector_duration_seconds" ["collector"] "How long a collector's last round took.";
    SCRAPE_DURATION = Gauge "pg_exporter_last_scrape_duration_seconds" [] "How long this scrape took.";
    SCRAPES = Counter "pg_exporter_scrapes_total" [] "Scrapes answered.";
    SCRAPE_ERROR = Gauge "pg_exporter_last_scrape_error" [] "Whether any collector gave an error in this scrape.";
    QUERY_TEXT = Gauge "pg_stat_statements_query_id" ["queryid", "query"] "Texts of the statements that are shown; PGPILOT_STATEMENT_TEXTS=off leaves them out.";
    ROWS = Gauge "pgpilot_collector_rows" ["collector"] "Rows that a collector's last round had, those in `other` included.";
    REST = Gauge "pgpilot_collector_rest_rows" ["collector"] "Rows that are not shown one by one but summed up as `other`.";
    COLLECTOR_SERIES = Gauge "pgpilot_collector_series" ["collector"] "Series that a collector's last round gave.";
    DROPPED = Gauge "pgpilot_series_dropped" ["collector"] "Series that PGPILOT_SERIES_LIMIT cut off in a collector's last round.";
    TIMEOUTS = Counter "pgpilot_query_timeouts_total" ["collector", "kind"] "Rounds of a collector that ran into a limit on a lock or a statement.";
    MISSING = Gauge "pgpilot_missing_privilege" ["privilege", "collector"] "1 for each right that the role lacks and a collector that sees nothing, or less, without it; `pgpilot doctor` prints the grant.";
    STATEMENTS = Counter "pgpilot_statements_total" [] "Statements that scrapes sent to the server.";
    SERVER_SECONDS = Counter "pgpilot_server_seconds_total" [] "Time that scrapes waited for the server's answers.";
    CONNECTS = Counter "pgpilot_connects_total" [] "Sessions that scrapes opened.";
    CONNECT_ERRORS = Counter "pgpilot_connect_errors_total" ["state"] "Times that scrapes could not get or keep a session, by why.";
    SCRAPE_TIME = Histogram "pgpilot_scrape_duration_seconds" [] "How long scrapes took, this one not yet among them.";
    SCRAPE_BYTES = Gauge "pgpilot_scrape_bytes" [] "Size of the scrape before this one, not compressed.";
    SERIES = Gauge "pgpilot_scrape_series" [] "Series in this scrape.";
    DUPLICATES = Counter "pgpilot_scrape_duplicates_total" [] "Samples left out because their series was there already.";
    SETTING_CURRENT = Gauge "pgpilot_setting_current" ["name"] "Value in force of a setting that has a rule: bytes, seconds, plain numbers, 0 or 1.";
    SETTING_PLANNED = Gauge "pgpilot_setting_planned" ["name"] "Value that the rule gives, in the same units; absent where the setting is left alone.";
    SETTING_INFO = Info "pgpilot_setting_info" ["name", "current", "planned", "verdict", "context"] "Values as PostgreSQL writes them, and what becomes of the setting.";
    PLAN_ROWS = Gauge "pgpilot_plan_rows" ["verdict"] "Settings in the plan by what becomes of them.";
    PLAN_BLOCKED = Gauge "pgpilot_plan_blocked" ["reason"] "Settings that something forbids to write, by reason.";
    MEMORY_BUDGET = Gauge "pgpilot_memory_budget_bytes" [] "Memory that PostgreSQL may use, by detection or option.";
    PLAN_MEMORY = Gauge "pgpilot_plan_memory_bytes" [] "Memory that the planned settings can use at most.";
    PLAN_AGE = Gauge "pgpilot_plan_age_seconds" [] "Time since the plan was made.";
    LAST_APPLY = Gauge "pgpilot_last_apply_timestamp_seconds" [] "When the last change came into its present phase, in seconds since 1970.";
    LAST_APPLY_SUCCESS = Gauge "pgpilot_last_apply_success" [] "Whether the last change stands (1) or was undone or is stuck (0).";
    CHANGES = Gauge "pgpilot_changes" ["phase"] "Changes in the journal, by the phase that they are in.";
}

/// Which pgpilot this is.
pub fn build_info() -> Family {
    BUILD_INFO.family(vec![BUILD_INFO.sample(&[env!("CARGO_PKG_VERSION")], 1.0)])
}

/// Whether the server can be had, and why not.
pub fn reach_families(reach: Reach) -> [Family; 2] {
    let states = Reach::ALL.map(|state| UP_STATE.sample(&[state.as_label()], flag(state == reach)));
    [UP.single(flag(reach == Reach::Up)), UP_STATE.family(states.to_vec())]
}

/// What a scrape says of one collector.
#[derive(Debug, Clone, Default)]
pub(super) struct Round {
    pub(super) collector: &'static str,
    /// One of [`crate::collect::LABELS`].
    pub(super) outcome: &'static str,
    pub(super) took: Duration,
    /// Since the last success.
    pub(super) age: Option<Duration>,
    /// What the reading was, where it was one of PostgreSQL.
    reading: Option<Volume>,
    missing_right: Option<&'static str>,
}

/// How much a reading gave.
#[derive(Debug, Clone, Copy)]
struct Volume {
    rows: usize,
    rest: usize,
    series: usize,
    dropped: u64,
    timeouts: Timeouts,
}

impl Round {
    /// Of a collector that was never read.
    pub(super) fn missing(collector: &'static str) -> Self {
        Self { collector, outcome: "error", ..Self::default() }
    }

    /// Of a collector that reads no server, a moment ago.
    pub(super) fn of_report(report: &Report) -> Self {
        let (collector, outcome, took) = (report.collector, report.label(), report.took);
        Self {
            collector,
            outcome,
            took,
            age: report.outcome.is_ok().then_some(Duration::ZERO),
            ..Self::default()
        }
    }

    pub(super) fn of(
        collector: &'static str,
        reading: &Reading,
        outcome: &'static str,
        now: Instant,
    ) -> Self {
        let volume = Volume {
            rows: reading.rows,
            rest: reading.rest,
            series: reading.made.series(),
            dropped: reading.made.dropped,
            timeouts: reading.timeouts,
        };
        Self {
            collector,
            outcome,
            took: reading.took,
            age: reading.succeeded.map(|at| now.saturating_duration_since(at)),
            reading: Some(volume),
            missing_right: reading.missing_right,
        }
    }
}

pub(super) fn round_families(rounds: &[Round]) -> Vec<Family> {
    let each = |desc: &Desc, value: fn(&Round) -> Option<f64>| {
        let sample = |round: &Round| Some(desc.sample(&[round.collector], value(round)?));
        desc.family(rounds.iter().filter_map(sample).collect())
    };
    let states = |round: &Round| {
        let (collector, outcome) = (round.collector, round.outcome);
        crate::collect::LABELS
            .iter()
            .map(move |label| OUTCOME.sample(&[collector, label], flag(*label == outcome)))
    };
    vec![
        OUTCOME.family(rounds.iter().flat_map(states).collect()),
        each(&DURATION, |round| Some(round.took.as_secs_f64())),
        each(&AGE, |round| round.age.map(|age| age.as_secs_f64())),
        each(&COLLECTOR_SUCCESS, |round| Some(flag(round.outcome != "error"))),
        each(&COLLECTOR_DURATION, |round| Some(round.took.as_secs_f64())),
        each(&ROWS, |round| Some(round.reading?.rows as f64)),
        each(&REST, |round| round.reading.map(|it| it.rest as f64).filter(|rest| *rest > 0.0)),
        each(&COLLECTOR_SERIES, |round| Some(round.reading?.series as f64)),
        each(&DROPPED, |round| round.reading.map(|it| it.dropped as f64).filter(|dropped| *dropped > 0.0)),
        TIMEOUTS.family(rounds.iter().flat_map(timeouts).collect()),
        SCRAPE_ERROR.single(flag(rounds.iter().any(|round| round.outcome == "error"))),
    ]
}

/// Of collectors that ever ran into one.
fn timeouts(round: &Round) -> Vec<Sample> {
    let Timeouts { statement, lock } = round.reading.map(|it| it.timeouts).unwrap_or_default();
    let kinds = [("statement", statement), ("lock", lock)];
    let sample = |(kind, count): &(&str, u64)| TIMEOUTS.sample(&[round.collector, kind], *count as f64);
    kinds.iter().filter(|(_, count)| *count > 0).map(sample).collect()
}

/// The rights that are missing: `pg_monitor` for all collectors, the others for those that do without a reading.
pub(super) fn right_families(missing: &[&'static str], rounds: &[Round]) -> Vec<Family> {
    let monitor = missing.iter().filter(|name| **name == MONITOR.name).map(|name| (*name, "all"));
    let own = rounds.iter().filter_map(|round| Some((round.missing_right?, round.collector)));
    let samples = monitor.chain(own).map(|(right, collector)| MISSING.sample(&[right, collector], 1.0));
    vec![MISSING.family(samples.collect())]
}

/// What reading costs the server.
pub(super) fn cost_families(cost: &Cost) -> Vec<Family> {
    let errors = cost.errors.iter().map(|(state, times)| CONNECT_ERRORS.sample(&[state], *times as f64));
    vec![
        STATEMENTS.single(cost.statements as f64),
        SERVER_SECONDS.single(cost.time.as_secs_f64()),
        CONNECTS.single(cost.connects as f64),
        CONNECT_ERRORS.family(errors.collect()),
    ]
}

/// Seconds; the longest scrape is 25.
const SCRAPE_BOUNDS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, f64::INFINITY];

/// How long scrapes took.
#[derive(Debug, Default)]
pub(super) struct ScrapeTimes {
    counts: [u64; SCRAPE_BOUNDS.len()],
    sum: Duration,
}

impl ScrapeTimes {
    pub(super) fn add(&mut self, took: Duration) {
        let at = SCRAPE_BOUNDS.iter().position(|bound| took.as_secs_f64() <= *bound);
        self.counts[at.unwrap_or(SCRAPE_BOUNDS.len() - 1)] += 1;
        self.sum += took;
    }

    pub(super) fn family(&self) -> Family {
        let buckets = SCRAPE_BOUNDS.into_iter().zip(self.counts).collect();
        SCRAPE_TIME.histogram(vec![Histogram {
            labels: Labels::default(),
            buckets,
            sum: self.sum.as_secs_f64(),
        }])
    }
}

/// What the plan says, but for its age.
pub fn plan_families(plan: &Plan) -> Vec<Family> {
    let number = |desc: &Desc, value: &dyn Fn(&Row) -> Option<f64>| {
        let sample = |row: &Row| Some(desc.sample(&[&row.name], value(row)?));
        desc.family(plan.rows.iter().filter_map(sample).collect())
    };
    vec![
        number(&SETTING_CURRENT, &|row| base_unit(&row.current)),
        number(&SETTING_PLANNED, &|row| base_unit(row.planned.as_ref()?)),
        SETTING_INFO.family(plan.rows.iter().map(setting_info).collect()),
        PLAN_ROWS.family(VERDICTS.map(|verdict| count(plan, &PLAN_ROWS, verdict, verdict_label)).to_vec()),
        PLAN_BLOCKED.family(Block::ALL.map(|block| blocked(plan, block)).to_vec()),
        MEMORY_BUDGET.single(plan.budget.memory.0 as f64),
        PLAN_MEMORY.single(plan.budget.planned.0 as f64),
    ]
}

const VERDICTS: [&str; 5] = ["set", "keep", "pending", "wait", "block"];

fn verdict_label(row: &Row) -> &'static str {
    row.verdict.as_label()
}

fn count(plan: &Plan, desc: &Desc, label: &str, of: fn(&Row) -> &'static str) -> Sample {
    let rows = plan.rows.iter().filter(|row| of(row) == label).count();
    desc.sample(&[label], rows as f64)
}

fn blocked(plan: &Plan, block: Block) -> Sample {
    let rows = plan.rows.iter().filter(|row| row.verdict == Verdict::Block(block)).count();
    PLAN_BLOCKED.sample(&[block.as_label()], rows as f64)
}

fn setting_info(row: &Row) -> Sample {
    let planned = row.planned.as_ref().map(ToString::to_string).unwrap_or_default();
    let (current, verdict) = (row.current.to_string(), row.verdict.as_label());
    SETTING_INFO.sample(&[&row.name, &current, &planned, verdict, row.context.as_label()], 1.0)
}

/// Metrics are in seconds where settings are in milliseconds.
fn base_unit(value: &Value) -> Option<f64> {
    match value {
        Value::Time(millis) => Some(millis.0 as f64 / 1000.0),
        Value::Size(_)
        | Value::Int(_)
        | Value::Real(_)
        | Value::Bool(_)
        | Value::Word(_)
        | Value::List(_) => value.as_number(),
    }
}

pub(super) fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::Budget;
    use crate::model::setting::Context;
    use crate::model::units::{Bytes, Millis};

    #[test]
    fn the_table_keeps_the_rules_of_naming() {
        for desc in OWN {
            let name = desc.name;
            assert!(name.starts_with("pg_") || name.starts_with("pgpilot_"), "{name}");
            assert!(desc.help.ends_with('.'), "{name}");
            assert_eq!(name.ends_with("_total"), desc.kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_info"), desc.kind == Kind::Info, "{name}");
        }
        let mut names: Vec<_> = OWN.iter().map(|desc| desc.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OWN.len(), "no name twice");
    }

    fn row(name: &str, current: Value, planned: Option<Value>, verdict: Verdict) -> Row {
        Row { name: name.to_owned(), current, planned, context: Context::Reload, verdict, why: String::new() }
    }

    #[test]
    fn a_plan_is_told_in_base_units_and_counted_by_verdict() {
        let plan = Plan {
            at: jiff::Timestamp::UNIX_EPOCH,
            server: "17.10".to_owned(),
            profile: "standard".to_owned(),
            budget: Budget {
                memory: Bytes::gib(8),
                how: String::new(),
                cpus: Some(4),
                planned: Bytes::gib(6),
                limit: Bytes::gib(7),
            },
            rows: vec![
                row("work_mem", Value::Size(Bytes::mib(4)), Some(Value::Size(Bytes::mib(16))), Verdict::Set),
                row("checkpoint_timeout", Value::Time(Millis(300_000)), None, Verdict::Keep),
                row("jit", Value::Bool(true), None, Verdict::Block(Block::ByHand)),
                row("wal_compression", Value::Word("off".to_owned()), None, Verdict::Wait),
            ],
            notes: vec![],
        };
        let families = plan_families(&plan);
        let text: Vec<_> = families
            .iter()
            .flat_map(|family| family.samples.iter().map(|sample| (family.name.as_ref(), sample)))
            .filter(|(name, sample)| sample.value != 0.0 && !name.ends_with("_info"))
            .map(|(name, sample)| {
                format!("{name}/{} {}", sample.labels.first().map_or("", |(_, text)| text), sample.value)
            })
            .collect();
        assert_eq!(
            text,
            [
                "pgpilot_setting_current/work_mem 4194304",
                "pgpilot_setting_current/checkpoint_timeout 300",
                "pgpilot_setting_current/jit 1",
                "pgpilot_setting_planned/work_mem 16777216",
                "pgpilot_plan_rows/set 1",
                "pgpilot_plan_rows/keep 1",
                "pgpilot_plan_rows/wait 1",
                "pgpilot_plan_rows/block 1",
                "pgpilot_plan_blocked/by_hand 1",
                "pgpilot_memory_budget_bytes/ 8589934592",
                "pgpilot_plan_memory_bytes/ 6442450944",
            ]
        );
    }
}
