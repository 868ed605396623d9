//! What the rest of the program shows: it publishes, HTTP reads.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use tracing::error;

use super::own;
use crate::model::facts::Facts;
use crate::model::metric::Family;
use crate::model::plan::Plan;

/// The latest of everything. Readers take an [`Arc`] and are never in a writer's way.
#[derive(Debug)]
pub struct Board {
    since: Instant,
    start_deadline: Duration,
    shown: RwLock<Arc<Shown>>,
}

/// What came of a pass over the server.
#[derive(Debug, Default)]
pub struct State {
    /// None where the server was not seen: the last ones stay, with their age.
    pub facts: Option<Facts>,
    pub plan: Option<Plan>,
    /// What a person should know of: one sentence each.
    pub problems: Vec<String>,
    /// Metrics of parts that have no collector, such as the last apply.
    pub families: Vec<Family>,
}

/// One state of the board, in the forms in which it is asked for.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// JSON for `/facts`.
    pub(super) facts: Option<Bytes>,
    pub(super) plan: Option<ShownPlan>,
    pub(super) health: Health,
    pub(super) families: Vec<Family>,
}

#[derive(Debug, Clone)]
pub(super) struct ShownPlan {
    pub(super) json: Bytes,
    /// The table that people read.
    pub(super) text: String,
    pub(super) families: Vec<Family>,
    pub(super) at: Instant,
}

/// Whether pgpilot does what it is here for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// A pass saw the server and planned, or the start-up deadline has passed: nothing need wait any longer.
    pub started: bool,
    /// Connected, the last pass was good, and no other pgpilot works on this server.
    pub ready: bool,
    pub problems: Vec<String>,
}

impl Board {
    /// After `start_deadline`, `/healthz` is healthy whatever the server does.
    pub fn new(start_deadline: Duration) -> Self {
        Self { since: Instant::now(), start_deadline, shown: RwLock::default() }
    }

    pub fn publish(&self, state: State) {
        let State { facts, plan, problems, families } = state;
        let mut next = Shown::clone(&self.held());
        next.health.started |= plan.is_some();
        next.health.ready = plan.is_some() && problems.is_empty();
        next.health.problems = problems;
        next.facts = facts.as_ref().and_then(json).or(next.facts);
        next.plan = plan.as_ref().and_then(shown_plan).or(next.plan);
        next.families = families;
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }

    pub fn health(&self) -> Health {
        let health = self.held().health.clone();
        Health { started: health.started || self.since.elapsed() >= self.start_deadline, ..health }
    }

    pub(super) fn held(&self) -> Arc<Shown> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn shown_plan(plan: &Plan) -> Option<ShownPlan> {
    let (json, text) = (json(plan)?, plan.to_string());
    Some(ShownPlan { json, text, families: own::plan_families(plan), at: Instant::now() })
}

/// For people with curl as much as for programs: indented.
fn json(value: &impl Serialize) -> Option<Bytes> {
    match serde_json::to_vec_pretty(value) {
        Ok(mut text) => {
            text.push(b'\n');
            Some(text.into())
        }
        Err(error) => {
            error!(%error, "a page could not be written as JSON");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_waits_for_us_longer_than_the_deadline() {
        assert!(!Board::new(Duration::from_secs(60)).health().started);
        assert!(Board::new(Duration::ZERO).health().started);
    }

    #[test]
    fn a_pass_that_saw_nothing_is_not_ready_and_says_why() {
        let board = Board::new(Duration::from_secs(60));
        board.publish(State { problems: vec!["no server".to_owned()], ..State::default() });
        let want = Health { started: false, ready: false, problems: vec!["no server".to_owned()] };
        assert_eq!(board.health(), want);
    }
}
