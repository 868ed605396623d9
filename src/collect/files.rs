//! What was read of the files in `host_file::FILES`, and by whom.

use std::collections::BTreeMap;

use super::mounts::{self, Mount};
use super::their_files::{self, Through};
use super::{limits, own_files, storage};
use crate::client::postgres::Session;
use crate::model::facts::Origin;
use crate::model::host_file;

/// What asking for a file gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Text(String),
    /// There is no such file, which is a fact too: a group without a limit has none.
    Missing,
    Refused(String),
}

impl Answer {
    pub(super) fn of(text: Option<&str>) -> Self {
        text.map_or(Self::Missing, |text| Self::Text(text.to_owned()))
    }
}

/// Files as one process sees them.
#[derive(Debug, Clone)]
pub struct Files {
    pub origin: Origin,
    answers: BTreeMap<String, Answer>,
}

impl Files {
    pub fn new(origin: Origin) -> Self {
        Self { origin, answers: BTreeMap::new() }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        match self.answers.get(name)? {
            Answer::Text(text) => Some(text),
            Answer::Missing | Answer::Refused(_) => None,
        }
    }

    /// Why a file could not be read, where it was not simply missing.
    pub fn refused(&self, name: &str) -> Option<&str> {
        match self.answers.get(name)? {
            Answer::Refused(why) => Some(why),
            Answer::Text(_) | Answer::Missing => None,
        }
    }

    pub fn mounts(&self) -> Vec<Mount> {
        self.get("mountinfo").map(mounts::parse).unwrap_or_default()
    }

    pub(super) fn extend(&mut self, answers: impl IntoIterator<Item = (String, Answer)>) {
        self.answers.extend(answers);
    }
}

/// Who reads.
#[derive(Clone, Copy)]
pub enum Reader<'a> {
    Server(&'a Session, Through),
    Own,
}

/// Which names lead to which: mountinfo to a device, the device to its disk. Three rounds reach the end.
const ROUNDS: usize = 3;

/// Reads all that is needed to know the machine, the limits, and the storage below a folder.
pub async fn read(reader: Reader<'_>, folder: Option<&str>) -> Files {
    let mut files = Files::new(match reader {
        Reader::Server(..) => Origin::Postgres,
        Reader::Own => Origin::Own,
    });
    let mut names = host_file::first_names();
    for _ in 0..ROUNDS {
        match reader {
            Reader::Server(session, through) => {
                their_files::read(session, through, &names, &mut files).await;
            }
            Reader::Own => files.extend(own_files::read(&names)),
        }
        names = limits::names(&files);
        names.extend(folder.map(|folder| storage::names(&files, folder)).unwrap_or_default());
        names.retain(|name| !files.answers.contains_key(name));
        if names.is_empty() {
            break;
        }
    }
    files
}

#[cfg(test)]
pub(super) fn captured(origin: Origin, texts: &[(&str, &str)]) -> Files {
    let mut files = Files::new(origin);
    files.extend(texts.iter().map(|(name, text)| ((*name).to_owned(), Answer::of(Some(text)))));
    files
}
