//! The five TLS modes against a real server, with libpq's meaning.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use support::cli::Person;
use support::pg::Server;
use support::sql;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key in PEM form.
fn signed(name: &str, by: &Authority) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.signed_by(&key, by).unwrap().pem(), key.serialize_pem())
}

/// The server shows a certificate for `localhost` and knows its clients by the same authority.
fn encrypt(server: &Server, by: &Authority) {
    let (cert, key) = signed("localhost", by);
    show_certificate(server, &cert, &key, &by.pem());
}

fn show_certificate(server: &Server, cert: &str, key: &str, root: &str) {
    let owner = fs::metadata(server.data()).unwrap();
    for (name, text) in [("server.crt", cert), ("server.key", key), ("root.crt", root)] {
        let path = server.data().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let statements =
        ["ALTER SYSTEM SET ssl_ca_file = 'root.crt'", "ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()"];
    sql::run(&server.superuser_url(), &statements);
    for _ in 0..100 {
        if sql::show(&server.superuser_url(), "ssl") == "on" {
            return;
        }
    }
    panic!("the server did not take its certificate");
}

/// Whether the session is encrypted, or the sentence that says why there is none.
fn connect(url: &str) -> Result<bool, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let session = sql::target(url)
            .connect(&sql::lane())
            .await
            .map_err(|error| pgpilot::model::error::chain(&error))?;
        let row = session.row("asking", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").await;
        Ok(row.unwrap().is_true("ssl"))
    })
}

fn url(server: &Server, host: &str, query: &str) -> String {
    format!("postgresql://postgres@{host}:{}/postgres?{query}", server.port)
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn each_mode_asks_as_much_of_the_server_as_libpq_does() {
    let Some(server) = Server::start(17, &[]) else { return };
    let (ours, others) = (authority(), authority());
    encrypt(&server, &ours);
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) =
        (write(folder.path(), "good.crt", &ours.pem()), write(folder.path(), "bad.crt", &others.pem()));
    // The certificate names `localhost`, and not the address.
    let rows = [
        ("127.0.0.1", "sslmode=disable".to_owned(), Ok(false)),
        ("127.0.0.1", "sslmode=prefer".to_owned(), Ok(true)),
        ("127.0.0.1", String::new(), Ok(true)),
        ("127.0.0.1", "sslmode=require".to_owned(), Ok(true)),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={good}"), Ok(true)),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={bad}"), Err("invalid peer certificate")),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={good}"), Ok(true)),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={bad}"), Err("invalid peer certificate")),
        ("127.0.0.1", "sslmode=verify-ca".to_owned(), Err("PGSSLROOTCERT")),
        ("localhost", format!("sslmode=verify-full&sslrootcert={good}"), Ok(true)),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={good}"), Err("not valid for name")),
        ("localhost", format!("sslmode=verify-full&sslrootcert={bad}"), Err("invalid peer certificate")),
        (
            "localhost",
            "sslmode=verify-full&sslrootcert=/nowhere/root.crt".to_owned(),
            Err("/nowhere/root.crt"),
        ),
    ];
    for (host, query, want) in rows {
        match (connect(&url(&server, host, &query)), want) {
            (Ok(found), Ok(want)) => assert_eq!(found, want, "{host} {query}"),
            (Err(said), Err(word)) => assert!(said.contains(word), "{host} {query}: {said}"),
            (found, want) => panic!("{host} {query}: {found:?}, wanted {want:?}"),
        }
    }
}

#[test]
fn a_self_signed_certificate_vouches_for_its_own_server() {
    let Some(server) = Server::start(17, &[]) else { return };
    // As `openssl req -new -x509` makes it: an authority, which is the server itself.
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own: Authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    show_certificate(&server, &own.pem(), &own.key().serialize_pem(), &own.pem());
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) =
        (write(folder.path(), "own.crt", &own.pem()), write(folder.path(), "bad.crt", &authority().pem()));
    for (host, mode, root, want) in [
        ("localhost", "verify-full", &good, true),
        ("127.0.0.1", "verify-full", &good, false),
        ("127.0.0.1", "verify-ca", &good, true),
        ("127.0.0.1", "require", &good, true),
        ("127.0.0.1", "verify-ca", &bad, false),
    ] {
        let got = connect(&url(&server, host, &format!("sslmode={mode}&sslrootcert={root}")));
        assert_eq!(got.is_ok(), want, "{host} {mode} {root}: {got:?}");
    }
}

#[test]
fn a_server_without_tls_is_had_by_prefer_and_not_by_require() {
    let Some(server) = Server::start(17, &[]) else { return };
    assert_eq!(connect(&url(&server, "127.0.0.1", "sslmode=prefer")), Ok(false));
    let said = connect(&url(&server, "127.0.0.1", "sslmode=require")).unwrap_err();
    assert!(said.contains("TLS"), "{said}");
}

#[test]
fn a_certificate_of_ours_is_shown_where_the_server_asks_for_one() {
    let Some(server) = Server::start(17, &[]) else { return };
    let ours = authority();
    encrypt(&server, &ours);
    let hba = server.data().join("pg_hba.conf");
    fs::write(&hba, "hostssl all postgres all cert\nhost all all all trust\n").unwrap();
    sql::run(&server.superuser_url(), &["SELECT pg_reload_conf()"]);
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = signed("postgres", &ours);
    let (cert, key) = (write(folder.path(), "us.crt", &cert), write(folder.path(), "us.key", &key));
    let with = format!("sslmode=require&sslcert={cert}&sslkey={key}");
    assert_eq!(connect(&url(&server, "127.0.0.1", &with)), Ok(true));
    let without = connect(&url(&server, "127.0.0.1", "sslmode=require")).unwrap_err();
    assert!(without.contains("certificate"), "{without}");
    let half = connect(&url(&server, "127.0.0.1", &format!("sslmode=require&sslcert={cert}"))).unwrap_err();
    assert!(half.contains("PGSSLKEY"), "{half}");
}

#[test]
fn a_verb_says_what_is_wrong_with_a_certificate() {
    let Some(server) = Server::start(17, &[]) else { return };
    encrypt(&server, &authority());
    let folder = tempfile::tempdir().unwrap();
    let other = write(folder.path(), "other.crt", &authority().pem());
    let person = Person::new(url(&server, "localhost", ""))
        .with("PGSSLMODE", "verify-full")
        .with("PGSSLROOTCERT", &other);
    let ran = person.run(&["plan"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("certificate") && ran.err.contains("PGSSLROOTCERT"), "{}", ran.err);
}
