//! TLS for one connection: a handshake with an end.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::guard::Peer;
use super::web_config::Tls;

/// A handshake is two exchanges; a client that needs longer does not want one.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a client gets to read why it is refused.
const MOMENT: Duration = Duration::from_secs(1);

/// The first byte of every TLS connection.
const HANDSHAKE: u8 = 22;

/// Shakes hands.
pub(super) async fn accept(stream: TcpStream, tls: &Tls) -> io::Result<(TlsStream<TcpStream>, Peer)> {
    timeout(HANDSHAKE_TIMEOUT, shake_hands(stream, tls))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn shake_hands(mut stream: TcpStream, tls: &Tls) -> io::Result<(TlsStream<TcpStream>, Peer)> {
    let mut first = [HANDSHAKE];
    stream.peek(&mut first).await?;
    if first[0].is_ascii_uppercase() {
        say_https(&mut stream).await?;
        return Err(io::Error::other("the client does not speak TLS"));
    }
    let accepted = TlsAcceptor::from(tls.config.clone()).accept(stream).into_fallible().await;
    let stream = match accepted {
        Ok(stream) => stream,
        Err((error, mut stream)) => {
            part(&mut stream).await;
            return Err(error);
        }
    };
    let shown = stream.get_ref().1.peer_certificates();
    let is_known = tls.clients.as_ref().is_none_or(|clients| clients.vouches(shown));
    Ok((stream, if is_known { Peer::Any } else { Peer::HealthCheck }))
}

/// To a client that speaks plain HTTP, which is what a person gets who forgot the `s`.
async fn say_https(stream: &mut TcpStream) -> io::Result<()> {
    const SAID: &str = "this port speaks HTTPS\n";
    let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n";
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{SAID}", SAID.len()).as_bytes()).await?;
    part(stream).await;
    Ok(())
}

/// Closes, but not before the client had a moment to end: what is not read by then makes the kernel take back what was
/// said last, which is why we close.
async fn part(stream: &mut TcpStream) {
    let read_out = async {
        let mut taken = [0; 1024];
        stream.shutdown().await?;
        while stream.read(&mut taken).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    drop(timeout(MOMENT, read_out).await);
}
