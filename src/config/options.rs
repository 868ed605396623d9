//! The table of options.

use super::shown::{AtMost, DatabaseNames, Switch};
use super::table::{BadOption, Given, OptionDoc, options, parse};
use super::values::{
    CollectorNames, Count, Listen, LogFilter, LogFormat, Mode, Names, Period, ProfileName, ReserveText,
    Secret, Size, StorageName, Text, TlsMode, UrlPath,
};

options! {
    /// Connection string of the server to watch and tune.
    ///
    /// A URL or libpq's `key=value` form. Without it postgres_exporter's `DATA_SOURCE_…` variables count, and without
    /// those the `PG…` variables. A superuser works at once; `pgpilot setup` makes a role that can do no more than it
    /// needs.
    database_url: Option<Secret> = "PGPILOT_DATABASE_URL", none, "postgresql://pgpilot:secret@postgres:5432/postgres", secret;

    /// Host name, address or socket folder of the server.
    pghost: Option<Text> = "PGHOST", none, "postgres";

    /// Port of the server.
    pgport: Option<Text> = "PGPORT", none, "5432";

    /// Role to connect as.
    pguser: Option<Text> = "PGUSER", none, "pgpilot";

    /// Password of that role.
    pgpassword: Option<Secret> = "PGPASSWORD", none, "secret", secret;

    /// Database to connect to; per-server settings are the same in each.
    pgdatabase: Option<Text> = "PGDATABASE", none, "postgres";

    /// How the connection is protected, with libpq's meaning; outranks the connection string.
    ///
    /// `prefer` and `require` encrypt without asking who answers; `verify-ca` wants a certificate that the root
    /// certificates vouch for, `verify-full` also that it names the host.
    pgsslmode: Option<TlsMode> = "PGSSLMODE", none, "verify-full";

    /// File of root certificates in PEM form; without it `verify-full` uses the system's, and `verify-ca` is refused.
    pgsslrootcert: Option<Text> = "PGSSLROOTCERT", none, "/certs/root.crt";

    /// File of our certificate in PEM form, where the server asks for one.
    pgsslcert: Option<Text> = "PGSSLCERT", none, "/certs/client.crt";

    /// File of the key to our certificate.
    pgsslkey: Option<Text> = "PGSSLKEY", none, "/certs/client.key";

    /// What pgpilot may do: `observe` writes nothing, `recommend` plans and leaves applying to a person, `apply` also
    /// lets `serve` write what needs no restart.
    mode: Mode = "PGPILOT_MODE", "recommend", "apply";

    /// Bounds for the formulas: `auto`, `low-memory`, `standard`, `high-performance` or `custom`.
    profile: ProfileName = "PGPILOT_PROFILE", "auto", "standard";

    /// TOML file of the custom profile.
    profile_file: Option<Text> = "PGPILOT_PROFILE_FILE", none, "/etc/pgpilot/profile.toml";

    /// Memory that PostgreSQL may use, when what is detected is not what you want.
    memory: Option<Size> = "PGPILOT_MEMORY", none, "8GB";

    /// What everything else on the host keeps of its memory when no container limit is known: a share, a size, or 0
    /// when the machine is PostgreSQL's alone.
    reserve: ReserveText = "PGPILOT_RESERVE", "50%", "6GB";

    /// How many PostgreSQL servers share this host; each gets its part.
    servers: Count = "PGPILOT_SERVERS", "1", "2";

    /// CPUs that PostgreSQL may use, when what is detected is not right.
    cpus: Option<Count> = "PGPILOT_CPUS", none, "4";

    /// What the data lies on: `hdd`, `ssd`, `nvme`, `network` or `zfs`.
    ///
    /// Virtual disks often call themselves rotating although they are not; then say it here.
    storage: Option<StorageName> = "PGPILOT_STORAGE", none, "nvme";

    /// Size of PostgreSQL's `/dev/shm`, where it cannot be seen.
    shm_size: Option<Size> = "PGPILOT_SHM_SIZE", none, "1GB";

    /// Free space on the disk that holds the WAL, where it cannot be seen.
    wal_disk_free: Option<Size> = "PGPILOT_WAL_DISK_FREE", none, "200GB";

    /// Where PostgreSQL's data volume is mounted in pgpilot's container, read-only: shows free space.
    data_dir: Option<Text> = "PGPILOT_DATA_DIR", none, "/pgdata";

    /// The sum of the clients' connection pools: how many sessions there can be at once.
    client_connections: Option<Count> = "PGPILOT_CLIENT_CONNECTIONS", none, "51";

    /// Settings that you set by hand and want pgpilot to move: names, `all` or `none`.
    take_over: Names = "PGPILOT_TAKE_OVER", "none", "work_mem,shared_buffers";

    /// Addresses and ports of the HTTP server, as a list with commas; the container image sets `0.0.0.0:9187`.
    ///
    /// An address is `host:port`, `[::1]:9187` or, for every IPv4 address, `:9187`.
    listen: Listen = "PGPILOT_LISTEN", "127.0.0.1:9187", "0.0.0.0:9187";

    /// Where the HTTP server has the metrics.
    telemetry_path: UrlPath = "PGPILOT_TELEMETRY_PATH", "/metrics", "/metrics";

    /// File that gives the HTTP server TLS, passwords or tokens, in the format that Prometheus' exporters share.
    ///
    /// See `docs/listener.md`. It is read again when it changes; `serve` does not start with a bad one.
    web_config: Option<Text> = "PGPILOT_WEB_CONFIG", none, "/etc/pgpilot/web.yml";

    /// Collectors that are not to run, as a list with commas, or `none`.
    collectors_off: CollectorNames = "PGPILOT_COLLECTORS_OFF", "none", "activity,settings";

    /// Folder of the journal; keep it on a volume.
    state_dir: Text = "PGPILOT_STATE_DIR", "/var/lib/pgpilot", "/var/lib/pgpilot";

    /// How often `serve` looks again and plans anew.
    plan_every: Period = "PGPILOT_PLAN_EVERY", "5min", "15min";

    /// How old a scrape's answer may be; several scrapers within it share one reading.
    fresh_for: Period = "PGPILOT_FRESH_FOR", "3s", "10s";

    /// The databases that are looked into for tables, indexes and what extensions keep: a comma list, in which `*` stands
    /// for any part of a name and `!` excludes.
    databases: DatabaseNames = "PGPILOT_DATABASES", "*", "*,!scratch_*";

    /// How many databases have series of their own; the others are summed up as `other`.
    top_databases: AtMost = "PGPILOT_TOP_DATABASES", "50", "all";

    /// How many tables and how many indexes have series of their own, in the whole server.
    top_relations: AtMost = "PGPILOT_TOP_RELATIONS", "30", "100";

    /// How many statements of pg_stat_statements have series of their own.
    top_statements: AtMost = "PGPILOT_TOP_STATEMENTS", "25", "100";

    /// How many series a single collector may give; what is over is left out, and counted in
    /// `pgpilot_series_dropped`.
    series_limit: AtMost = "PGPILOT_SERIES_LIMIT", "10000", "all";

    /// Whether the text of the statements that are shown is a label of `pg_stat_statements_query_id`.
    ///
    /// Texts have constants replaced by `$1`, but may still tell what somebody does.
    statement_texts: Switch = "PGPILOT_STATEMENT_TEXTS", "on", "off";

    /// After this time `/healthz` is healthy even if the server never came, so that nothing waits for ever.
    start_deadline: Period = "PGPILOT_START_DEADLINE", "60s", "2min";

    /// How long a connection may take to come about.
    connect_timeout: Period = "PGPILOT_CONNECT_TIMEOUT", "3s", "10s";

    /// How long a statement of ours may run.
    statement_timeout: Period = "PGPILOT_STATEMENT_TIMEOUT", "5s", "10s";

    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,pgpilot::apply=debug`.
    log: LogFilter = "PGPILOT_LOG", "info", "debug";

    /// How a line of the log is written: `text` for people, `json` for programs.
    log_format: LogFormat = "PGPILOT_LOG_FORMAT", "text", "json";

    /// Name of the role that `pgpilot setup` makes.
    role: Text = "PGPILOT_ROLE", "pgpilot", "pgpilot";

    /// Password that `pgpilot setup` gives that role.
    role_password: Option<Secret> = "PGPILOT_ROLE_PASSWORD", none, "secret", secret;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_environment_is_good_and_gives_the_defaults() {
        let config = read(&Given::default()).unwrap();
        assert_eq!(config.mode, Mode::Recommend);
        assert_eq!(config.listen.0[0].port, 9187);
    }

    #[test]
    fn every_bad_option_is_reported_at_once_with_its_value_and_a_good_one() {
        let given =
            Given::of([("PGPILOT_MODE", "yolo"), ("PGPILOT_MEMORY", "8"), ("PGPILOT_PLAN_EVERY", "0s")]);
        let bad = read(&given).unwrap_err();
        let text: Vec<_> = bad.iter().map(ToString::to_string).collect();
        assert_eq!(bad.len(), 3, "{text:?}");
        assert_eq!(
            text[0],
            "PGPILOT_MODE: `yolo` is not one of observe, recommend, apply; for example PGPILOT_MODE=apply"
        );
        assert!(text[1].contains("`8` is no size") && text[1].contains("PGPILOT_MEMORY=8GB"), "{}", text[1]);
    }

    #[test]
    fn an_empty_variable_is_not_given() {
        assert_eq!(read(&Given::of([("PGPILOT_MODE", " ")])).unwrap().mode, Mode::Recommend);
    }

    #[test]
    fn every_row_is_described_and_its_default_and_example_can_be_read() {
        for doc in OPTIONS {
            assert!(doc.summary().ends_with('.'), "{}: the summary is a sentence", doc.name);
            assert!(doc.name.starts_with("PGPILOT_") || doc.name.starts_with("PG"), "{}", doc.name);
            let with_example = Given::of([(doc.name, doc.example)]);
            assert!(read(&with_example).is_ok(), "{}: the example is good", doc.name);
        }
        let mut names: Vec<_> = OPTIONS.iter().map(|doc| doc.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OPTIONS.len(), "no name twice");
    }
}
