//! The guard of the listener: who may ask, how often, and over what; as the web config file says at this moment.

mod bucket;
mod proof;
mod reload;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

use super::routes::{IsGood, Reply, text};
use super::web_config::{self, Tls, WebConfig, WebConfigError};
use bucket::Bucket;
use proof::Proofs;
use reload::Watch;

/// Lets requests through, or says why not.
pub struct Guard {
    /// None: there is no file, and everything is let through.
    watch: Option<Watch>,
    held: RwLock<Arc<Held>>,
}

/// One state of the file, with what was learnt under it.
pub(super) struct Held {
    config: WebConfig,
    proofs: Proofs,
    bucket: Option<Mutex<Bucket>>,
}

/// What is known of a client from its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Any,
    /// It showed the listener's own certificate: it is pgpilot's health check, which need not see more.
    HealthCheck,
}

/// How far a request may go.
pub(super) enum Admission {
    Whole,
    /// Only whether we are well, without a word on what is not.
    StatusOnly(IsGood),
    Refused(Reply),
}

impl Guard {
    /// Lets everything through, over plain HTTP.
    pub fn open() -> Self {
        Self { watch: None, held: RwLock::new(Arc::new(Held::of(WebConfig::default()))) }
    }

    /// Guards as this file says, now and after each change of it.
    ///
    /// # Errors
    /// When the file, or one that it names, cannot be used.
    pub fn of(path: &Path) -> Result<Self, WebConfigError> {
        let (config, files) = web_config::read(path);
        let held = RwLock::new(Arc::new(Held::of(config?)));
        Ok(Self { watch: Some(Watch::new(path, files)), held })
    }

    /// Whether the listener speaks TLS.
    pub fn is_secure(&self) -> bool {
        self.held().tls().is_some()
    }

    /// Whether anybody who reaches the listener may read from it.
    pub fn is_open(&self) -> bool {
        let held = self.held();
        !held.config.asks_who() && held.tls().is_none_or(|tls| tls.clients.is_none())
    }

    pub(super) fn held(&self) -> Arc<Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Held {
    fn of(config: WebConfig) -> Self {
        let proofs = Proofs::of(config.users.clone(), config.tokens.clone());
        let bucket = config.rate.map(|rate| Mutex::new(Bucket::full(rate, Instant::now())));
        Self { config, proofs, bucket }
    }

    pub(super) fn tls(&self) -> Option<&Tls> {
        self.config.tls.as_ref()
    }

    /// Judges a request by its headers. What asks for our health is never turned away for want of a password, since
    /// Docker has none, nor for its rate: it costs nothing and decides whether the container lives.
    pub(super) async fn admit(&self, headers: &HeaderMap, peer: Peer, asked: Option<IsGood>) -> Admission {
        if asked.is_none() && !self.is_in_time() {
            return Admission::Refused(too_often());
        }
        let shown = headers.get(AUTHORIZATION);
        match (peer, asked) {
            (Peer::HealthCheck, Some(is_good)) => Admission::StatusOnly(is_good),
            (Peer::HealthCheck, None) => Admission::Refused(not_yours()),
            (Peer::Any, _) if !self.proofs.are_asked_for() || self.proofs.hold(shown).await => {
                Admission::Whole
            }
            (Peer::Any, Some(is_good)) if shown.is_none() => Admission::StatusOnly(is_good),
            (Peer::Any, _) => Admission::Refused(self.who()),
        }
    }

    fn is_in_time(&self) -> bool {
        let taken = |bucket: &Mutex<Bucket>| {
            bucket.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
        };
        self.bucket.as_ref().is_none_or(taken)
    }

    fn who(&self) -> Reply {
        let mut reply = text(StatusCode::UNAUTHORIZED, "this needs credentials that are good here\n");
        for challenge in self.proofs.challenges() {
            reply.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        reply
    }

    /// Adds the headers that the file has for every answer.
    pub(super) fn dress(&self, mut reply: Reply) -> Reply {
        for (name, value) in &self.config.headers {
            reply.headers_mut().insert(name, value.clone());
        }
        reply
    }
}

fn too_often() -> Reply {
    let mut reply = text(StatusCode::TOO_MANY_REQUESTS, "more requests than rate_limit allows\n");
    reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    reply
}

fn not_yours() -> Reply {
    text(StatusCode::FORBIDDEN, "the listener's own certificate opens /healthz and /readyz only\n")
}
