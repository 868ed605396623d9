//! The HTTP server: one task a connection, each with an end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::board::Board;
use super::routes::{Reply, Site, answer, text};
use super::scrape::Scraper;

/// A client that sends its request slower than this, or none, is cut.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest scrape is 25 s; what takes longer than this is stuck.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection is used for new requests no longer than this, so that one that is never read from frees its place
/// at last.
const CONNECTION_LIFE: Duration = Duration::from_secs(60);

/// Prometheus, a health check and a few people: ten. Each more costs a buffer.
const MAX_CONNECTIONS: usize = 64;

/// What answers in flight get when we stop: Docker kills ten seconds after SIGTERM, and we promise five.
const STOP_PATIENCE: Duration = Duration::from_secs(4);

/// After an accept that failed, which it does again at once when file descriptors are used up.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers on the listener until told to stop, then finishes what was begun.
///
/// Without a scraper, which is so when the options are bad, everything but PostgreSQL's metrics is given.
pub async fn serve(
    listener: TcpListener,
    board: Arc<Board>,
    scraper: Option<Scraper>,
    stop: CancellationToken,
) {
    let scraper = scraper.unwrap_or_else(|| Scraper::unconfigured(board.clone()));
    let site = Arc::new(Site { board, scraper });
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Some(stream) = usable(accepted).await else { continue };
        match places.clone().try_acquire_owned() {
            Ok(place) => drop(connections.spawn(connection(stream, site.clone(), stop.clone(), place))),
            Err(_) => turn_away(&stream),
        }
    }
    drop(listener);
    connections.close();
    if timeout(STOP_PATIENCE, connections.wait()).await.is_err() {
        info!("stopped with answers still on their way");
    }
}

async fn usable(accepted: io::Result<(TcpStream, SocketAddr)>) -> Option<TcpStream> {
    match accepted {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            warn!(%error, "a connection could not be accepted");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Never waits: what does not fit into the socket's buffer is not worth it.
fn turn_away(stream: &TcpStream) {
    const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    debug!("a connection was turned away: {MAX_CONNECTIONS} are open");
    drop(stream.try_write(FULL));
}

async fn connection(
    stream: TcpStream,
    site: Arc<Site>,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    let service = service_fn(move |request| within_time(site.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = stop.cancelled() => None,
        () = sleep(CONNECTION_LIFE) => None,
    };
    let ended = match ended {
        Some(ended) => Ok(ended),
        None => {
            connection.as_mut().graceful_shutdown();
            timeout(REQUEST_TIMEOUT, connection).await
        }
    };
    if let Ok(Err(error)) = ended {
        debug!(%error, "a connection ended early");
    }
}

async fn within_time(site: Arc<Site>, request: Request<Incoming>) -> Result<Reply, Infallible> {
    let answered = timeout(REQUEST_TIMEOUT, answer(site, request)).await;
    Ok(answered.unwrap_or_else(|_| text(StatusCode::GATEWAY_TIMEOUT, "no answer in time\n")))
}
