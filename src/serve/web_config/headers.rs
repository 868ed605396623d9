//! `http_server_config`: headers that are added to every answer.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::yaml::{Bad, Map};

const KEYS: &[&str] = &["http2", "headers"];

/// The headers that the format allows, with the values that it allows; none: any.
const ALLOWED: &[(&str, &[&str])] = &[
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

pub(super) fn read(top: &mut Map) -> Result<HeaderMap, Bad> {
    let mut section = top.take_map("http_server_config")?;
    // Either answer is kept: without HTTP/2 in the handshake, clients speak HTTP/1.1, as they also do when it is off.
    if let Some(node) = section.take("http2") {
        node.flag()?;
    }
    let mut headers = HeaderMap::new();
    for (name, node) in section.take_map("headers")?.rest() {
        let at = node.at.clone();
        let (name, value) = header(&at, &name, &node.text()?)?;
        headers.insert(name, value);
    }
    section.end(KEYS)?;
    Ok(headers)
}

fn header(at: &str, name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Bad> {
    let Some((_, values)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
        let names: Vec<_> = ALLOWED.iter().map(|(name, _)| *name).collect();
        return Err(Bad::new(at, format!("this header cannot be set; these can: {}", names.join(", "))));
    };
    if !values.is_empty() && !values.contains(&value) {
        return Err(Bad::new(at, format!("expected {}, found `{value}`", values.join(" or "))));
    }
    let name = HeaderName::from_bytes(name.as_bytes());
    match (name, HeaderValue::from_str(value)) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        (Err(_), _) | (_, Err(_)) => {
            Err(Bad::new(at, "a header's value is one line of printable characters"))
        }
    }
}
