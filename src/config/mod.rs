//! Layer 0: what the operator said. One table; the struct, `--help`, the page and the checks derive from it.

pub mod flags;
pub mod options;
pub mod shown;
mod table;
pub mod values;

pub use options::{Config, OPTIONS, read};
pub use table::{BadOption, Given, OptionDoc, Origin};
