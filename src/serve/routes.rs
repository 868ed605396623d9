//! The routes, one a row.

use std::future::ready;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http_body_util::Full;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, VARY,
};
use hyper::{Method, Request, Response, StatusCode};
use tracing::error;

use super::board::{Board, Health};
use super::negotiate::{self, Form};
use super::scrape::Scraper;
use super::{classic, openmetrics, page};

pub(super) type Reply = Response<Full<Bytes>>;
type Answer = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// What the routes answer from.
pub(super) struct Site {
    pub(super) board: Arc<Board>,
    pub(super) scraper: Scraper,
    /// Where the metrics are found.
    pub(super) metrics_path: String,
}

pub(super) struct Route {
    pub(super) path: &'static str,
    /// For the page that lists them.
    pub(super) about: &'static str,
    answer: fn(Arc<Site>, &HeaderMap) -> Answer,
}

/// Where the metrics are unless the options say otherwise.
pub(super) const METRICS: &str = "/metrics";

pub(super) const ROUTES: &[Route] = &[
    Route { path: "/", about: "this page", answer: |site, _| now(page::index(&site)) },
    Route { path: METRICS, about: "everything for Prometheus", answer: metrics },
    Route {
        path: "/plan",
        about: "each setting with its reason, as JSON",
        answer: |site, _| now(json(site.board.held().plan.as_ref().map(|plan| plan.json.clone()))),
    },
    Route {
        path: "/facts",
        about: "what was detected, as JSON",
        answer: |site, _| now(json(site.board.held().facts.clone())),
    },
    Route {
        path: "/healthz",
        about: "200 once the start-up pass is over",
        answer: |site, _| now(health(&site.board.health(), IS_STARTED)),
    },
    Route {
        path: "/readyz",
        about: "200 while connected, well, and alone on this server",
        answer: |site, _| now(health(&site.board.health(), IS_READY)),
    },
];

/// Answers any request; the body of a GET is never read.
pub(super) async fn answer<B>(site: Arc<Site>, request: Request<B>) -> Reply {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered here\n");
        reply.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return reply;
    }
    let path = request.uri().path();
    let found = places(&site.metrics_path).find(|(place, _)| *place == path).map(|(_, route)| route);
    match found {
        Some(route) => (route.answer)(site, request.headers()).await,
        None => text(StatusCode::NOT_FOUND, not_found(path, &site.metrics_path)),
    }
}

/// Each route and where it is; metrics at `/` leave no room for the page.
pub(super) fn places(metrics: &str) -> impl Iterator<Item = (&str, &'static Route)> {
    let at = move |route: &'static Route| (if route.path == METRICS { metrics } else { route.path }, route);
    ROUTES.iter().map(at).filter(move |(place, route)| route.path == METRICS || *place != metrics)
}

fn not_found(path: &str, metrics: &str) -> String {
    let list: String = places(metrics).map(|(place, route)| format!("{place}  {}\n", route.about)).collect();
    // postgres_exporter's way to ask for other servers.
    let probe = format!("one pgpilot watches one server; run one beside each, and scrape its {metrics}\n\n");
    let said = if path == "/probe" { probe } else { "there is nothing here; there is\n\n".to_owned() };
    format!("{said}{list}")
}

fn now(reply: Reply) -> Answer {
    Box::pin(ready(reply))
}

const SCRAPE_TIMEOUT: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

/// Prometheus' default.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// Below this size packing saves no packet.
const WORTH_PACKING: usize = 8 * 1024;

fn metrics(site: Arc<Site>, headers: &HeaderMap) -> Answer {
    let form = negotiate::form(&joined(headers, ACCEPT));
    let packed = negotiate::gzip(&joined(headers, ACCEPT_ENCODING));
    let within = deadline(&joined(headers, SCRAPE_TIMEOUT));
    Box::pin(async move {
        let snapshot = site.scraper.scrape(within).await;
        let (kind, body) = match form {
            Form::Classic => (classic::CONTENT_TYPE, classic::encode(&snapshot)),
            Form::OpenMetrics => (openmetrics::CONTENT_TYPE, openmetrics::encode(snapshot)),
        };
        site.scraper.wrote(body.as_ref().map_or(0, String::len));
        exposition(kind, body, packed)
    })
}

/// How long a scrape may take: half a second less than Prometheus waits, for the way back; at least a tenth.
fn deadline(header: &str) -> Duration {
    let told = header.trim().parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    told.map_or(DEFAULT_DEADLINE, |seconds| Duration::from_secs_f64((seconds - 0.5).clamp(0.1, 25.0)))
}

fn exposition(kind: &'static str, body: Result<String, std::fmt::Error>, packed: bool) -> Reply {
    let Ok(body) = body else {
        error!("the exposition could not be written");
        return text(StatusCode::INTERNAL_SERVER_ERROR, "the exposition could not be written\n");
    };
    let plain = Bytes::from(body);
    let gzipped = (packed && plain.len() > WORTH_PACKING).then(|| gzip(&plain)).flatten();
    let mut reply = of(StatusCode::OK, kind, gzipped.clone().unwrap_or(plain));
    reply.headers_mut().insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if gzipped.is_some() {
        reply.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    reply
}

/// Fast rather than small: the network between containers is no bottleneck.
fn gzip(plain: &[u8]) -> Option<Bytes> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(plain).ok()?;
    packer.finish().ok().map(Bytes::from)
}

/// All lines of a header as one; unreadable ones are left out.
fn joined(headers: &HeaderMap, name: HeaderName) -> String {
    headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect::<Vec<_>>().join(",")
}

pub(super) type IsGood = fn(&Health) -> bool;

/// The routes that answer for our health, also to those who may not know more.
const HEALTH: &[(&str, IsGood)] = &[("/healthz", IS_STARTED), ("/readyz", IS_READY)];
const IS_STARTED: IsGood = |health| health.started;
const IS_READY: IsGood = |health| health.ready;

/// What a path asks of our health, if that is what it asks for.
pub(super) fn health_at(path: &str) -> Option<IsGood> {
    HEALTH.iter().find(|(known, _)| *known == path).map(|(_, is_good)| *is_good)
}

/// Whether we are well, but not why not: that may name servers.
pub(super) fn health_status(board: &Board, is_good: IsGood) -> Reply {
    health(&Health { problems: vec![], ..board.health() }, is_good)
}

/// Says why, not only that.
fn health(health: &Health, is_good: IsGood) -> Reply {
    let status = if is_good(health) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::to_string(health).unwrap_or_default();
    of(status, "application/json", Bytes::from(body + "\n"))
}

fn json(body: Option<Bytes>) -> Reply {
    match body {
        Some(body) => of(StatusCode::OK, "application/json", body),
        None => of(
            StatusCode::SERVICE_UNAVAILABLE,
            "application/json",
            Bytes::from_static(
                b"{\"error\":\"nothing yet: the server has not been seen since pgpilot started\"}\n",
            ),
        ),
    }
}

pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    of(status, "text/plain; charset=utf-8", body.into())
}

pub(super) fn of(status: StatusCode, kind: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in ALWAYS {
        reply.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    reply
}

/// Nothing of ours runs scripts, is framed, or is to be guessed at; and nothing may be shown when it is old.
const ALWAYS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_know_which_paths_are_taken() {
        let others = ROUTES.iter().map(|route| route.path).filter(|path| !["/", METRICS].contains(path));
        assert_eq!(others.collect::<Vec<_>>(), crate::config::values::TAKEN_PATHS);
    }

    #[test]
    fn a_scrape_ends_before_prometheus_gives_up() {
        let rows =
            [("10", 9500), ("", 10_000), ("0.2", 100), ("3600", 25_000), ("x", 10_000), ("NaN", 10_000)];
        for (header, millis) in rows {
            assert_eq!(deadline(header), Duration::from_millis(millis), "{header}");
        }
    }

    #[test]
    fn an_exposition_is_packed_when_asked_and_worth_it() {
        let encoding = |size: usize, asked| {
            let reply = exposition(classic::CONTENT_TYPE, Ok("x".repeat(size)), asked);
            reply.headers().get(CONTENT_ENCODING).is_some()
        };
        assert!(encoding(WORTH_PACKING + 1, true));
        assert!(!encoding(WORTH_PACKING, true));
        assert!(!encoding(WORTH_PACKING + 1, false));
    }
}
