//! The listener behind a web config: TLS, certificates of clients, passwords, tokens, rates, and the file changing.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use pgpilot::serve::Guard;
use pgpilot::serve::board::State;
use pgpilot::serve::http::Front;
use rcgen::SanType;
use support::certs::{Authority, Client, Pair, authority, self_signed, signed, signed_for, write_pair};
use support::web::{Reply, Web, read_all};

/// A folder with a certificate for `localhost`, and a listener with the web config in it.
struct Site {
    folder: tempfile::TempDir,
    by: Authority,
    web: Web,
}

/// The lines that every TLS listener has.
const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

/// What an older client speaks.
const ONLY_12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];

impl Site {
    fn new(config: &str) -> Self {
        Self::with(config, |_, _| {})
    }

    /// More files can be put into the folder before the listener reads it.
    fn with(config: &str, prepare: impl FnOnce(&Path, &Authority)) -> Self {
        let (folder, by) = (tempfile::tempdir().unwrap(), authority());
        write_pair(folder.path(), "server", &signed("localhost", &by));
        prepare(folder.path(), &by);
        std::fs::write(folder.path().join("web.yml"), config).unwrap();
        let guard = Guard::of(&folder.path().join("web.yml")).unwrap_or_else(|error| panic!("{error}"));
        let web = Web::start_with(None, Front { guard: Arc::new(guard), ..Front::default() });
        Self { folder, by, web }
    }

    fn client(&self) -> Client {
        Client::trusting(&self.by)
    }

    fn get(&self, path: &str, headers: &[&str]) -> Result<Reply, String> {
        self.client().get(self.web.address, path, headers)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }
}

/// Until it is so; the listener looks at its files once a second.
fn soon(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A second and a half, in which the listener has looked at its files at least once if it is asked meanwhile.
fn a_look_later(site: &Site) {
    for _ in 0..6 {
        std::thread::sleep(Duration::from_millis(250));
        drop(site.client().connect(site.web.address));
    }
}

fn basic(pair: &str) -> String {
    format!("Authorization: Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// bcrypt's lowest cost: what a hash costs is asked elsewhere.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

#[test]
fn tls_is_spoken_and_plain_http_is_told_so() {
    let site = Site::new(TLS);
    let reply = site.get("/metrics", &[]).unwrap();
    assert_eq!((reply.status, reply.value("pg_up")), (200, Some(0.0)));
    let plain = site.web.get("/metrics", &[]);
    assert_eq!((plain.status, plain.text()), (400, "this port speaks HTTPS\n"));
    let stranger = Client::trusting(&authority()).get(site.web.address, "/", &[]).err().unwrap();
    assert!(stranger.contains("invalid peer certificate"), "{stranger}");
}

#[test]
fn clients_that_would_like_http_2_get_http_1() {
    let site = Site::new(&format!("{TLS}http_server_config:\n  http2: true\n"));
    let client = Client { offers: &[b"h2", b"http/1.1"], ..site.client() };
    let stream = client.connect(site.web.address).unwrap();
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(client.get(site.web.address, "/", &[]).unwrap().status, 200);
}

#[test]
fn versions_and_suites_are_those_of_the_file() {
    let only_13 = Site::new(&format!("{TLS}  min_version: TLS13\n"));
    let client = Client { speaks: ONLY_12, ..only_13.client() };
    assert!(client.connect(only_13.web.address).unwrap_err().contains("ProtocolVersion"));
    assert_eq!(only_13.get("/", &[]).unwrap().status, 200);

    let suites = "  max_version: TLS12\n  cipher_suites:\n    - TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256\n  \
                  curve_preferences: [CurveP384]\n  prefer_server_cipher_suites: false\n";
    let site = Site::new(&format!("{TLS}{suites}"));
    let stream = site.client().connect(site.web.address).unwrap();
    let suite = stream.conn.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256);
    let group = stream.conn.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, rustls::NamedGroup::secp384r1);
}

/// Clients by what they show.
struct Shown {
    none: Client,
    known: Client,
    stranger: Client,
}

fn shown(site: &Site, known: &Pair, stranger: &Pair) -> Shown {
    Shown {
        none: site.client(),
        known: site.client().showing(known),
        stranger: site.client().showing(stranger),
    }
}

#[test]
fn each_client_auth_type_asks_as_much_as_it_says() {
    let (clients, others) = (authority(), authority());
    let (known, stranger) = (signed("scraper", &clients), signed("scraper", &others));
    let rows = [
        ("NoClientCert", false, [true, true, true]),
        ("RequestClientCert", false, [true, true, true]),
        ("RequireAnyClientCert", false, [false, true, true]),
        ("RequireClientCert", false, [false, true, true]),
        ("VerifyClientCertIfGiven", true, [true, true, false]),
        ("RequireAndVerifyClientCert", true, [false, true, false]),
    ];
    for (word, verifies, want) in rows {
        let authority = if verifies { "  client_ca_file: clients.crt\n" } else { "" };
        let site = Site::with(&format!("{TLS}  client_auth_type: {word}\n{authority}"), |folder, _| {
            std::fs::write(folder.join("clients.crt"), clients.pem()).unwrap();
        });
        for speaks in [rustls::ALL_VERSIONS, ONLY_12] {
            let Shown { none, known, stranger } = shown(&site, &known, &stranger);
            let got = [none, known, stranger].map(|client| {
                let client = Client { speaks, ..client };
                client.get(site.web.address, "/metrics", &[]).is_ok_and(|reply| reply.status == 200)
            });
            assert_eq!(got, want, "{word}: none, known, stranger");
        }
    }
}

#[test]
fn a_self_signed_client_certificate_vouches_for_itself_when_it_is_listed() {
    let (listed, other) = (self_signed(), self_signed());
    let config =
        format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.crt\n");
    let site = Site::with(&config, |folder, _| write_pair(folder, "clients", &listed));
    let status = |pair: &Pair| {
        let answer = site.client().showing(pair).get(site.web.address, "/", &[]);
        answer.map(|reply| reply.status)
    };
    assert_eq!(status(&listed), Ok(200));
    assert!(status(&other).is_err());
}

#[test]
fn only_allowed_names_get_in() {
    let clients = authority();
    let config = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.crt\n  \
         client_allowed_sans: [prometheus, 10.0.0.7, 'spiffe://x/prom', ops@example.com]\n"
    );
    let site =
        Site::with(&config, |folder, _| std::fs::write(folder.join("clients.crt"), clients.pem()).unwrap());
    let text = |text: &str| text.try_into().unwrap();
    let rows = [
        (SanType::DnsName(text("prometheus")), true),
        (SanType::DnsName(text("prometheus.example.com")), false),
        (SanType::IpAddress("10.0.0.7".parse().unwrap()), true),
        (SanType::IpAddress("10.0.0.8".parse().unwrap()), false),
        (SanType::URI(text("spiffe://x/prom")), true),
        (SanType::URI(text("spiffe://x/other")), false),
        (SanType::Rfc822Name(text("ops@example.com")), true),
        (SanType::Rfc822Name(text("dev@example.com")), false),
    ];
    for (name, want) in rows {
        let pair = signed_for(vec![name.clone()], &clients);
        let got = site.client().showing(&pair).get(site.web.address, "/", &[]);
        assert_eq!(got.is_ok(), want, "{name:?}");
    }
}

#[test]
fn the_listeners_own_certificate_opens_its_health_and_nothing_else() {
    let clients = authority();
    let config =
        format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.crt\n");
    let site =
        Site::with(&config, |folder, _| std::fs::write(folder.join("clients.crt"), clients.pem()).unwrap());
    site.web.board.publish(State { problems: vec!["connecting to db".to_owned()], ..State::default() });
    let read = |name: &str| std::fs::read_to_string(site.folder.path().join(name)).unwrap();
    let own = Pair { cert: read("server.crt"), key: read("server.key") };
    let get = |path: &str| site.client().showing(&own).get(site.web.address, path, &[]).unwrap();
    assert_eq!(get("/readyz").text(), "{\"started\":false,\"ready\":false,\"problems\":[]}\n");
    assert_eq!((get("/healthz").status, get("/metrics").status, get("/").status), (503, 403, 403));
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart_and_a_bad_one_never() {
    let site = Site::new(TLS);
    assert_eq!(site.get("/", &[]).unwrap().status, 200);
    // Half of a renewal: the key does not belong to the certificate yet.
    let renewed_by = authority();
    let renewed = signed("localhost", &renewed_by);
    site.write("server.crt", &renewed.cert);
    a_look_later(&site);
    assert_eq!(site.get("/", &[]).unwrap().status, 200, "the former pair is in force");
    site.write("server.key", &renewed.key);
    let client = Client::trusting(&renewed_by);
    soon("the renewed pair is shown", || client.get(site.web.address, "/", &[]).is_ok());
    assert!(site.get("/", &[]).is_err(), "the former one is not");
}

#[test]
fn a_file_that_turns_bad_or_empty_leaves_the_locks_as_they_are() {
    let users = format!("basic_auth_users:\n  anna: {}\n", hash("pw"));
    let site = Site::new(&format!("{TLS}{users}"));
    for bad in ["", "tls_server_config: [", TLS, &users, "nonsense: 1\n"] {
        site.write("web.yml", bad);
        a_look_later(&site);
        assert_eq!(site.get("/", &[]).map(|reply| reply.status), Ok(401), "{bad}");
        assert_eq!(site.get("/", &[&basic("anna:pw")]).map(|reply| reply.status), Ok(200), "{bad}");
    }
    let next = format!("{TLS}basic_auth_users:\n  anna: {}\n", hash("pw2"));
    site.write("web.yml", &next);
    soon("the new password is good", || site.get("/", &[&basic("anna:pw2")]).unwrap().status == 200);
    assert_eq!(site.get("/", &[&basic("anna:pw")]).unwrap().status, 401, "the former one is not");
}

#[test]
fn without_credentials_there_is_health_without_detail_and_nothing_else() {
    let config =
        format!("basic_auth_users:\n  anna: {}\nbearer_tokens: [tok-1, {{file: token}}]\n", hash("pw"));
    let site = Site::with(&config, |folder, _| std::fs::write(folder.join("token"), "tok-2\n").unwrap());
    site.web.board.publish(State { problems: vec!["connecting to db".to_owned()], ..State::default() });
    let get = |path: &str, headers: &[&str]| site.web.get(path, headers);
    for path in ["/", "/metrics", "/plan", "/facts", "/nothing", "/probe?target=x"] {
        let reply = get(path, &[]);
        assert_eq!(reply.status, 401, "{path}");
        assert!(reply.head.contains("www-authenticate: basic realm=\"pgpilot\""), "{}", reply.head);
        assert!(reply.head.contains("www-authenticate: bearer realm=\"pgpilot\""), "{}", reply.head);
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!((get(path, &[]).status, get(path, &[&basic("anna:no")]).status), (503, 401), "{path}");
        assert!(!get(path, &[]).text().contains("connecting"), "{path}");
        assert!(get(path, &[&basic("anna:pw")]).text().contains("connecting to db"), "{path}");
    }
    let rows = [
        (basic("anna:pw"), 200),
        (basic("anna:pw "), 401),
        (basic("bert:pw"), 401),
        ("Authorization: Bearer tok-1".to_owned(), 200),
        ("Authorization: Bearer tok-2".to_owned(), 200),
        ("Authorization: Bearer tok-3".to_owned(), 401),
        ("Authorization: nonsense".to_owned(), 401),
    ];
    for (header, status) in rows {
        assert_eq!(get("/metrics", &[&header]).status, status, "{header}");
    }
}

#[test]
fn a_password_is_hashed_once_and_never_in_the_way_of_others() {
    // Two thirds of a second in a build like this; four times that with one check after another.
    let dear = bcrypt::hash("pw", 13).unwrap();
    let site = Site::new(&format!("basic_auth_users:\n  anna: {dear}\n"));
    let timed = |header: &str| {
        let since = Instant::now();
        (site.web.get("/", &[header]).status, since.elapsed())
    };
    let (status, first) = timed(&basic("anna:pw"));
    let (again, second) = timed(&basic("anna:pw"));
    assert_eq!((status, again), (200, 200));
    assert!(second * 4 < first, "{second:?} after {first:?}");
    let ((_, wrong), (_, unknown)) = (timed(&basic("anna:no")), timed(&basic("bert:no")));
    assert!(unknown * 3 > wrong && wrong * 3 > unknown, "wrong {wrong:?}, unknown {unknown:?}");
    // While somebody guesses, who is known is answered at once.
    std::thread::scope(|scope| {
        for n in 0..3 {
            let web = &site.web;
            scope.spawn(move || web.get("/", &[&basic(&format!("anna:{n}"))]));
        }
        let (status, meanwhile) = timed(&basic("anna:pw"));
        assert_eq!(status, 200);
        assert!(meanwhile < first, "{meanwhile:?}");
    });
}

#[test]
fn beyond_its_rate_a_client_waits_and_health_does_not() {
    let site = Site::new("rate_limit:\n  interval: 1h\n  burst: 2\n");
    let statuses: Vec<_> = (0..4).map(|_| site.web.get("/", &[]).status).collect();
    assert_eq!(statuses, [200, 200, 429, 429]);
    assert_eq!(site.web.get("/healthz", &[]).status, 503);
}

#[test]
fn headers_of_the_file_are_on_every_answer() {
    let headers = "http_server_config:\n  headers:\n    Strict-Transport-Security: max-age=60\n    X-Frame-Options: deny\n    \
                   Content-Security-Policy: default-src 'self'\n";
    let site = Site::new(&format!("{headers}basic_auth_users:\n  anna: {}\n", hash("pw")));
    for header in ["Accept: */*", &basic("anna:pw")] {
        let head = site.web.get("/", &[header]).head;
        assert!(
            head.contains("strict-transport-security: max-age=60") && head.contains("x-frame-options: deny")
        );
        assert!(head.contains("content-security-policy: default-src 'self'"), "{head}");
    }
}

#[test]
fn hanging_handshakes_hold_their_places_no_longer_than_their_time() {
    let site = Site::new(TLS);
    let mut held: Vec<_> = (0..64).map(|_| site.web.connect()).collect();
    // Half of them say the first byte of a handshake, and no more.
    for stream in held.iter_mut().step_by(2) {
        stream.write_all(&[22]).unwrap();
    }
    assert!(read_all(&mut site.web.connect()).is_empty(), "a 65th is turned away without a word");
    let since = Instant::now();
    soon("places come back", || site.get("/", &[]).is_ok_and(|reply| reply.status == 200));
    assert!(since.elapsed() > Duration::from_secs(2), "they were held until then: {:?}", since.elapsed());
}

#[test]
fn a_handshake_that_fails_takes_nothing_with_it() {
    let site = Site::new(TLS);
    let nonsense: [&[u8]; 5] =
        [&[22, 3, 1, 0, 5, 1, 0, 0, 1, 0], &[22, 255, 255, 255, 255], b"\0\0\0\0", b"SSH-2.0-x\r\n", b""];
    for bytes in nonsense {
        let mut stream = site.web.connect();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        drop(read_all(&mut stream));
    }
    assert_eq!(site.get("/", &[]).unwrap().status, 200);
}

#[test]
fn it_stops_in_time_in_the_middle_of_a_handshake() {
    let mut site = Site::new(TLS);
    let _half: Vec<TcpStream> = (0..3).map(|_| site.web.connect()).collect();
    assert_eq!(site.get("/", &[]).unwrap().status, 200);
    let took = site.web.stop();
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn metrics_are_where_the_options_say() {
    let web = Web::start_with(None, Front { metrics_path: "/x".to_owned(), ..Front::default() });
    assert_eq!((web.get("/x", &[]).status, web.get("/metrics", &[]).status), (200, 404));
    assert!(web.get("/", &[]).text().contains("<a href=\"/x\">"));
    assert!(web.get("/metrics", &[]).text().contains("\n/x  everything for Prometheus\n"));
    assert!(web.get("/probe?target=db", &[]).text().contains("scrape its /x\n"));
    let root = Web::start_with(None, Front { metrics_path: "/".to_owned(), ..Front::default() });
    assert!(root.get("/", &[]).value("pg_up").is_some());
    assert!(!root.get("/nothing", &[]).text().contains("this page"));
}

/// Every file must be refused at its key, and never repeat what may be a secret.
fn are_refused(rows: &[(String, &str)]) {
    let (folder, by) = (tempfile::tempdir().unwrap(), authority());
    write_pair(folder.path(), "server", &signed("localhost", &by));
    write_pair(folder.path(), "other", &signed("localhost", &by));
    std::fs::write(folder.path().join("empty"), "").unwrap();
    let path = folder.path().join("web.yml");
    for (config, want) in rows {
        std::fs::write(&path, config).unwrap();
        let said = Guard::of(&path).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains(want) && said.contains("web.yml: "), "{config}\nsays: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn bad_tls_is_refused_with_the_key_and_without_the_secret() {
    let tls = |more: &str| format!("{TLS}{more}");
    let rows = [
        (tls("  cert_fil: x\n"), "tls_server_config.cert_fil: there is no such key"),
        ("tls_server_config: hunter2\n".to_owned(), "tls_server_config: expected a mapping, found a text"),
        ("tls_server_config:\n  min_version: TLS12\n".to_owned(), "tls_server_config.cert_file: is not set"),
        (
            "tls_server_config:\n  cert_file: server.crt\n".to_owned(),
            "tls_server_config.key_file: is not set",
        ),
        (tls("  cert: hunter2\n"), "tls_server_config.cert: is set, and so is cert_file"),
        ("tls_server_config: {cert_file: gone.crt, key_file: x}\n".to_owned(), "gone.crt: No such file"),
        (
            "tls_server_config: {cert_file: empty, key_file: x}\n".to_owned(),
            "cert_file: expected certificates",
        ),
        (
            "tls_server_config: {cert_file: server.crt, key: hunter2}\n".to_owned(),
            "tls_server_config.key: expected a private key",
        ),
        (
            "tls_server_config: {cert_file: server.crt, key_file: other.key}\n".to_owned(),
            "using the certificate and its key",
        ),
        (tls("  min_version: TLS10\n"), "min_version: `TLS10` is too old"),
        (tls("  max_version: TLS11\n"), "max_version: `TLS11` is too old"),
        (tls("  min_version: TLS14\n"), "min_version: expected TLS12 or TLS13, found `TLS14`"),
        (tls("  min_version: TLS13\n  max_version: TLS12\n"), "max_version: is below min_version"),
        (
            tls("  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n"),
            "cipher_suites[0]: `TLS_RSA_WITH_AES_128_CBC_SHA` cannot be had",
        ),
        (
            tls("  curve_preferences: [X25519, CurveP521]\n"),
            "curve_preferences[1]: `CurveP521` cannot be had",
        ),
        (
            tls("  prefer_server_cipher_suites: maybe\n"),
            "prefer_server_cipher_suites: expected true or false",
        ),
        (tls("  client_auth_type: Maybe\n"), "client_auth_type: `Maybe` cannot be had"),
        (tls("  client_auth_type: RequireAndVerifyClientCert\n"), "client_auth_type: needs client_ca_file"),
        (tls("  client_auth_type: VerifyClientCertIfGiven\n"), "client_auth_type: needs client_ca_file"),
        (tls("  client_ca_file: server.crt\n"), "client_auth_type: NoClientCert asks for no certificate"),
        (tls("  client_allowed_sans: [x]\n"), "client_auth_type: NoClientCert asks for no certificate"),
        (
            tls("  client_auth_type: RequestClientCert\n  client_ca_file: empty\n"),
            "client_ca_file: expected certificates",
        ),
    ];
    are_refused(&rows);
}

#[test]
fn other_bad_files_are_refused_with_the_key_and_without_the_secret() {
    let rows = [
        ("nonsense: hunter2\n".to_owned(), "nonsense: there is no such key; there are tls_server_config"),
        ("http_server_config: {http2: 2}\n".to_owned(), "http_server_config.http2: expected true or false"),
        (
            "http_server_config: {headers: {X-Mine: hunter2}}\n".to_owned(),
            "headers.X-Mine: this header cannot be set",
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: x}}\n".to_owned(),
            "expected deny or sameorigin, found `x`",
        ),
        ("basic_auth_users: {anna: hunter2}\n".to_owned(), "basic_auth_users.anna: expected a bcrypt hash"),
        ("basic_auth_users: [hunter2]\n".to_owned(), "basic_auth_users: expected a mapping, found a list"),
        (
            "basic_auth_users: {anna: [hunter2]}\n".to_owned(),
            "basic_auth_users.anna: expected a text, found a list",
        ),
        (
            format!("basic_auth_users: {{anna: $2y$20${}}}\n", ".".repeat(53)),
            "expected a bcrypt cost from 4 to 16, found 20",
        ),
        ("bearer_tokens: hunter2\n".to_owned(), "bearer_tokens: expected a list, found a text"),
        (
            "bearer_tokens: [hunter2 x]\n".to_owned(),
            "bearer_tokens[0]: expected a token of printable characters",
        ),
        ("bearer_tokens: [{file: empty}]\n".to_owned(), "bearer_tokens[0]: expected a token"),
        ("bearer_tokens: [{fil: hunter2}]\n".to_owned(), "bearer_tokens[0].file: expected a path"),
        ("rate_limit: {interval: 1s}\n".to_owned(), "rate_limit.burst: expected a whole number from 1 on"),
        (
            "rate_limit: {interval: soon, burst: 1}\n".to_owned(),
            "rate_limit.interval: expected a length of time",
        ),
        ("bearer_tokens: [hunter2\n".to_owned(), "line"),
        ("a: 1\n---\nb: hunter2\n".to_owned(), "expected one document"),
    ];
    are_refused(&rows);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let gone = Guard::of(Path::new("/nowhere/gone.yml")).err().unwrap().to_string();
    assert!(gone.contains("gone.yml: reading it: No such file"), "{gone}");
}

#[test]
fn good_files_of_other_exporters_are_good_here() {
    let (folder, by) = (tempfile::tempdir().unwrap(), authority());
    let pair = signed("localhost", &by);
    let indented = |text: &str| text.replace('\n', "\n    ");
    let inline = format!(
        "tls_server_config:\n  cert: |\n    {}\n  key: |\n    {}\n  client_ca: |\n    {}\n  client_auth_type: \
         \"VerifyClientCertIfGiven\"\n",
        indented(&pair.cert),
        indented(&pair.key),
        indented(&by.pem())
    );
    let rows = [
        String::new(),
        "tls_server_config:\nbasic_auth_users:\n".to_owned(),
        "tls_server_config: {}\n".to_owned(),
        "basic_auth_users:\n  alice: $2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze\n"
            .to_owned(),
        "rate_limit:\n  interval: 0\n  burst: 0\n".to_owned(),
        "http_server_config:\n  http2: false\n  headers:\n    X-XSS-Protection: 1; mode=block\n".to_owned(),
        inline,
    ];
    let path = folder.path().join("web.yml");
    for config in rows {
        std::fs::write(&path, &config).unwrap();
        let said = Guard::of(&path).err().map(|error| error.to_string());
        assert_eq!(said, None, "{config}");
    }
}

#[test]
fn the_examples_of_the_page_are_good() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/listener.md")).unwrap();
    let examples: Vec<_> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 3);
    let (folder, by) = (tempfile::tempdir().unwrap(), authority());
    write_pair(folder.path(), "server", &signed("localhost", &by));
    std::fs::write(folder.path().join("clients.crt"), by.pem()).unwrap();
    std::fs::write(folder.path().join("token"), "tok-1\n").unwrap();
    for example in examples {
        std::fs::write(folder.path().join("web.yml"), example).unwrap();
        let guard =
            Guard::of(&folder.path().join("web.yml")).unwrap_or_else(|error| panic!("{error}: {example}"));
        assert!(!guard.is_open(), "{example}");
    }
}
