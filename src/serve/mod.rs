//! Layer 3: answers over HTTP, from what was read and decided; it decides nothing.

pub mod board;
mod classic;
mod desk;
pub mod docs;
mod feed;
mod guard;
pub mod http;
mod negotiate;
mod openmetrics;
pub mod own;
mod page;
mod routes;
mod scrape;
mod secure;
mod shelf;
mod statements;
mod visits;
mod walk;
pub mod web_config;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use desk::Bounds;
pub use guard::Guard;
pub use scrape::{Choice, Pace, Scraper};

/// What a mutex holds, also after a thread panicked with it: each change here is whole by itself.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
