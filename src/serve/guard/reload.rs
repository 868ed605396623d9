//! Reads the web config again when it has changed. What cannot be used leaves the last good state in force.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{error, info};

use super::{Guard, Held};
use crate::serve::web_config::{self, Files, WebConfig};

/// The files are looked at when somebody comes, but not more often than this: a taken password is good no longer.
const EVERY: Duration = Duration::from_secs(1);

/// How long a client waits for a file system that hangs; then it is answered by what is known.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was read, and when it was last looked at.
pub(super) struct Watch {
    path: PathBuf,
    files: Mutex<Files>,
    looked: Mutex<Instant>,
    /// One look at a time, also when it hangs.
    is_looking: AtomicBool,
}

impl Watch {
    pub(super) fn new(path: &Path, files: Files) -> Self {
        Self {
            path: path.to_owned(),
            files: Mutex::new(files),
            looked: Mutex::new(Instant::now()),
            is_looking: AtomicBool::new(false),
        }
    }

    /// Whether it is time, and nobody else is at it.
    fn begin(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.elapsed() < EVERY || self.is_looking.swap(true, Ordering::AcqRel) {
            return false;
        }
        *looked = Instant::now();
        true
    }

    /// The file as it is now, if it or one that it names has changed since the last look.
    fn changed(&self) -> Option<Result<WebConfig, String>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if files.are_unchanged() {
            return None;
        }
        let (config, now) = web_config::read(&self.path);
        *files = now;
        Some(config.map_err(|error| error.to_string()))
    }
}

type Has = fn(&WebConfig) -> bool;

/// What a change may add, and only a restart may take away: a file that is just being written can be empty.
const PROTECTIONS: &[(&str, Has)] = &[
    ("TLS", |config| config.tls.is_some()),
    ("the verification of clients", |config| config.tls.as_ref().is_some_and(|tls| tls.clients.is_some())),
    ("all credentials", |config| config.asks_who()),
];

fn taken_away(now: &WebConfig, next: &WebConfig) -> Option<String> {
    let (name, _) = PROTECTIONS.iter().find(|(_, has)| has(now) && !has(next))?;
    Some(format!("it takes away {name}, which needs a restart of pgpilot"))
}

impl Guard {
    /// Takes over a changed file. Waits for it, but not for ever.
    pub(in crate::serve) async fn refresh(self: &Arc<Self>) {
        if !self.watch.as_ref().is_some_and(Watch::begin) {
            return;
        }
        let guard = self.clone();
        drop(timeout(PATIENCE, spawn_blocking(move || guard.look())).await);
    }

    fn look(&self) {
        let Some(watch) = &self.watch else { return };
        if let Some(read) = watch.changed() {
            self.take_over(watch, read);
        }
        watch.is_looking.store(false, Ordering::Release);
    }

    fn take_over(&self, watch: &Watch, read: Result<WebConfig, String>) {
        let path = watch.path.display();
        let judged = read.and_then(|next| match taken_away(&self.held().config, &next) {
            None => Ok(next),
            Some(said) => Err(format!("{path}: {said}")),
        });
        match judged {
            Ok(next) => {
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Held::of(next));
                info!("the web config was read again: {path}");
            }
            Err(said) => error!("the web config cannot be used, and the former one stays in force: {said}"),
        }
    }
}
