//! The whole way: plan, apply, restart, nothing left to do, roll back, everything as before.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses its own part")]

use super::cli::Person;
use super::sql;

/// Every setting of two changes, by name: the planned text.
pub fn wanted(report: &serde_json::Value) -> Vec<(String, String)> {
    let changes = report["changes"].as_array().expect("changes");
    let moves = changes.iter().flat_map(|outcome| outcome["change"]["moves"].as_array().expect("moves"));
    let text = |m: &serde_json::Value, key: &str| m[key].as_str().unwrap_or_default().to_owned();
    moves.map(|m| (m["subject"]["pg_setting"].as_str().expect("a name").to_owned(), text(m, "to"))).collect()
}

fn phases(report: &serde_json::Value) -> Vec<String> {
    let changes = report["changes"].as_array().expect("changes");
    changes.iter().map(|outcome| outcome["phase"].as_str().expect("a phase").to_owned()).collect()
}

/// PostgreSQL rounds what it shows to whole units, so sizes and times are compared as numbers.
fn assert_shown(url: &str, name: &str, planned: &str) {
    let shown = sql::run(
        url,
        &[&format!(
            "SELECT current_setting('{name}') AS shown, pg_size_bytes(CASE WHEN unit IN ('kB','8kB','MB') THEN current_setting('{name}') END) AS bytes FROM pg_settings WHERE name = '{name}'"
        )],
    );
    let (text, bytes) = (shown[0].text("shown"), shown[0].number("bytes"));
    let planned_bytes = planned.parse::<pgpilot::model::units::Bytes>().ok().map(|bytes| bytes.0 as f64);
    let time = |text: &str| text.parse::<pgpilot::model::units::Millis>().ok();
    // The keepalive settings show what the socket has, in seconds without their unit.
    let shown_time = time(&text).or_else(|| time(&format!("{text}s")));
    let same = text == planned
        || (bytes.is_some() && bytes == planned_bytes)
        || text.parse::<f64>().is_ok_and(|shown| planned.parse() == Ok(shown))
        || (shown_time.is_some() && shown_time == time(planned));
    assert!(same, "{name}: SHOW gives {text}, planned was {planned}");
}

/// As `url`'s role; `admin` looks on, `restart` restarts the server and waits until it answers.
pub fn whole_way(url: &str, admin: &str, mut restart: impl FnMut()) {
    let before = sql::settings(admin);
    let person = Person::new(url.to_owned());
    assert_eq!(person.run(&["plan", "--detailed-exitcode"]).code, 2, "a fresh server has something to tune");
    let report = person.run(&["apply", "--yes", "--include-restart", "--json"]).good().json();
    assert_eq!(phases(&report), ["kept", "awaiting_restart"]);
    let moved = wanted(&report);
    assert!(moved.len() > 20, "{moved:?}");
    assert_eq!(
        person.run(&["plan", "--detailed-exitcode"]).good().code,
        0,
        "what waits for a restart counts as done"
    );
    restart();
    for (name, planned) in &moved {
        assert_shown(admin, name, planned);
    }
    assert_eq!(person.run(&["plan", "--detailed-exitcode"]).code, 0, "{}", person.run(&["plan"]).out);
    let again = person.run(&["apply", "--yes", "--include-restart", "--json"]).good().json();
    assert_eq!(phases(&again), Vec::<String>::new(), "applying twice does nothing");
    person.run(&["rollback", "--last", "--yes"]).good();
    person.run(&["rollback", "--last", "--yes"]).good();
    restart();
    assert_eq!(sql::settings(admin), before, "every setting and its source is as before");
    let last = person.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(last.code, 0, "what a person took back is not proposed again: {}", last.out);
}
