//! postgres_exporter's connection: `DATA_SOURCE_NAME`, or `DATA_SOURCE_URI` with a user and a password, each of which
//! may be in a file.

use std::collections::BTreeMap;
use std::path::Path;

/// The variable that decided, and what it comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) url: Option<(&'static str, String)>,
    /// What is done otherwise than was said.
    pub(super) remarks: Vec<String>,
    /// What cannot be used.
    pub(super) bad: Vec<String>,
}

/// A part and its file, of which the file counts.
const URI: (&str, &str) = ("DATA_SOURCE_URI", "DATA_SOURCE_URI_FILE");
const USER: (&str, &str) = ("DATA_SOURCE_USER", "DATA_SOURCE_USER_FILE");
const PASS: (&str, &str) = ("DATA_SOURCE_PASS", "DATA_SOURCE_PASS_FILE");

pub(super) fn find(
    variables: &BTreeMap<String, String>,
    file: impl Fn(&Path) -> std::io::Result<String>,
) -> Found {
    let mut found = Found::default();
    let has_host = set(variables, "PGHOST").is_some();
    if let Some(names) = set(variables, "DATA_SOURCE_NAME") {
        found.name(names, has_host);
        return found;
    }
    let mut part = |(plain, by_file): (&'static str, &'static str)| match set(variables, by_file) {
        None => set(variables, plain).map(|text| (plain, text.to_owned())),
        Some(path) => match file(Path::new(path)) {
            Ok(text) => Some((by_file, text.trim().to_owned())),
            Err(error) => {
                found.bad.push(format!("{by_file}: reading {path}: {error}"));
                None
            }
        },
    };
    let (uri, user, pass) = (part(URI), part(USER), part(PASS));
    if let Some((by, uri)) = &uri {
        let text = |part: &Option<(&str, String)>| part.as_ref().map(|(_, text)| text.clone());
        found.parts((by, uri), text(&user).as_deref(), text(&pass).as_deref(), has_host);
    } else if let Some((by, _)) = user.or(pass) {
        found.remarks.push(format!("{by}: counts only together with DATA_SOURCE_URI, which is not set"));
    }
    found
}

fn set<'a>(variables: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    variables.get(name).map(String::as_str).filter(|text| !text.trim().is_empty())
}

impl Found {
    fn name(&mut self, names: &str, has_host: bool) {
        const NAME: &str = "DATA_SOURCE_NAME";
        let (first, others) =
            names.split_once(',').map_or((names, None), |(first, rest)| (first, Some(rest)));
        if others.is_some() {
            self.remarks.push(format!(
                "{NAME}: has several servers, and only the first is watched: one pgpilot watches one server, \
                 so run one beside each"
            ));
        }
        self.take(NAME, first.trim(), has_host);
    }

    fn take(&mut self, by: &'static str, text: &str, has_host: bool) {
        let text = self.known_keys(by, text);
        self.url = Some((
            by,
            if text.contains("://") { hosted_url(&text, has_host) } else { hosted_pairs(text, has_host) },
        ));
    }

    fn parts(
        &mut self,
        (by, uri): (&'static str, &str),
        user: Option<&str>,
        pass: Option<&str>,
        has_host: bool,
    ) {
        if uri.contains("://") {
            self.bad.push(format!("{by}: begins at the host, without a scheme; for example postgres:5432/postgres?sslmode=disable"));
            return;
        }
        let who = match (user, pass) {
            (None, None) => String::new(),
            (user, None) => format!("{}@", user.map_or(String::new(), escaped)),
            (user, Some(pass)) => format!("{}:{}@", user.map_or(String::new(), escaped), escaped(pass)),
        };
        self.take(by, &format!("postgresql://{who}{uri}"), has_host);
    }

    /// The string without the keys that its former driver passed on and ours does not know.
    fn known_keys(&mut self, by: &str, text: &str) -> String {
        let (head, tail, separator) = match (text.contains("://"), text.split_once('?')) {
            (true, Some((head, query))) => (format!("{head}?"), query, '&'),
            // With quotes in it, a blank may be part of a value: then it is left as it is.
            (false, _) if !text.contains(['\'', '\\']) => (String::new(), text, ' '),
            _ => return text.to_owned(),
        };
        let key = |part: &&str| part.split('=').next().unwrap_or_default().to_owned();
        let (good, other): (Vec<_>, Vec<_>) = tail
            .split(separator)
            .filter(|part| !part.is_empty())
            .partition(|part| !part.contains('=') || KEYS.contains(&key(part).as_str()));
        if !other.is_empty() {
            let keys: Vec<_> = other.iter().map(key).collect();
            self.remarks.push(format!("{by}: left out is what is not known here: {}", keys.join(", ")));
        }
        format!("{head}{}", good.join(&separator.to_string())).trim_end_matches('?').to_owned()
    }
}

/// Its driver has a default for the host, and ours has none.
fn hosted_pairs(text: String, has_host: bool) -> String {
    let is_local = text.contains('=') && !has_host && !text.contains("host");
    if is_local { format!("host=localhost {text}") } else { text }
}

/// As [`hosted_pairs`]; a port without a host before it goes where ours reads it.
fn hosted_url(text: &str, has_host: bool) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (who, place) = authority.rsplit_once('@').map_or(("", authority), |(who, place)| (who, place));
    let at = if who.is_empty() { "" } else { "@" };
    let port = place.trim_start_matches(':');
    if !(place.is_empty() || place.starts_with(':')) {
        return text.to_owned();
    }
    if !has_host && !tail.contains("host=") {
        return format!("{scheme}://{who}{at}localhost{place}{tail}");
    }
    let joint = if tail.contains('?') { '&' } else { '?' };
    let port = if port.is_empty() { String::new() } else { format!("{joint}port={port}") };
    format!("{scheme}://{who}{at}{tail}{port}")
}

/// What a connection string may have; the driver refuses the whole of one that has more.
const KEYS: &[&str] = &[
    "user",
    "password",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "options",
    "application_name",
    "sslmode",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "sslnegotiation",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
];

/// Percent-encoded, so that a password may have any character.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Found {
        let variables: BTreeMap<_, _> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        find(&variables, |path| match path.to_str() {
            Some("/uri") => Ok(" filed:5433/db\n".to_owned()),
            Some("/user") => Ok("filed\n".to_owned()),
            Some("/pass") => Ok("p@s/s:w%r d?#\n".to_owned()),
            _ => Err(std::io::Error::other("not there")),
        })
    }

    #[test]
    fn the_name_outranks_files_which_outrank_plain_variables() {
        let name = ("DATA_SOURCE_NAME", "postgresql://a:b@name/x?sslmode=disable");
        let plain =
            [("DATA_SOURCE_URI", "plain/db"), ("DATA_SOURCE_USER", "me"), ("DATA_SOURCE_PASS", "a:b@c")];
        let files = [
            ("DATA_SOURCE_URI_FILE", "/uri"),
            ("DATA_SOURCE_USER_FILE", "/user"),
            ("DATA_SOURCE_PASS_FILE", "/pass"),
        ];
        type Pairs<'a> = &'a [(&'a str, &'a str)];
        let rows: &[(&[Pairs<'_>], &str, &str)] = &[
            (&[&[name], &plain, &files], "DATA_SOURCE_NAME", name.1),
            (&[&plain], "DATA_SOURCE_URI", "postgresql://me:a%3Ab%40c@plain/db"),
            (
                &[&plain, &files],
                "DATA_SOURCE_URI_FILE",
                "postgresql://filed:p%40s%2Fs%3Aw%25r%20d%3F%23@filed:5433/db",
            ),
            (
                &[&plain[..1], &files[2..]],
                "DATA_SOURCE_URI",
                "postgresql://:p%40s%2Fs%3Aw%25r%20d%3F%23@plain/db",
            ),
            (&[&plain[..2]], "DATA_SOURCE_URI", "postgresql://me@plain/db"),
            (&[&plain[..1]], "DATA_SOURCE_URI", "postgresql://plain/db"),
        ];
        for (given, by, url) in rows {
            let want = Found { url: Some((by, (*url).to_owned())), ..Found::default() };
            assert_eq!(found(&given.concat()), want);
        }
        assert_eq!(found(&[]), Found::default());
    }

    #[test]
    fn of_several_servers_the_first_is_watched_and_that_is_said() {
        let found = found(&[("DATA_SOURCE_NAME", "host=a password=hunter2,host=b")]);
        assert_eq!(found.url, Some(("DATA_SOURCE_NAME", "host=a password=hunter2".to_owned())));
        assert!(
            found.remarks[0].contains("only the first is watched") && !found.remarks[0].contains("hunter2")
        );
    }

    #[test]
    fn without_a_host_it_is_this_machine() {
        let local = |extra: &[(&str, &str)]| {
            let given = [&[("DATA_SOURCE_NAME", "port=5432,port=6432")], extra].concat();
            found(&given).url.map(|(_, url)| url)
        };
        assert_eq!(local(&[]).as_deref(), Some("host=localhost port=5432"));
        assert_eq!(local(&[("PGHOST", "db")]).as_deref(), Some("port=5432"));
        let rows = [
            (":5433/x", "postgresql://a:b@localhost:5433/x"),
            ("/x", "postgresql://a:b@localhost/x"),
            (":5433/x?host=/run/pg", "postgresql://a:b@/x?host=/run/pg&port=5433"),
            ("/x?host=/run/pg", "postgresql://a:b@/x?host=/run/pg"),
            ("db", "postgresql://a:b@db"),
        ];
        for (uri, want) in rows {
            let given = [("DATA_SOURCE_URI", uri), ("DATA_SOURCE_USER", "a"), ("DATA_SOURCE_PASS", "b")];
            assert_eq!(found(&given).url, Some(("DATA_SOURCE_URI", want.to_owned())));
        }
    }

    #[test]
    fn keys_that_only_the_former_driver_knew_are_left_out_and_named() {
        let rows = [
            ("postgres://a@b/c?binary_parameters=yes&sslmode=disable", "postgres://a@b/c?sslmode=disable"),
            ("postgres://a@b/c?search_path=s3cret", "postgres://a@b/c"),
            ("host=b user=a fallback_application_name=s3cret", "host=b user=a"),
        ];
        for (text, want) in rows {
            let found = found(&[("DATA_SOURCE_NAME", text)]);
            assert_eq!(found.url.map(|(_, url)| url).as_deref(), Some(want));
            assert!(
                found.remarks[0].contains("not known here") && !found.remarks[0].contains("s3cret"),
                "{text}"
            );
        }
        let quoted = "host=b password='x y=z'";
        assert_eq!(found(&[("DATA_SOURCE_NAME", quoted)]).url, Some(("DATA_SOURCE_NAME", quoted.to_owned())));
    }

    #[test]
    fn what_cannot_be_used_is_said_without_being_repeated() {
        let scheme = found(&[("DATA_SOURCE_URI", "postgres://a:hunter2@b/c")]);
        assert!(scheme.url.is_none() && scheme.bad[0].contains("without a scheme"), "{scheme:?}");
        assert!(!scheme.bad[0].contains("hunter2"));
        let missing = found(&[("DATA_SOURCE_URI", "b"), ("DATA_SOURCE_PASS_FILE", "/nowhere")]);
        assert_eq!(missing.bad, ["DATA_SOURCE_PASS_FILE: reading /nowhere: not there"]);
        let alone = found(&[("DATA_SOURCE_PASS", "hunter2")]);
        assert!(
            alone.url.is_none() && alone.remarks[0].starts_with("DATA_SOURCE_PASS: counts only together")
        );
    }
}
