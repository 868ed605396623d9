//! What people see: plain text, coloured only on a terminal, and errors as one chain with what to do.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

pub(super) use crate::model::error::chain;
use crate::model::plan::Verdict;

/// Prints to standard output. A reader that goes away early, such as `head`, is no error.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints a value as JSON.
pub(super) fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => say(&text),
        Err(error) => problem(&format!("writing JSON: {error}"), None),
    }
}

/// Prints an error to standard error, and below it what can be done about it.
pub(super) fn problem(text: &str, hint: Option<&str>) {
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "pgpilot: {text}");
    if let Some(hint) = hint {
        let _ = writeln!(stderr, "  → {hint}");
    }
}

pub(super) fn clap(error: &clap::Error) {
    let _ = error.print();
}

/// Colours the first word of a plan's rows on a terminal, unless NO_COLOR asks for none.
pub(super) fn coloured(text: &str) -> String {
    if !io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return text.to_owned();
    }
    text.lines().map(|line| colour_line(line) + "\n").collect()
}

/// ANSI colours: green is to be done, yellow waits, red is blocked, grey is as it should be.
const COLOURS: &[(Verdict, &str)] =
    &[(Verdict::Set, "32"), (Verdict::Pending, "33"), (Verdict::Wait, "33"), (Verdict::Keep, "90")];

fn colour_line(line: &str) -> String {
    let word = line.split_whitespace().next().unwrap_or_default();
    let known = COLOURS.iter().find(|(verdict, _)| verdict.as_label() == word).map(|(_, code)| *code);
    match known.or((word == "block").then_some("31")) {
        Some(code) if line.starts_with(' ') => line.replacen(word, &format!("\x1b[{code}m{word}\x1b[0m"), 1),
        _ => line.to_owned(),
    }
}

/// Asks for a yes on a terminal.
///
/// # Errors
/// With a sentence, when there is nobody to ask.
pub(super) fn confirm(question: &str) -> Result<bool, &'static str> {
    if !io::stdin().is_terminal() {
        return Err("there is no terminal to ask on; say --yes to go on without asking");
    }
    let _ = write!(io::stdout().lock(), "{question} [y/N] ");
    let _ = io::stdout().flush();
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}
