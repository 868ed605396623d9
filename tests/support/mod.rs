//! What several test binaries share.

pub(crate) mod certs;
pub(crate) mod cli;
pub(crate) mod families;
pub(crate) mod pg;
pub(crate) mod sql;
pub(crate) mod way;
pub(crate) mod web;
