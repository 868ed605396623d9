-- Statement statistics, for pgpilot's collectors. The library itself is preloaded by the command line of compose.yaml.
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
