//! A plan as text for people.

use std::fmt;

use crate::model::plan::{Plan, Row, Verdict};
use crate::model::setting::Context;

/// What is to be done comes first, what is good as it is last.
fn rank(row: &Row) -> u8 {
    match row.verdict {
        Verdict::Set if row.context == Context::Restart => 1,
        Verdict::Set => 0,
        Verdict::Pending => 2,
        Verdict::Block(_) => 3,
        Verdict::Wait => 4,
        Verdict::Keep => 5,
    }
}

/// `{}` folds the settings that stay as they are into one line; `{:#}` shows each with its reason.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", heading(self))?;
        let whole = f.alternate();
        let folded = |row: &&Row| !whole && row.verdict == Verdict::Keep;
        let mut rows: Vec<&Row> = self.rows.iter().filter(|row| !folded(row)).collect();
        rows.sort_by_key(|row| rank(row));
        let lines: Vec<[String; 5]> = rows.iter().map(|row| cells(row)).collect();
        for line in &lines {
            writeln!(f, "  {}", aligned(line, &lines))?;
        }
        let kept: Vec<&str> = self.rows.iter().filter(folded).map(|row| row.name.as_str()).collect();
        if !kept.is_empty() {
            writeln!(f, "{}", wrapped("  keep     ", &kept))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  note     {note}"))
    }
}

fn heading(plan: &Plan) -> String {
    let budget = &plan.budget;
    let cpus = budget.cpus.map_or_else(String::new, |cpus| format!(", {cpus} CPUs"));
    format!(
        "plan for postgres {}, {} budget ({}){cpus}, profile {}: at most {} of {} used",
        plan.server,
        budget.memory.about(),
        budget.how,
        plan.profile,
        budget.planned.about(),
        budget.limit.about(),
    )
}

fn cells(row: &Row) -> [String; 5] {
    let change = match &row.planned {
        Some(planned) if row.verdict != Verdict::Keep && *planned != row.current => {
            format!("{} → {}", row.current.shown(), planned.shown())
        }
        _ => row.current.shown(),
    };
    let context = if row.verdict == Verdict::Keep { "–" } else { row.context.as_label() };
    [row.verdict.as_label().to_owned(), row.name.clone(), change, context.to_owned(), row.why.clone()]
}

/// A line with each cell but the last as wide as the widest of its column.
fn aligned(line: &[String; 5], all: &[[String; 5]]) -> String {
    let width = |column: usize| all.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
    let cells = line.iter().enumerate().map(|(column, cell)| match column {
        0 => format!("{cell:<7}"),
        4 => cell.clone(),
        _ => format!("{cell:<0$}", width(column)),
    });
    cells.collect::<Vec<_>>().join("  ")
}

/// Names in lines of at most 110 characters, hanging below the label.
fn wrapped(label: &str, names: &[&str]) -> String {
    let mut lines = vec![label.to_owned()];
    for (n, name) in names.iter().enumerate() {
        let comma = if n + 1 < names.len() { ", " } else { "" };
        let full = lines.last().is_some_and(|line| line.chars().count() + name.len() > 108);
        if full {
            lines.push(" ".repeat(label.chars().count()));
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(name);
            line.push_str(comma);
        }
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}
