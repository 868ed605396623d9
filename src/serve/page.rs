//! The page at `/`: plain, small, without scripts.

use std::fmt::Write as _;

use bytes::Bytes;
use hyper::StatusCode;

use super::board::Health;
use super::routes::{Reply, Site, of, places};

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:90rem;margin:2rem auto;padding:0 1rem}\
pre{overflow:auto;font-size:.8rem;padding:1rem;background:#8881;border-radius:.4rem}\
td{padding:.1rem 1rem .1rem 0}";

pub(super) fn index(site: &Site) -> Reply {
    let shown = site.board.held();
    let plan = shown.plan.as_ref().map_or("There is no plan yet.", |plan| &plan.text);
    of(
        StatusCode::OK,
        "text/html; charset=utf-8",
        Bytes::from(html(&site.board.health(), plan, &site.metrics_path)),
    )
}

fn html(health: &Health, plan: &str, metrics: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>pgpilot</title>\n<style>{STYLE}</style>\n\
         <h1>pgpilot {version}</h1>\n<p>{}</p>\n",
        state(health)
    );
    list(&mut page, "ul", health.problems.iter().map(|said| format!("<li>{}", escape(said))));
    let row = |path: &str, about: &str| format!("<tr><td><a href=\"{path}\">{path}</a><td>{about}");
    let others = places(metrics).filter(|(place, _)| *place != "/");
    list(&mut page, "table", others.map(|(place, route)| row(place, route.about)));
    // A String takes everything that is written to it.
    let _ = write!(page, "<h2>Plan</h2>\n<pre>{}</pre>\n</html>\n", escape(plan));
    page
}

fn list(page: &mut String, tag: &str, items: impl Iterator<Item = String>) {
    let items: Vec<_> = items.collect();
    if !items.is_empty() {
        let _ = writeln!(page, "<{tag}>\n{}\n</{tag}>", items.join("\n"));
    }
}

fn state(health: &Health) -> &'static str {
    match (health.ready, health.started) {
        (true, _) => "Ready.",
        (false, true) => "Not ready.",
        (false, false) => "Starting.",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_cannot_become_markup() {
        let said = "<script>alert('\"')</script> & more".to_owned();
        let page = html(&Health { started: true, ready: false, problems: vec![said] }, "a < b", "/metrics");
        assert!(page.contains("<li>&lt;script&gt;alert('&quot;')&lt;/script&gt; &amp; more"), "{page}");
        assert!(
            page.contains("<pre>a &lt; b</pre>")
                && page.contains("Not ready.")
                && page.contains("<a href=\"/metrics\">"),
            "{page}"
        );
    }
}
