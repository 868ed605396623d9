//! Layer 1: the life of a change, decided without touching anything.

mod ledger;
mod propose;
mod step;
mod take_back;
mod verdict;

pub use ledger::{Record, in_flight, ours, taken_back};
pub use propose::{Wanted, propose};
pub use step::{Event, Found, Order, step};
pub use take_back::{Refusal, take_back};
pub use verdict::{InForce, Objection, verdict};
