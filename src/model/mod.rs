//! Layer 0: the words that everyone shares. Values only: no clock, no socket, no file.

pub mod change;
pub mod doctor;
pub mod error;
pub mod facts;
pub mod host_file;
pub mod labels;
pub mod metric;
pub mod pattern;
pub mod plan;
pub mod postgres;
pub mod setting;
pub mod units;
