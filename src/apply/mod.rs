//! Layer 2: does exactly what a change orders, with the journal written first.

mod grants;
pub mod journal;
pub mod lock;
pub mod postgres;
pub mod run;
pub mod setup;
pub mod wrapper;

use crate::client::postgres::PgError;
use crate::lifecycle::{Event, Found};
use crate::model::change::{Change, State, Subject};

/// The edge that can read and touch subjects. PostgreSQL's settings are the real one, tests have a fake.
pub trait Hands {
    /// The present states of subjects.
    fn read(&mut self, subjects: &[Subject]) -> impl Future<Output = Result<Vec<Found>, PgError>>;

    /// Writes states one by one; [`Event::Refused`] at the first that is not taken, with what was said.
    fn write(&mut self, states: &[(Subject, State)]) -> impl Future<Output = Result<Said, PgError>>;

    /// Makes the server read its files.
    fn load(&mut self) -> impl Future<Output = Result<Said, PgError>>;

    /// Compares what is in force with what the change wanted.
    fn verify(&mut self, change: &Change) -> impl Future<Output = Result<Said, PgError>>;

    /// After a lost connection: waits for the server, as long as it is worth waiting, and until nothing that the old
    /// session sent can land any more; then takes its locks again.
    fn reconnect(&mut self) -> impl Future<Output = Result<(), PgError>>;
}

/// An event, and what the server said to it, for the journal and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub event: Event,
    pub note: Option<String>,
    /// The setting that failed, where it was one.
    pub culprit: Option<String>,
}

impl From<Event> for Said {
    fn from(event: Event) -> Self {
        Self { event, note: None, culprit: None }
    }
}
