//! One GET over TLS to our own listener, for `pgpilot healthcheck`. Whoever answers is believed: what is asked is
//! whether we live, and nothing is told.

use std::io;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, Error};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::tls::trusting;

/// How long our own listener may take: a handshake, and an answer from memory.
const TIMEOUT: Duration = Duration::from_secs(3);

/// An answer about our health has some hundred bytes.
const MOST_BYTES: u64 = 64 << 10;

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// Status code and body.
    Http(u16, String),
    /// It lives, speaks TLS, and wants a certificate that we do not have.
    WantsCertificate,
    /// Something answered, and not in TLS.
    NotTls,
}

/// An answer that did not come.
#[derive(Debug, thiserror::Error)]
#[error("asking https://{host}:{port}{path}")]
pub struct HttpsError {
    host: String,
    port: u16,
    path: String,
    source: io::Error,
}

/// Asks once, showing this certificate where one is asked for.
///
/// # Errors
/// When nothing answers there within three seconds.
pub async fn get(
    (host, port): (&str, u16),
    path: &str,
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<Answer, HttpsError> {
    let asked = timeout(TIMEOUT, ask((host, port), path, own)).await;
    match asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(answer) => Ok(answer),
        Err(error) => verdict(&error).ok_or_else(|| HttpsError {
            host: host.to_owned(),
            port,
            path: path.to_owned(),
            source: error,
        }),
    }
}

async fn ask(
    place: (&str, u16),
    path: &str,
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> io::Result<Answer> {
    let config = trusting(own).map_err(io::Error::other)?;
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let stream = TcpStream::connect(place).await?;
    let mut stream = TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = vec![];
    let read = (&mut stream).take(MOST_BYTES).read_to_end(&mut answer).await;
    // In TLS 1.3 a refused certificate shows only now.
    if answer.is_empty() {
        read?;
    }
    parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    Some(Answer::Http(status, body.to_owned()))
}

/// How a listener says that it wants another certificate, or one at all.
const WANTS: &[AlertDescription] = &[
    AlertDescription::CertificateRequired,
    AlertDescription::HandshakeFailure,
    AlertDescription::BadCertificate,
    AlertDescription::UnknownCA,
    AlertDescription::CertificateUnknown,
    AlertDescription::AccessDenied,
];

/// What an error says of who is there.
fn verdict(error: &io::Error) -> Option<Answer> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    if let Error::AlertReceived(alert) = error {
        return WANTS.contains(alert).then_some(Answer::WantsCertificate);
    }
    matches!(error, Error::InvalidMessage(_)).then_some(Answer::NotTls)
}
