//! Whether a request's credentials are good.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::serve::web_config::{TokenDigest, User};

/// Users and tokens, and which passwords were found good: bcrypt takes 70 ms at its usual cost, each time.
pub(super) struct Proofs {
    users: Vec<User>,
    tokens: Vec<TokenDigest>,
    /// The hash of no password, as dear to check as the dearest: an unknown name takes as long as a wrong password.
    stand_in: String,
    /// What salts `good`; none without a source of chance, and then nothing is remembered.
    salt: Option<[u8; 32]>,
    /// By the user's place, a digest of the password that was found good last; never the password.
    good: Mutex<HashMap<usize, [u8; 32]>>,
    /// One check at a time, so that guessing passwords takes one core at most, and none from a known client.
    turn: Arc<Semaphore>,
}

/// What a client brings.
enum Shown {
    Password { name: String, password: Vec<u8> },
    Token(Vec<u8>),
}

impl Proofs {
    pub(super) fn of(users: Vec<User>, tokens: Vec<TokenDigest>) -> Self {
        let cost = |user: &User| user.hash.parse::<bcrypt::HashParts>().map_or(0, |parts| parts.get_cost());
        let cost = users.iter().map(cost).max().unwrap_or(bcrypt::DEFAULT_COST);
        let mut salt = [0; 32];
        let salt = getrandom::fill(&mut salt).is_ok().then_some(salt);
        Self {
            users,
            tokens,
            stand_in: format!("$2b${cost:02}${}", ".".repeat(53)),
            salt,
            good: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    pub(super) fn are_asked_for(&self) -> bool {
        !self.users.is_empty() || !self.tokens.is_empty()
    }

    /// The values of `WWW-Authenticate`.
    pub(super) fn challenges(&self) -> impl Iterator<Item = &'static str> {
        let basic = (!self.users.is_empty()).then_some("Basic realm=\"pgpilot\", charset=\"UTF-8\"");
        let bearer = (!self.tokens.is_empty()).then_some("Bearer realm=\"pgpilot\"");
        basic.into_iter().chain(bearer)
    }

    pub(super) async fn hold(&self, header: Option<&HeaderValue>) -> bool {
        match header.and_then(shown) {
            Some(Shown::Password { name, password }) if !self.users.is_empty() => {
                self.is_password(&name, password).await
            }
            Some(Shown::Token(token)) => self.is_token(&token),
            Some(Shown::Password { .. }) | None => false,
        }
    }

    /// Compares with every token, whichever is the right one.
    fn is_token(&self, token: &[u8]) -> bool {
        let digest: TokenDigest = Sha256::digest(token).into();
        let found =
            self.tokens.iter().fold(subtle::Choice::from(0), |found, known| found | known.ct_eq(&digest));
        found.into()
    }

    async fn is_password(&self, name: &str, password: Vec<u8>) -> bool {
        let place = self.users.iter().position(|user| user.name == name);
        let mark = self.mark(place, &password);
        if self.is_known(place, mark) {
            return true;
        }
        let Ok(turn) = self.turn.clone().acquire_owned().await else { return false };
        // Somebody else with the same password may have had the turn before.
        if self.is_known(place, mark) {
            return true;
        }
        let hash = place.map_or(&self.stand_in, |place| &self.users[place].hash).clone();
        let checked = spawn_blocking(move || {
            // Goes with the work: a client that leaves does not let the next one start beside it.
            let _turn = turn;
            bcrypt::verify(password, &hash).unwrap_or(false)
        });
        let is_good = checked.await.unwrap_or(false);
        match (place, mark) {
            (Some(place), Some(mark)) if is_good => drop(self.good().insert(place, mark)),
            _ => {}
        }
        is_good && place.is_some()
    }

    fn mark(&self, place: Option<usize>, password: &[u8]) -> Option<[u8; 32]> {
        let salt = self.salt?;
        let place = place.map_or(u64::MAX, |place| place as u64);
        Some(
            Sha256::new()
                .chain_update(salt)
                .chain_update(place.to_le_bytes())
                .chain_update(password)
                .finalize()
                .into(),
        )
    }

    fn is_known(&self, place: Option<usize>, mark: Option<[u8; 32]>) -> bool {
        let known = place.and_then(|place| self.good().get(&place).copied());
        match (known, mark) {
            (Some(known), Some(mark)) => known.ct_eq(&mark).into(),
            _ => false,
        }
    }

    fn good(&self) -> std::sync::MutexGuard<'_, HashMap<usize, [u8; 32]>> {
        self.good.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads an `Authorization` header of one of the two schemes.
fn shown(header: &HeaderValue) -> Option<Shown> {
    let (scheme, rest) = header.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Shown::Token(rest.as_bytes().to_vec()));
    }
    let pair = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(rest).ok()).flatten()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let name = String::from_utf8(pair[..colon].to_vec()).ok()?;
    Some(Shown::Password { name, password: pair[colon + 1..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// bcrypt's lowest cost, since what it costs is not what is asked here.
    fn proofs() -> Proofs {
        let hash = bcrypt::hash("hunter2:", 4).unwrap();
        Proofs::of(vec![User { name: "anna".to_owned(), hash }], vec![Sha256::digest("tok-1").into()])
    }

    fn holds(proofs: &Proofs, header: &str) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(proofs.hold(Some(&HeaderValue::from_str(header).unwrap())))
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn credentials_are_good_or_not() {
        let proofs = proofs();
        let rows = [
            (basic("anna:hunter2:"), true),
            (basic("anna:hunter2:").replace("Basic", "bAsIc"), true),
            (basic("anna:hunter2"), false),
            (basic("anna:"), false),
            (basic("bert:hunter2:"), false),
            (basic(":"), false),
            (basic("anna"), false),
            ("Basic %%%".to_owned(), false),
            ("Basic".to_owned(), false),
            ("Bearer tok-1".to_owned(), true),
            ("bearer  tok-1".to_owned(), true),
            ("Bearer tok-2".to_owned(), false),
            ("Bearer ".to_owned(), false),
            ("Digest tok-1".to_owned(), false),
        ];
        for (header, want) in rows {
            assert_eq!(holds(&proofs, &header), want, "{header}");
        }
    }

    #[test]
    fn only_a_good_password_is_remembered_and_only_for_its_user() {
        let proofs = proofs();
        assert!(!holds(&proofs, &basic("anna:wrong")) && proofs.good().is_empty());
        assert!(!holds(&proofs, &basic("bert:hunter2:")) && proofs.good().is_empty());
        assert!(holds(&proofs, &basic("anna:hunter2:")) && proofs.good().len() == 1);
        // What is remembered answers without a turn to hash.
        proofs.turn.close();
        assert!(holds(&proofs, &basic("anna:hunter2:")));
        assert!(!holds(&proofs, &basic("anna:wrong")) && !holds(&proofs, &basic("bert:hunter2:")));
    }

    #[test]
    fn an_unknown_name_is_checked_against_a_hash_of_the_same_cost() {
        let parts: bcrypt::HashParts = proofs().stand_in.parse().unwrap();
        assert_eq!(parts.get_cost(), 4);
        assert_eq!(bcrypt::verify("x", &proofs().stand_in).ok(), Some(false), "it can be checked");
    }
}
