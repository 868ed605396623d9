//! Layer 1: what each setting should be, and why. Facts and a policy in, a [`Plan`](crate::model::plan::Plan) out.
//!
//! [`knobs`] is the table of settings; its formulas stand in one file per group (`memory`, `wal`, `io`, …). `budget`
//! and `profile` say how much there is and how boldly it may be used, `barriers` what forbids a value, `checks` and
//! `fit` look at the whole plan, and [`plan()`] puts it together. Nothing in here reads a clock, a file or a socket.

mod barriers;
mod budget;
mod checks;
mod connections;
mod custom;
mod draft;
mod drafts;
mod fit;
mod inputs;
mod io;
pub mod knobs;
mod memory;
mod notes;
mod observe;
mod page;
mod parallel;
mod plan;
mod profile;
mod render;
mod sum;
mod vacuum;
mod wal;

pub use budget::NoPlan;
pub use custom::Custom;
pub use knobs::{KNOBS, Knob};
pub use page::page;
pub use plan::{Policy, TakeOver, plan, settings_read};
pub use profile::Choice;

#[cfg(test)]
mod planned;
#[cfg(test)]
#[path = "../../tests/support/facts.rs"]
mod testing;
