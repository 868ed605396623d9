# `just` lists these. ./check does all that CI does; the others are its parts, for the middle of the work.

version := `sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1`

[private]
default:
    @just --list --unsorted

# Everything that can be checked on this machine, with what the tests need fetched first
check:
    ./check

# Tests only; a name selects: just test planner
test *filter:
    cargo nextest run --locked {{ filter }}

# Format, and warnings as errors
lint:
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings

# Write the generated pages again
docs:
    cargo run --quiet --locked -- docs --write

# Build the image, labelled and tagged with the version of Cargo.toml
image:
    docker build --build-arg VERSION={{ version }} -t pgpilot:{{ version }} -t pgpilot:local .

# pgpilot at work on a scratch server, until Ctrl-C; just try --once stops after a scrape
try *arguments:
    ./try {{ arguments }}

# The figures in the README
bench:
    benches/figures

# A scrape next to postgres_exporter's and pg_exporter's; just bench-scrape --short is enough to try it
bench-scrape *arguments:
    benches/scrape {{ arguments }}
