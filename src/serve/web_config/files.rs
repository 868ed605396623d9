//! The files that a web config consists of, with what they held, so that a change is noticed.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::yaml::Bad;

/// A chain of certificates has some ten kilobytes; a bundle of every public authority a few hundred.
const MOST_BYTES: u64 = 1 << 20;

/// What was found in a file; none where it could not be read.
type Seen = Option<[u8; 32]>;

/// Every file that was asked for while reading, found or not.
#[derive(Default)]
pub(in crate::serve) struct Files {
    folder: PathBuf,
    seen: Vec<(PathBuf, Seen)>,
}

impl Files {
    /// Paths are relative to the folder of this file, which is read first.
    pub(super) fn beside(path: &Path) -> Self {
        Self { folder: path.parent().map(Path::to_owned).unwrap_or_default(), seen: vec![] }
    }

    /// Reads the file that a key names.
    pub(super) fn text(&mut self, key: &str, path: &str) -> Result<String, Bad> {
        let path = self.folder.join(path);
        self.read(&path).map_err(|error| Bad::new(key, format!("reading {}: {error}", path.display())))
    }

    pub(super) fn read(&mut self, path: &Path) -> io::Result<String> {
        let read = read(path);
        self.seen.push((path.to_owned(), read.as_ref().ok().map(|text| digest(text))));
        read
    }

    /// Whether each file still holds what it held. Times of change are not asked: orchestrators swap folders.
    pub(in crate::serve) fn are_unchanged(&self) -> bool {
        self.seen.iter().all(|(path, seen)| read(path).ok().map(|text| digest(&text)) == *seen)
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!("it has more than {} MB", MOST_BYTES >> 20)));
    }
    Ok(text)
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}
