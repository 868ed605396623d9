//! The HTTP server: one task a connection, each with an end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::board::Board;
use super::guard::{Admission, Guard, Peer};
use super::routes::{self, METRICS, Reply, Site, answer, text};
use super::scrape::Scraper;
use super::secure;

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

/// How the listener shows itself.
pub struct Front {
    /// Where the metrics are.
    pub metrics_path: String,
    pub guard: Arc<Guard>,
}

impl Default for Front {
    fn default() -> Self {
        Self { metrics_path: METRICS.to_owned(), guard: Arc::new(Guard::open()) }
    }
}

/// Answers on the listeners until told to stop, then finishes what was begun.
///
/// Without a scraper, which is so when the options are bad, everything but PostgreSQL's metrics is given.
pub async fn serve(
    listeners: Vec<TcpListener>,
    front: Front,
    board: Arc<Board>,
    scraper: Option<Scraper>,
    stop: CancellationToken,
) {
    let scraper = scraper.unwrap_or_else(|| Scraper::unconfigured(board.clone()));
    let hall = Hall {
        site: Arc::new(Site { board, scraper, metrics_path: front.metrics_path }),
        guard: front.guard,
        stop,
        places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        connections: TaskTracker::new(),
    };
    join_all(listeners.into_iter().map(|listener| hall.welcome(listener))).await;
    hall.connections.close();
    if timeout(STOP_PATIENCE, hall.connections.wait()).await.is_err() {
        info!("stopped with answers still on their way");
    }
}

/// What all listeners share.
struct Hall {
    site: Arc<Site>,
    guard: Arc<Guard>,
    stop: CancellationToken,
    places: Arc<Semaphore>,
    connections: TaskTracker,
}

impl Hall {
    async fn welcome(&self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let Some(stream) = usable(accepted).await else { continue };
            match self.places.clone().try_acquire_owned() {
                Ok(place) => drop(self.connections.spawn(self.guest().connection(stream, place))),
                Err(_) => turn_away(&stream, self.guard.is_secure()),
            }
        }
    }

    fn guest(&self) -> Guest {
        Guest { site: self.site.clone(), guard: self.guard.clone(), stop: self.stop.clone() }
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

/// Never waits: what does not fit into the socket's buffer is not worth it. In TLS nothing can be said yet.
fn turn_away(stream: &TcpStream, is_secure: bool) {
    const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    debug!("a connection was turned away: {MAX_CONNECTIONS} are open");
    if !is_secure {
        drop(stream.try_write(FULL));
    }
}

/// What one connection needs.
#[derive(Clone)]
struct Guest {
    site: Arc<Site>,
    guard: Arc<Guard>,
    stop: CancellationToken,
}

impl Guest {
    async fn connection(self, stream: TcpStream, _place: OwnedSemaphorePermit) {
        self.guard.refresh().await;
        let held = self.guard.held();
        let Some(tls) = held.tls() else { return self.converse(stream, Peer::Any).await };
        let accepted = tokio::select! {
            () = self.stop.cancelled() => return,
            accepted = secure::accept(stream, tls) => accepted,
        };
        match accepted {
            Ok((stream, peer)) => self.converse(stream, peer).await,
            Err(error) => debug!(%error, "a handshake failed"),
        }
    }

    async fn converse(self, stream: impl AsyncRead + AsyncWrite + Unpin, peer: Peer) {
        let stop = self.stop.clone();
        let service = service_fn(move |request| self.clone().within_time(request, peer));
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

    async fn within_time(self, request: Request<Incoming>, peer: Peer) -> Result<Reply, Infallible> {
        let answered = timeout(REQUEST_TIMEOUT, self.answer(request, peer)).await;
        Ok(answered.unwrap_or_else(|_| text(StatusCode::GATEWAY_TIMEOUT, "no answer in time\n")))
    }

    async fn answer(self, request: Request<Incoming>, peer: Peer) -> Reply {
        self.guard.refresh().await;
        let held = self.guard.held();
        let asked = routes::health_at(request.uri().path());
        let reply = match held.admit(request.headers(), peer, asked).await {
            Admission::Whole => answer(self.site, request).await,
            Admission::StatusOnly(is_good) => routes::health_status(&self.site.board, is_good),
            Admission::Refused(reply) => reply,
        };
        held.dress(reply)
    }
}
