//! The little HTTP client that `pgpilot healthcheck` needs.

use std::time::Duration;

/// How long our own server may take to answer: it answers from memory.
const TIMEOUT: Duration = Duration::from_secs(3);

/// An answer that did not come.
#[derive(Debug, thiserror::Error)]
#[error("asking {url}")]
pub struct HttpError {
    url: String,
    source: reqwest::Error,
}

/// Status code and body of one GET.
///
/// # Errors
/// When nothing answers there within three seconds.
pub async fn get(url: &str) -> Result<(u16, String), HttpError> {
    let told = |source: reqwest::Error| HttpError { url: url.to_owned(), source: source.without_url() };
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(told)?;
    let answer = client.get(url).send().await.map_err(told)?;
    let status = answer.status().as_u16();
    Ok((status, answer.text().await.map_err(told)?))
}
