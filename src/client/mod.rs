//! Layer 2: speaks protocols. Thin and typed; knows nothing of tuning.

pub mod catalog;
pub mod http;
pub mod https;
mod place;
pub mod postgres;
mod reach;
mod target;
mod tls;

pub use place::Place;
pub use reach::Reach;
pub use target::{Target, TargetError, Wanted};
