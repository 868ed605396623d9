//! What the other side can read: the form of an exposition, and whether it may be packed.

/// The form of an exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Classic,
    OpenMetrics,
}

/// The form that an `Accept` header prefers; the classic one when it says nothing or prefers neither.
pub(super) fn form(accept: &str) -> Form {
    let best = |fits: fn(&Range<'_>) -> Option<u8>| {
        let ranked = ranges(accept).filter_map(|range| Some((range.weight, fits(&range)?)));
        ranked.max().filter(|(weight, _)| *weight > 0)
    };
    if best(open_metrics) > best(classic) { Form::OpenMetrics } else { Form::Classic }
}

/// Whether an `Accept-Encoding` header allows gzip.
pub(super) fn gzip(accept_encoding: &str) -> bool {
    let named = |name| ranges(accept_encoding).find(|range| range.name.eq_ignore_ascii_case(name));
    named("gzip").or_else(|| named("*")).is_some_and(|range| range.weight > 0)
}

/// How precisely a range names OpenMetrics 1.0; wildcards never ask for it.
fn open_metrics(range: &Range<'_>) -> Option<u8> {
    let named = range.name.eq_ignore_ascii_case("application/openmetrics-text");
    (named && matches!(range.version, None | Some("1.0.0"))).then_some(2)
}

fn classic(range: &Range<'_>) -> Option<u8> {
    match range.name {
        "*/*" => Some(0),
        "text/*" => Some(1),
        name if name.eq_ignore_ascii_case("text/plain") => {
            matches!(range.version, None | Some("0.0.4")).then_some(2)
        }
        _ => None,
    }
}

/// One element of such a header.
struct Range<'a> {
    name: &'a str,
    version: Option<&'a str>,
    /// The q-value in thousandths.
    weight: u16,
}

fn ranges(header: &str) -> impl Iterator<Item = Range<'_>> {
    header.split(',').map(|element| {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let mut range = Range { name, version: None, weight: 1000 };
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key.trim() {
                "q" | "Q" => range.weight = weight(value.trim()),
                "version" => range.version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        range
    })
}

/// An unreadable weight is none.
fn weight(text: &str) -> u16 {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = rest.chars().chain("000".chars()).take(3).collect();
    match (whole, digits.parse()) {
        ("1", _) => 1000,
        ("0", Ok(thousandths)) => thousandths,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_that_is_preferred_is_given() {
        use Form::{Classic, OpenMetrics};
        let rows = [
            ("", Classic),
            ("*/*", Classic),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Classic),
            ("application/openmetrics-text", OpenMetrics),
            ("application/openmetrics-text; version=1.0.0", OpenMetrics),
            ("Application/OpenMetrics-Text;version=\"1.0.0\";q=0.5, */*;q=0.1", OpenMetrics),
            ("application/openmetrics-text, */*", OpenMetrics),
            ("application/openmetrics-text;version=2.0.0, text/plain;q=0.1", Classic),
            ("application/openmetrics-text;q=0.5, text/plain", Classic),
            ("application/openmetrics-text;q=0", Classic),
            ("application/openmetrics-text, text/plain", Classic),
            // Prometheus 2.42, then 3.5 without and with protobuf first.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;\
                 q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                 text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4,*/*;q=0.2",
                Classic,
            ),
        ];
        for (accept, want) in rows {
            assert_eq!(form(accept), want, "{accept}");
        }
    }

    #[test]
    fn gzip_is_used_only_when_it_is_allowed() {
        let rows = [
            ("gzip", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("*", true),
            ("", false),
            ("identity", false),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("gzip;q=0.001", true),
        ];
        for (header, want) in rows {
            assert_eq!(gzip(header), want, "{header}");
        }
    }
}
