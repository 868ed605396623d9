//! The scratch servers themselves: each major starts, answers, restarts, and goes.

mod support;

use support::pg::{MAJORS, Server};

#[test]
fn a_server_of_each_major_starts_restarts_and_goes() {
    for &major in MAJORS {
        let Some(mut server) = Server::start(major, &["work_mem = '5MB'"]) else { continue };
        assert!(std::net::TcpStream::connect(("127.0.0.1", server.port)).is_ok(), "{major}");
        server.restart();
        assert!(std::net::TcpStream::connect(("127.0.0.1", server.port)).is_ok(), "{major}");
        let (port, data) = (server.port, server.data());
        drop(server);
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "{major}");
        assert!(!data.exists(), "{major}");
    }
}
