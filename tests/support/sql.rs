//! Statements from a test, through the product's own session.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::time::Duration;

use pgpilot::client::postgres::{Lane, TextRow};
use pgpilot::client::{Target, Wanted};
use pgpilot::config::values::Secret;

/// A server as the product knows it.
pub fn target(url: &str) -> Target {
    let url = Secret::new(url);
    let wanted = Wanted {
        url: Some(&url),
        host: None,
        port: None,
        user: None,
        password: None,
        database: None,
        tls: None,
        root: None,
        cert: None,
        key: None,
        connect_timeout: Duration::from_secs(10),
    };
    Target::new(&wanted).expect("a good URL")
}

/// A session like that of a person.
pub fn lane() -> Lane {
    Lane {
        application_name: "a person".to_owned(),
        database: None,
        read_only: false,
        statement_timeout: Duration::from_secs(30),
    }
}

/// Runs statements one by one, each in a transaction of its own, and returns the rows of the last.
pub fn run(url: &str, statements: &[&str]) -> Vec<TextRow> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let session = target(url).connect(&lane()).await.expect("the server is up");
        let mut rows = vec![];
        for statement in statements {
            rows = session
                .rows("running a test's statement", statement)
                .await
                .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
        rows
    })
}

/// Every setting with its value and source; our session's own guards, and what differs from start to start, left out.
pub fn settings(url: &str) -> BTreeMap<String, (String, String)> {
    let own = "'application_name', 'client_encoding', 'client_min_messages', 'default_transaction_read_only', \
               'lock_timeout', 'search_path', 'statement_timeout', 'transaction_isolation', 'port'";
    let sql = format!(
        "SELECT name, setting, source, coalesce(sourcefile, '') AS file FROM pg_settings WHERE name NOT IN ({own})"
    );
    let row = |row: &TextRow| {
        (row.text("name"), (row.text("setting"), format!("{} {}", row.text("source"), row.text("file"))))
    };
    run(url, &[&sql]).iter().map(row).collect()
}

pub fn show(url: &str, name: &str) -> String {
    run(url, &[&format!("SHOW {name}")])[0].text(name)
}

/// Runs statements until one fails, and returns what was said; empty where none did.
pub fn run_until_ended(url: &str, statements: &[&str]) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let session = target(url).connect(&lane()).await.expect("the server is up");
        for statement in statements {
            if let Err(error) = session.rows("running a test's statement", statement).await {
                return pgpilot::model::error::chain(&error);
            }
        }
        String::new()
    })
}
