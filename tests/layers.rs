//! Imports point one way, and the deciding layers touch nothing.

use std::path::{Path, PathBuf};

/// What a module may import besides itself, the standard library and crates.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("config", &["model"]),
    ("tune", &["model"]),
    ("lifecycle", &["model"]),
    ("client", &["model", "config"]),
    ("collect", &["model", "client"]),
    ("apply", &["model", "client", "config", "lifecycle"]),
    ("loops", &["model", "client", "collect", "apply", "tune", "lifecycle", "serve"]),
    ("serve", &["model", "client", "collect", "tune"]),
];

/// What would make a decision depend on more than its arguments.
const PURE: &[&str] = &["model", "config", "tune", "lifecycle"];
const BANNED: &[&str] = &[
    "tokio::",
    "tokio_postgres",
    "reqwest::",
    "hyper::",
    "rusqlite::",
    "std::fs",
    "std::env",
    "std::net::Tcp",
    "::now()",
    "async fn",
];

/// Each of these crates has one home, so that it can be replaced and found.
const HOMES: &[(&str, &[&str])] = &[
    ("tokio_postgres::", &["src/client/"]),
    ("reqwest::", &["src/client/http.rs"]),
    ("hyper::", &["src/serve/"]),
    ("prometheus_client::", &["src/serve/"]),
    ("rusqlite::", &["src/apply/journal.rs"]),
    ("sysinfo::", &["src/collect/"]),
    ("envy::", &["src/config/table.rs"]),
    ("clap::", &["src/cli/", "src/docs.rs"]),
    ("saphyr_parser::", &["src/serve/web_config/yaml.rs"]),
    ("x509_cert::", &["src/serve/web_config/client_auth.rs"]),
    ("bcrypt::", &["src/serve/web_config/users.rs", "src/serve/guard/proof.rs"]),
    ("tokio_rustls::", &["src/client/https.rs", "src/serve/secure.rs"]),
];

fn rust_files(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
    let mut files = vec![];
    for entry in entries {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}

/// The file without its tests and without comments.
fn product_code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a source can be read");
    let product = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    product.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn module_files(module: &str) -> Vec<PathBuf> {
    rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module))
}

#[test]
fn imports_point_down_only() {
    let modules = MAY_IMPORT.iter().map(|(module, _)| *module).chain(["app", "cli", "docs"]);
    for (module, allowed) in MAY_IMPORT {
        for file in module_files(module) {
            let code = product_code(&file);
            for other in modules.clone().filter(|other| other != module && !allowed.contains(other)) {
                let named = code.contains(&format!("crate::{other}::"))
                    || code.contains(&format!("crate::{{{other}"));
                assert!(!named, "{}: `{module}` may not import `{other}`", file.display());
            }
        }
    }
}

#[test]
fn deciding_layers_touch_nothing() {
    for file in PURE.iter().flat_map(|module| module_files(module)) {
        let code = product_code(&file);
        for banned in BANNED {
            assert!(!code.contains(banned), "{} uses `{banned}`", file.display());
        }
    }
}

#[test]
fn crates_stay_at_home() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in rust_files(&root.join("src")) {
        let (code, path) =
            (product_code(&file), file.strip_prefix(root).expect("below the root").display().to_string());
        for (name, homes) in HOMES {
            let at_home = homes.iter().any(|home| path.starts_with(home));
            assert!(at_home || !code.contains(name), "{path} uses `{name}`, whose home is {homes:?}");
        }
    }
}

#[test]
fn files_are_short() {
    // Tables and their rows may be longer.
    let tables = ["src/config/options.rs", "src/tune/knobs.rs"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in rust_files(&root.join("src")) {
        let path = file.strip_prefix(root).expect("below the root").display().to_string();
        let lines = std::fs::read_to_string(&file).expect("a source can be read").lines().count();
        assert!(lines <= 500 || tables.contains(&path.as_str()), "{path} has {lines} lines");
    }
}
