//! What the process was given: variables, and the files that some of them name.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Bad, data_source};
use crate::config::{Config, Given, OPTIONS, Origin, flags, read};

/// The process's environment as far as it concerns us.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    pub given: Given,
    /// Files of `…_FILE` variables that could not be read, and what else cannot be used as it was given.
    pub unreadable: Vec<String>,
    /// What is done otherwise than was said.
    pub remarks: Vec<String>,
    /// Variables that look like ours and are not.
    pub unknown: Vec<String>,
}

impl Environment {
    /// All options, the unusable ones by their defaults, and what is wrong with those.
    pub fn lenient(&self) -> (Config, Bad) {
        let (mut given, mut said) = (self.given.clone(), vec![]);
        loop {
            match read(&given) {
                Ok(config) => return (config, said),
                Err(bad) => {
                    for option in bad {
                        given.0.remove(option.name);
                        said.push(option.to_string());
                    }
                }
            }
        }
    }
}

/// Reads the environment, and the files that secrets are given by.
pub fn environment() -> Environment {
    environment_and(flags::Said::default())
}

/// As [`environment`], outranked by a command line.
pub fn environment_and(line: flags::Said) -> Environment {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
    let mut found = gather(variables.collect(), read_small);
    for (option, value) in line.options {
        found.given.0.insert(option.to_owned(), (value, Origin::CommandLine));
    }
    found.remarks.extend(line.remarks);
    found
}

/// A password has a line and a profile has some fifty; a larger file is another file.
const MOST_BYTES: u64 = 64 << 10;

pub(super) fn read_small(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(std::io::Error::other(format!("it has more than {} kB", MOST_BYTES >> 10)));
    }
    Ok(text)
}

fn gather(
    variables: BTreeMap<String, String>,
    file: impl Fn(&Path) -> std::io::Result<String>,
) -> Environment {
    let mut found = Environment::default();
    for doc in OPTIONS {
        let by_file =
            variables.get(&format!("{}_FILE", doc.name)).filter(|path| doc.secret && !path.is_empty());
        match (variables.get(doc.name).filter(|text| !text.is_empty()), by_file) {
            (Some(text), _) => {
                drop(found.given.0.insert(doc.name.to_owned(), (text.clone(), Origin::Environment)))
            }
            (None, Some(path)) => match file(Path::new(path)) {
                // Editors end a file with a newline, and so does `echo`; a password never does.
                Ok(text) => {
                    let text = text.strip_suffix('\n').unwrap_or(&text).trim_end_matches('\r').to_owned();
                    found.given.0.insert(doc.name.to_owned(), (text, Origin::File));
                }
                Err(error) => found.unreadable.push(format!("{}_FILE: reading {path}: {error}", doc.name)),
            },
            (None, None) => {}
        }
    }
    found.take_data_source(&variables, file);
    found.take_variables(&variables);
    found.unknown = variables.keys().filter(|name| !is_known(name)).map(|name| unknown(name)).collect();
    found
}

const URL: &str = "PGPILOT_DATABASE_URL";

impl Environment {
    /// What postgres_exporter's variables say of the connection, unless ours say something.
    fn take_data_source(
        &mut self,
        variables: &BTreeMap<String, String>,
        file: impl Fn(&Path) -> std::io::Result<String>,
    ) {
        if self.given.get(URL).is_some()
            || variables.get("PGPILOT_DATABASE_URL_FILE").is_some_and(|path| !path.is_empty())
        {
            return;
        }
        let found = data_source::find(variables, file);
        if let Some((by, url)) = found.url {
            self.given.0.insert(URL.to_owned(), (url, Origin::Variable(by)));
        }
        self.unreadable.extend(found.bad);
        self.remarks.extend(found.remarks);
    }

    /// What its other variables say, where ours are silent.
    fn take_variables(&mut self, variables: &BTreeMap<String, String>) {
        let said = flags::read_variables(|name| variables.get(name).filter(|text| !text.is_empty()).cloned());
        for (option, value) in said.options {
            self.given.0.entry(option.to_owned()).or_insert((value, Origin::Environment));
        }
        self.unreadable.extend(said.refused);
        self.remarks.extend(said.remarks);
    }

    /// The variable that names the server.
    pub fn url_by(&self) -> &'static str {
        match self.given.get(URL) {
            Some((_, Origin::Variable(name))) => name,
            _ => URL,
        }
    }
}

fn is_known(name: &str) -> bool {
    let option =
        |name: &str, secret: bool| OPTIONS.iter().any(|doc| doc.name == name && (doc.secret || !secret));
    !name.starts_with("PGPILOT_")
        || name.starts_with("PGPILOT_TEST_")
        || option(name, false)
        || name.strip_suffix("_FILE").is_some_and(|stem| option(stem, true))
}

fn unknown(name: &str) -> String {
    let near = OPTIONS.iter().map(|doc| doc.name).min_by_key(|known| distance(name, known));
    format!("{name} is no option of this version; did you mean {}?", near.unwrap_or_default())
}

/// Levenshtein's distance, for names of a few dozen letters.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let best = (corner + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = row[j + 1];
            row[j + 1] = best;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(variables: &[(&str, &str)], files: &'static [(&str, &str)]) -> Environment {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        gather(variables.collect(), |path| {
            let known = files.iter().find(|(name, _)| Path::new(name) == path);
            known.map(|(_, text)| (*text).to_owned()).ok_or_else(|| std::io::Error::other("not there"))
        })
    }

    #[test]
    fn a_secret_may_come_from_a_file_whose_last_newline_is_not_part_of_it() {
        let files = &[("/run/pw", "p w\n"), ("/run/dos", "pw\r\n"), ("/run/two", "pw\n\n")];
        for (path, want) in [("/run/pw", "p w"), ("/run/dos", "pw"), ("/run/two", "pw\n")] {
            let found = given(&[("PGPASSWORD_FILE", path)], files);
            assert_eq!(found.given.get("PGPASSWORD"), Some((want, Origin::File)), "{path}");
        }
    }

    #[test]
    fn the_variable_outranks_the_file_and_a_missing_file_is_said() {
        let both = given(&[("PGPASSWORD", "a"), ("PGPASSWORD_FILE", "/run/pw")], &[]);
        assert_eq!(both.given.get("PGPASSWORD"), Some(("a", Origin::Environment)));
        let missing = given(&[("PGPASSWORD_FILE", "/run/pw")], &[]);
        assert_eq!(missing.unreadable, ["PGPASSWORD_FILE: reading /run/pw: not there"]);
    }

    #[test]
    fn another_exporters_variables_count_where_ours_are_silent() {
        let theirs = [("DATA_SOURCE_NAME", "host=theirs"), ("PG_EXPORTER_WEB_TELEMETRY_PATH", "/x")];
        let alone = given(&theirs, &[]);
        assert_eq!(alone.given.get(URL), Some(("host=theirs", Origin::Variable("DATA_SOURCE_NAME"))));
        assert_eq!(alone.given.get("PGPILOT_TELEMETRY_PATH"), Some(("/x", Origin::Environment)));
        assert_eq!(alone.url_by(), "DATA_SOURCE_NAME");
        for ours in [(URL, "host=ours"), ("PGPILOT_DATABASE_URL_FILE", "/run/url")] {
            let both = given(
                &[theirs[0], theirs[1], ours, ("PGPILOT_TELEMETRY_PATH", "/y")],
                &[("/run/url", "host=ours")],
            );
            assert_eq!(both.given.get(URL).map(|(text, _)| text), Some("host=ours"));
            assert_eq!(both.given.get("PGPILOT_TELEMETRY_PATH").map(|(text, _)| text), Some("/y"));
        }
        // A file of ours that cannot be read is no reason to watch another server.
        let missing = given(&[theirs[0], ("PGPILOT_DATABASE_URL_FILE", "/run/url")], &[]);
        assert_eq!((missing.given.get(URL), missing.unreadable.len()), (None, 1));
    }

    #[test]
    fn only_secrets_have_files_and_only_our_names_are_judged() {
        let found = given(
            &[("PGPILOT_MODE_FILE", "/x"), ("PGPILOT_MOED", "x"), ("PGAPPNAME", "x"), ("HOME", "/")],
            &[],
        );
        assert_eq!(found.unknown.len(), 2, "{:?}", found.unknown);
        assert!(found.unknown[1].contains("PGPILOT_MOED") && found.unknown[1].contains("PGPILOT_MODE?"));
    }
}
