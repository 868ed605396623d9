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

pub use desk::Bounds;
pub use guard::Guard;
pub use scrape::{Choice, Pace, Scraper};
