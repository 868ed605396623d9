//! The flags and variables of postgres_exporter, so that its image can be swapped for ours and nothing else changed.
//! Each is an option of ours, or is accepted with a remark that says what happens instead, or is refused.

/// A flag that postgres_exporter has.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Without the dashes.
    pub name: &'static str,
    /// The variable that says the same.
    pub variable: Option<&'static str>,
    /// Whether a value belongs to it; the others are on, or off with `no-` before them.
    pub takes_value: bool,
    pub effect: Effect,
}

/// What comes of a flag.
#[derive(Debug, Clone, Copy)]
pub enum Effect {
    /// It is this option.
    Sets(&'static str),
    /// Its comma list is added to this option, each name with a prefix.
    Lists { option: &'static str, prefix: &'static str },
    /// It switches this collector off.
    Off(&'static str),
    /// It is what pgpilot does anyway.
    Usual,
    /// It is accepted; said is what happens instead, unless the value is the one that changes nothing.
    Instead { usual: &'static str, said: &'static str },
    /// pgpilot cannot go on with it, and says why.
    Refused(&'static str),
}

const fn flag(name: &'static str, takes_value: bool, effect: Effect) -> Flag {
    Flag { name, variable: None, takes_value, effect }
}

impl Flag {
    const fn or(self, variable: &'static str) -> Self {
        Self { variable: Some(variable), ..self }
    }
}

const fn instead(said: &'static str) -> Effect {
    Effect::Instead { usual: "", said }
}

const STATEMENTS: &str =
    "statements of every database and role are shown, the first of them by PGPILOT_TOP_STATEMENTS";

const TEXTS: &str = "texts are shown, up to 1000 characters of each, unless PGPILOT_STATEMENT_TEXTS is off";

/// The flags: the listener, the log, what is collected.
pub const FLAGS: &[Flag] = &[
    flag("web.listen-address", true, Effect::Sets("PGPILOT_LISTEN")),
    flag("web.telemetry-path", true, Effect::Sets("PGPILOT_TELEMETRY_PATH")).or("PG_EXPORTER_WEB_TELEMETRY_PATH"),
    flag("web.config.file", true, Effect::Sets("PGPILOT_WEB_CONFIG")),
    flag(
        "web.systemd-socket",
        false,
        Effect::Refused("sockets of systemd are not taken over; give the address by --web.listen-address"),
    ),
    flag("log.level", true, Effect::Sets("PGPILOT_LOG")),
    flag("log.format", true, Effect::Sets("PGPILOT_LOG_FORMAT")),
    flag(
        "collection-timeout",
        true,
        instead("a scrape ends in time for Prometheus, which sends how long it waits; PGPILOT_STATEMENT_TIMEOUT bounds each statement"),
    )
    .or("PG_EXPORTER_COLLECTION_TIMEOUT"),
    flag(
        "metric-prefix",
        true,
        Effect::Instead {
            usual: "pg",
            said: "names of metrics begin with pg_; rename them in Prometheus with metric_relabel_configs",
        },
    )
    .or("PG_EXPORTER_METRIC_PREFIX"),
    flag(
        "disable-default-metrics",
        false,
        instead("there are no metrics but the default ones; PGPILOT_COLLECTORS_OFF leaves out some of them"),
    )
    .or("PG_EXPORTER_DISABLE_DEFAULT_METRICS"),
    flag("disable-settings-metrics", false, Effect::Off("settings")).or("PG_EXPORTER_DISABLE_SETTINGS_METRICS"),
    flag("auto-discover-databases", false, Effect::Usual).or("PG_EXPORTER_AUTO_DISCOVER_DATABASES"),
    flag("include-databases", true, Effect::Lists { option: "PGPILOT_DATABASES", prefix: "" })
        .or("PG_EXPORTER_INCLUDE_DATABASES"),
    flag("exclude-databases", true, Effect::Lists { option: "PGPILOT_DATABASES", prefix: "!" })
        .or("PG_EXPORTER_EXCLUDE_DATABASES"),
    flag("extend.query-path", true, instead("queries of your own are not run; sql_exporter does that beside pgpilot"))
        .or("PG_EXPORTER_EXTEND_QUERY_PATH"),
    flag("constantLabels", true, instead("labels are set in Prometheus: under static_configs, or with relabel_configs"))
        .or("PG_EXPORTER_CONSTANT_LABELS"),
    flag("config.file", true, instead("there are no auth_modules: one pgpilot watches one server, and /probe is not answered")),
    flag("dumpmaps", false, Effect::Refused("there are no maps of queries to print; docs/metrics.md lists the metrics")),
    flag("collector.stat_statements.include_query", false, instead(TEXTS)),
    flag("collector.stat_statements.query_length", true, instead(TEXTS)),
    flag("collector.stat_statements.limit", true, Effect::Sets("PGPILOT_TOP_STATEMENTS")),
    flag("collector.stat_statements.exclude_databases", true, instead(STATEMENTS)),
    flag("collector.stat_statements.exclude_users", true, instead(STATEMENTS)),
];

/// postgres_exporter's collectors that have another name here; the others have the same.
const COLLECTORS: &[(&str, &[&str])] = &[
    ("buffercache_summary", &["buffercache"]),
    ("database", &["database_size", "database_limits"]),
    ("postmaster", &["server"]),
    ("replication_slot", &["replication_slots"]),
    ("stat_activity", &["activity", "activity_ages", "backends"]),
    ("stat_bgwriter", &["bgwriter"]),
    ("stat_checkpointer", &["checkpointer"]),
    ("stat_database", &["database", "database_conflicts"]),
    ("stat_statements", &["stat_statements", "stat_statements_all", "stat_statements_info"]),
    ("stat_user_tables", &["stat_user_tables", "table_sizes"]),
    ("statio_user_tables", &["stat_user_tables"]),
    ("statio_user_indexes", &["stat_user_indexes"]),
    ("wal", &["wal_files"]),
    ("xlog_location", &["wal_position"]),
];

/// Our names for a collector of postgres_exporter.
fn ours(theirs: &str) -> Vec<String> {
    let other = COLLECTORS.iter().find(|(name, _)| *name == theirs).map(|(_, names)| *names);
    other.unwrap_or(&[theirs]).iter().map(|name| (*name).to_owned()).collect()
}

/// What a command line comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Options and their values.
    pub options: Vec<(&'static str, String)>,
    /// What is done otherwise than was said, a sentence each.
    pub remarks: Vec<String>,
    /// What cannot be done, a sentence each.
    pub refused: Vec<String>,
    off: Vec<String>,
}

/// Reads the words after `serve`.
pub fn read(words: &[String]) -> Said {
    let mut said = Said::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(name) = word.strip_prefix("--") else {
            // Not repeated: it may be a connection string, with its password.
            said.refused
                .push("a word on the command line is no flag; flags begin with two dashes".to_owned());
            continue;
        };
        let (name, value) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
        match FLAGS.iter().find(|flag| flag.name == name && flag.takes_value) {
            None => said.switch(name, value),
            Some(flag) => match value.or_else(|| words.next().map(String::as_str)) {
                Some(value) => said.take(flag, &format!("--{name}"), value),
                None => said.refused.push(format!("--{name}: a value is missing")),
            },
        }
    }
    said.finish()
}

/// Reads postgres_exporter's variables, of which `get` gives those that are set.
pub fn read_variables(get: impl Fn(&str) -> Option<String>) -> Said {
    let mut said = Said::default();
    for flag in FLAGS {
        let Some((variable, value)) = flag.variable.and_then(|variable| Some((variable, get(variable)?)))
        else {
            continue;
        };
        match (flag.takes_value, value.as_str()) {
            (true, value) => said.take(flag, variable, value),
            (false, "true") => said.take(flag, variable, ""),
            (false, _) => {}
        }
    }
    said.finish()
}

impl Said {
    /// A flag without a value of its own: on, or off with `no-`.
    fn switch(&mut self, name: &str, value: Option<&str>) {
        let (stem, is_on) = name.strip_prefix("no-").map_or((name, true), |stem| (stem, false));
        let is_on = match value {
            None | Some("true") => is_on,
            Some("false") => !is_on,
            Some(_) => return self.refused.push(format!("--{name}: takes no value")),
        };
        match (
            FLAGS.iter().find(|flag| flag.name == stem && !flag.takes_value),
            stem.strip_prefix("collector."),
        ) {
            (Some(flag), _) if is_on => self.take(flag, &format!("--{stem}"), ""),
            // Off is what they all are here.
            (Some(_), _) => {}
            (None, Some(collector)) => self.collector(collector, is_on),
            (None, None) => self
                .refused
                .push(format!("--{name}: there is no such flag; `pgpilot serve --help` lists them")),
        }
    }

    fn collector(&mut self, theirs: &str, is_on: bool) {
        let names = ours(theirs);
        self.off.retain(|off| !names.contains(off));
        if !is_on {
            self.off.extend(names);
        }
    }

    fn take(&mut self, flag: &Flag, by: &str, value: &str) {
        // An empty value is what a chart passes for one that is not set; it must not take away what a variable says.
        if flag.takes_value && value.is_empty() {
            return;
        }
        match flag.effect {
            Effect::Sets(option) => self.set(option, by, value),
            Effect::Lists { option, prefix } => self.list(option, prefix, value),
            Effect::Off(collector) => self.collector(collector, false),
            Effect::Usual => {}
            Effect::Instead { usual, .. } if !usual.is_empty() && usual == value => {}
            Effect::Instead { said, .. } => self.remarks.push(format!("{by}: {said}")),
            Effect::Refused(said) => self.refused.push(format!("{by}: {said}")),
        }
    }

    /// A flag that is given twice makes a list of what can be one; of the rest, the last one counts.
    fn set(&mut self, option: &'static str, by: &str, value: &str) {
        let value = match (option, value) {
            ("PGPILOT_LOG_FORMAT", "logfmt") => {
                self.remarks
                    .push(format!("{by}: lines are a sentence and then name=value; json is for programs"));
                "text"
            }
            (_, value) => value,
        };
        match self.options.iter_mut().find(|(known, _)| *known == option) {
            Some((_, list)) if option == "PGPILOT_LISTEN" => *list = format!("{list},{value}"),
            Some((_, former)) => value.clone_into(former),
            None => self.options.push((option, value.to_owned())),
        }
    }

    fn list(&mut self, option: &'static str, prefix: &str, names: &str) {
        let names = names.split(',').map(|name| format!("{prefix}{}", name.trim()));
        let names = names.collect::<Vec<_>>().join(",");
        match self.options.iter_mut().find(|(known, _)| *known == option) {
            Some((_, list)) => *list = format!("{list},{names}"),
            None => self.options.push((option, names)),
        }
    }

    fn finish(mut self) -> Self {
        if !self.off.is_empty() {
            self.options.push(("PGPILOT_COLLECTORS_OFF", std::mem::take(&mut self.off).join(",")));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OPTIONS;

    fn said(line: &str) -> Said {
        read(&line.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn every_option_of_the_table_is_one_and_every_sentence_is_whole() {
        for flag in FLAGS {
            match flag.effect {
                Effect::Sets(option) | Effect::Lists { option, .. } => {
                    assert!(OPTIONS.iter().any(|doc| doc.name == option), "{option}")
                }
                Effect::Instead { said, .. } | Effect::Refused(said) => {
                    assert!(said.len() > 20 && !said.ends_with('.'), "{}", flag.name);
                }
                Effect::Off(_) | Effect::Usual => {}
            }
        }
    }

    #[test]
    fn flags_become_options() {
        let rows: &[(&str, &[(&str, &str)])] = &[
            ("--web.listen-address=:9200", &[("PGPILOT_LISTEN", ":9200")]),
            (
                "--web.listen-address :9200 --web.listen-address [::1]:1",
                &[("PGPILOT_LISTEN", ":9200,[::1]:1")],
            ),
            ("--log.level=debug --log.level=warn", &[("PGPILOT_LOG", "warn")]),
            ("--log.format=json", &[("PGPILOT_LOG_FORMAT", "json")]),
            (
                "--no-collector.wal --no-collector.stat_bgwriter",
                &[("PGPILOT_COLLECTORS_OFF", "wal_files,bgwriter")],
            ),
            ("--no-collector.wal --collector.wal", &[]),
            ("--collector.stat_statements --no-web.systemd-socket --no-disable-settings-metrics", &[]),
            ("--disable-settings-metrics", &[("PGPILOT_COLLECTORS_OFF", "settings")]),
            (
                "--auto-discover-databases --include-databases=a,b --exclude-databases c,d",
                &[("PGPILOT_DATABASES", "a,b,!c,!d")],
            ),
            ("--collector.stat_statements.limit=5", &[("PGPILOT_TOP_STATEMENTS", "5")]),
        ];
        for (line, want) in rows {
            let want: Vec<_> = want.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            assert_eq!(said(line), Said { options: want, ..Said::default() }, "{line}");
        }
    }

    #[test]
    fn what_is_not_done_is_said() {
        let rows = [
            ("--metric-prefix=mine", "--metric-prefix: names of metrics begin with pg_"),
            ("--config.file pg.yml", "auth_modules"),
            ("--log.format=logfmt", "name=value"),
            ("--collector.stat_statements.query_length=5", "--collector.stat_statements.query_length: texts"),
        ];
        for (line, want) in rows {
            let said = said(line);
            assert!(said.remarks.len() == 1 && said.remarks[0].contains(want), "{line}: {said:?}");
            assert!(said.refused.is_empty(), "{line}");
        }
        assert_eq!(said("--metric-prefix=pg --constantLabels= --web.config.file="), Said::default());
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let rows = [
            ("--web.systemd-socket", "--web.systemd-socket: sockets of systemd"),
            ("--dumpmaps", "--dumpmaps"),
            ("--nonsense", "--nonsense: there is no such flag"),
            ("--log.level", "--log.level: a value is missing"),
            ("--collector.wal=maybe", "takes no value"),
            ("postgres://a:b@c", "a word on the command line is no flag"),
        ];
        for (line, want) in rows {
            let said = said(line);
            assert!(said.refused.len() == 1 && said.refused[0].contains(want), "{line}: {said:?}");
        }
    }

    #[test]
    fn variables_say_the_same_as_flags() {
        let set = |pairs: &'static [(&str, &str)]| {
            read_variables(|name| {
                pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let path = set(&[("PG_EXPORTER_WEB_TELEMETRY_PATH", "/x")]);
        assert_eq!(path.options, [("PGPILOT_TELEMETRY_PATH", "/x".to_owned())]);
        assert_eq!(set(&[("PG_EXPORTER_AUTO_DISCOVER_DATABASES", "false")]), Said::default());
        assert_eq!(set(&[("PG_EXPORTER_AUTO_DISCOVER_DATABASES", "true")]), Said::default());
        let remark = set(&[("PG_EXPORTER_CONSTANT_LABELS", "a=b")]).remarks;
        assert!(remark[0].starts_with("PG_EXPORTER_CONSTANT_LABELS: "), "{remark:?}");
    }
}
