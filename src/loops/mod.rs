//! Layer 3: what happens over time. Each loop is a tick, one call into the deciding layers, one into the edges.

mod report;
pub mod tune;
pub mod tuning;
