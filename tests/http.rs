//! The HTTP server against clients that ask well, ask badly, or do not let go.

mod support;

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use pgpilot::model::metric::{Desc, Kind};
use pgpilot::serve::board::State;
use support::web::{Web, parse, read_all};

#[test]
fn routes_answer_or_say_what_there_is() {
    let web = Web::start(None);
    let rows = [
        ("GET", "/", 200, "text/html"),
        ("GET", "/metrics", 200, "text/plain; version=0.0.4"),
        ("GET", "/metrics?collect[]=wal", 200, "text/plain; version=0.0.4"),
        ("GET", "/plan", 503, "application/json"),
        ("GET", "/facts", 503, "application/json"),
        ("GET", "/healthz", 503, "application/json"),
        ("GET", "/readyz", 503, "application/json"),
        ("GET", "/nothing", 404, "text/plain"),
        ("POST", "/metrics", 405, "text/plain"),
        ("DELETE", "/", 405, "text/plain"),
    ];
    for (method, path, status, kind) in rows {
        let reply = web.ask(method, path, &[]);
        assert_eq!(reply.status, status, "{method} {path}");
        assert!(reply.head.contains(&format!("content-type: {kind}")), "{method} {path}: {}", reply.head);
        assert!(reply.head.contains("x-content-type-options: nosniff"), "{method} {path}");
    }
    assert!(web.get("/nothing", &[]).text().contains("/metrics  everything for Prometheus"));
    assert!(web.get("/probe?target=db", &[]).text().starts_with("one pgpilot watches one server"));
    assert!(web.ask("POST", "/plan", &[]).head.contains("allow: get, head"));
    assert!(web.get("/", &[]).head.contains("content-security-policy: default-src 'none'"));
}

#[test]
fn health_says_why() {
    let web = Web::start(None);
    let said = "connecting to a@db:5432/a: Connection refused";
    web.board.publish(State { problems: vec![said.to_owned()], ..State::default() });
    let reply = web.get("/readyz", &[]);
    assert_eq!(reply.status, 503);
    let want = format!("{{\"started\":false,\"ready\":false,\"problems\":[\"{said}\"]}}\n");
    assert_eq!(reply.text(), want);
}

#[test]
fn without_a_server_everything_else_is_there() {
    let web = Web::start(None);
    let reply = web.get("/metrics", &[]);
    assert_eq!(reply.value("pg_up"), Some(0.0));
    assert_eq!(reply.value("pg_up_state{state=\"unconfigured\"}"), Some(1.0));
    assert_eq!(reply.value("pg_scrape_collector_success{collector=\"database\"}"), Some(0.0));
    assert_eq!(reply.value("pg_scrape_collector_success{collector=\"process\"}"), Some(1.0));
    assert!(reply.value("process_resident_memory_bytes").is_some_and(|bytes| bytes > 1e6));
    assert!(reply.text().contains("pgpilot_build_info{version=\""));
}

#[test]
fn the_form_is_the_one_that_was_asked_for() {
    let web = Web::start(None);
    let open = web.get("/metrics", &["Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1"]);
    assert!(open.head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open.text().ends_with("\n# EOF\n"));
    assert_eq!(open.value("pg_up"), Some(0.0));
    let many = Desc { name: "pgpilot_many", kind: Kind::Gauge, labels: &["n"], help: "Many." };
    let samples = (0..500).map(|n: u32| many.sample(&[&n.to_string()], 1.0)).collect();
    web.board.publish(State { families: vec![many.family(samples)], ..State::default() });
    let packed = web.get("/metrics", &["Accept-Encoding: gzip"]);
    assert!(packed.head.contains("content-encoding: gzip"), "{}", packed.head);
    let mut plain = String::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_string(&mut plain).expect("gzip");
    assert!(plain.contains("\npg_up 0\n"));
}

#[test]
fn a_head_request_has_a_length_and_no_body() {
    let web = Web::start(None);
    let (head, get) = (web.ask("HEAD", "/healthz", &[]), web.get("/healthz", &[]));
    assert_eq!((head.status, head.body.len()), (get.status, 0));
    assert!(head.head.contains(&format!("content-length: {}", get.body.len())), "{}", head.head);
}

#[test]
fn a_client_that_does_not_finish_its_request_is_cut() {
    let web = Web::start(None);
    let mut slow = web.connect();
    write!(slow, "GET / HTTP/1.1\r\nHost: x\r\n").expect("the first part is taken");
    let since = Instant::now();
    assert!(!String::from_utf8_lossy(&read_all(&mut slow)).contains("200 OK"));
    let took = since.elapsed();
    assert!((Duration::from_secs(4)..Duration::from_secs(8)).contains(&took), "{took:?}");
}

#[test]
fn beyond_the_cap_clients_are_turned_away_and_places_come_back() {
    let web = Web::start(None);
    let held: Vec<_> = (0..64).map(|_| web.connect()).collect();
    // Each has been accepted once this one is turned away.
    let mut over = web.connect();
    let said = read_all(&mut over);
    assert!(said.is_empty() || parse(&said).status == 503, "{}", String::from_utf8_lossy(&said));
    drop(held);
    let since = Instant::now();
    loop {
        let mut again = web.connect();
        drop(write!(again, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        let said = read_all(&mut again);
        if !said.is_empty() && String::from_utf8_lossy(&said).contains("application/json") {
            break;
        }
        assert!(since.elapsed() < Duration::from_secs(5), "places come back");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn it_stops_in_time_whoever_holds_on() {
    let mut web = Web::start(None);
    let mut half = web.connect();
    write!(half, "GET / HTTP/1.1\r\n").expect("the first part is taken");
    let _silent = web.connect();
    assert_eq!(web.get("/", &[]).status, 200);
    let took = web.stop();
    assert!(took < Duration::from_secs(5), "{took:?}");
}
