//! `basic_auth_users`, and our own `bearer_tokens`.

use sha2::{Digest as _, Sha256};

use super::files::Files;
use super::yaml::{Bad, Map, Node};

/// From cost 17 on, one check takes longer than a scrape may.
const HIGHEST_COST: u32 = 16;

/// A name and the bcrypt hash of its password.
#[derive(Clone)]
pub(in crate::serve) struct User {
    pub(in crate::serve) name: String,
    pub(in crate::serve) hash: String,
}

pub(super) fn read_users(top: &mut Map) -> Result<Vec<User>, Bad> {
    top.take_map("basic_auth_users")?.rest().map(|(name, node)| user(name, node)).collect()
}

fn user(name: String, node: Node) -> Result<User, Bad> {
    let at = node.at.clone();
    let hash = node.text()?;
    if name.contains(':') {
        return Err(Bad::new(&at, "a user's name cannot have a colon"));
    }
    match hash.parse::<bcrypt::HashParts>() {
        Ok(parts) if (4..=HIGHEST_COST).contains(&parts.get_cost()) => Ok(User { name, hash }),
        Ok(parts) => {
            let cost = parts.get_cost();
            Err(Bad::new(&at, format!("expected a bcrypt cost from 4 to {HIGHEST_COST}, found {cost}")))
        }
        Err(_) => Err(Bad::new(
            &at,
            "expected a bcrypt hash, such as `htpasswd -nBC 10 \"\"` prints after the colon",
        )),
    }
}

/// What a token's bytes come to; the token itself is not kept.
pub(in crate::serve) type TokenDigest = [u8; 32];

pub(super) fn read_tokens(top: &mut Map, files: &mut Files) -> Result<Vec<TokenDigest>, Bad> {
    top.take_list("bearer_tokens")?.into_iter().map(|node| token(node, files)).collect()
}

fn token(node: Node, files: &mut Files) -> Result<TokenDigest, Bad> {
    let at = node.at.clone();
    let text = match node.text_or_map()? {
        Ok(text) => text,
        Err(mut map) => {
            let key = map.path("file");
            let path =
                map.take_text("file")?.ok_or_else(|| Bad::new(&key, "expected a path, found nothing"))?;
            map.end(&["file"])?;
            files.text(&key, &path)?.trim().to_owned()
        }
    };
    // What a header can carry and no proxy splits.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Bad::new(&at, "expected a token of printable characters without blanks"));
    }
    Ok(Sha256::digest(text).into())
}
