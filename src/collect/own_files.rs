//! The files of `host_file::FILES` as our own process sees them.

use std::fs::File;
use std::io::{ErrorKind, Read};

use super::files::Answer;
use crate::model::host_file::{self, MOST_BYTES};

/// The files of `/proc` and `/sys` are made by the kernel on the spot: reading them does not wait for a disk.
pub fn read(names: &[String]) -> Vec<(String, Answer)> {
    let paths = names.iter().filter_map(|name| Some((name, host_file::path(name)?)));
    paths.map(|(name, path)| (name.clone(), read_one(&path))).collect()
}

fn read_one(path: &str) -> Answer {
    match text(path) {
        Ok(text) => Answer::Text(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Answer::Missing,
        Err(error) => Answer::Refused(format!("reading {path}: {error}")),
    }
}

fn text(path: &str) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_linux_has_is_read_and_a_name_outside_the_table_is_not() {
        let read = read(&["meminfo".to_owned(), "/etc/passwd".to_owned()]);
        assert_eq!(read.len(), 1);
        assert!(matches!(&read[0].1, Answer::Text(text) if text.contains("MemTotal")));
    }
}
