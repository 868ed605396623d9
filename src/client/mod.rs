//! Layer 2: speaks protocols. Thin and typed; knows nothing of tuning.

pub mod catalog;
pub mod http;
pub mod postgres;
mod target;
mod tls;

pub use target::{Target, TargetError};
