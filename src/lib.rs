//! pgpilot fits PostgreSQL to its machine, exports its metrics, and takes back what does harm.
//!
//! Four layers; imports point down only, and `tests/layers.rs` says so:
//!
//! | layer | modules | what they do |
//! |---|---|---|
//! | 3 | `loops`, `serve` | a tick, one call down; HTTP from a snapshot |
//! | 2 | `client`, `collect`, `apply` | speak a protocol, read, write |
//! | 1 | `tune`, `lifecycle` | decide: pure functions of values |
//! | 0 | `model`, `config` | words and options |
//!
//! `app`, `cli` and `docs` stand above and put the parts together.

// So that tests in here and in `tests/` can share helpers that say `pgpilot::`.
#[cfg(test)]
extern crate self as pgpilot;

pub mod app;
pub mod apply;
pub mod cli;
pub mod client;
pub mod collect;
pub mod config;
pub mod docs;
pub mod lifecycle;
pub mod loops;
pub mod model;
pub mod serve;
pub mod tune;
