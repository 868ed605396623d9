//! What stands between a wanted value and the server, each with a sentence that says what to do.

use super::draft::{Draft, same};
use super::inputs::{Inputs, Proposal};
use crate::model::facts::Hold;
use crate::model::plan::Block;
use crate::model::postgres::Override;

/// `pg_settings.source` of a value that no entry can outrank.
pub(super) const COMMAND_LINE: &str = "command line";

type Barrier = fn(&Draft<'_>, &Inputs<'_>) -> Option<(Block, String)>;

/// In the order in which they are told.
const BARRIERS: &[Barrier] = &[read_only, command_line, overridden, by_hand, no_right, vetoed, held];

/// The first thing that forbids a wanted value.
pub(super) fn first(draft: &Draft<'_>, inputs: &Inputs<'_>) -> Option<(Block, String)> {
    BARRIERS.iter().find_map(|barrier| barrier(draft, inputs))
}

fn read_only(_: &Draft<'_>, inputs: &Inputs<'_>) -> Option<(Block, String)> {
    let server = inputs.server;
    if let Some(why) = &server.managed {
        return Some((Block::ReadOnly, why.clone()));
    }
    if server.in_recovery {
        return Some((Block::ReadOnly, "the server is a replica: set it on the primary first".to_owned()));
    }
    let hidden = server.auto_conf.reason()?;
    Some((Block::NoRight, format!("entries cannot be told from defaults ({hidden}): run `pgpilot setup`")))
}

fn command_line(draft: &Draft<'_>, _: &Inputs<'_>) -> Option<(Block, String)> {
    let name = draft.knob.name;
    (draft.setting.source == COMMAND_LINE).then(|| {
        let line = format!("remove `-c {name}={}` from `command:` in the compose file", draft.in_force);
        (Block::CommandLine, format!("the command line wins: {line}"))
    })
}

fn overridden(draft: &Draft<'_>, inputs: &Inputs<'_>) -> Option<(Block, String)> {
    let name = draft.knob.name;
    let winner = inputs.server.overrides.iter().find(|other| other.name == name)?;
    (!inputs.policy.take_over.covers(name)).then(|| {
        let whose = owner(winner);
        (
            Block::Override,
            format!("{whose} has {} of its own; PGPILOT_TAKE_OVER={name} plans for the others", winner.value),
        )
    })
}

/// Whose own value it is.
pub(super) fn owner(winner: &Override) -> String {
    match (&winner.role, &winner.database) {
        (Some(role), Some(database)) => format!("role {role} in database {database}"),
        (Some(role), None) => format!("role {role}"),
        (None, Some(database)) => format!("database {database}"),
        (None, None) => "somebody".to_owned(),
    }
}

/// An entry that our journal did not write, or the lack of one that it did.
fn by_hand(draft: &Draft<'_>, inputs: &Inputs<'_>) -> Option<(Block, String)> {
    let name = draft.knob.name;
    let written = inputs.facts.ours.written.get(name).and_then(Option::as_deref);
    let told = match (inputs.server.entry(name), written) {
        (Some(entry), Some(ours)) if same(&draft.setting.parse(entry), &draft.setting.parse(ours)) => {
            return None;
        }
        (None, None) => return None,
        (Some(entry), _) => format!("{entry} in postgresql.auto.conf was set by hand"),
        (None, Some(ours)) => format!("somebody reset the {ours} that pgpilot had set"),
    };
    let hint = format!("{told}; PGPILOT_TAKE_OVER={name} hands it over");
    (!inputs.policy.take_over.covers(name)).then_some((Block::ByHand, hint))
}

fn no_right(draft: &Draft<'_>, inputs: &Inputs<'_>) -> Option<(Block, String)> {
    let (name, role) = (draft.knob.name, &inputs.server.role);
    let block = |sentence| Some((Block::NoRight, sentence));
    if !draft.knob.is_grantable() && !role.superuser {
        return block(by_superuser(draft));
    }
    if !role.may_alter(name) && inputs.server.major() < 15 {
        return block("before 15 only a superuser may: run `pgpilot setup`".to_owned());
    }
    if !role.may_alter(name) {
        return block(format!(
            "GRANT ALTER SYSTEM ON PARAMETER {name} TO {}, or run `pgpilot setup`",
            role.name
        ));
    }
    if !role.superuser && !role.may_reload {
        return block(format!(
            "GRANT EXECUTE ON FUNCTION pg_reload_conf() TO {}, or run `pgpilot setup`",
            role.name
        ));
    }
    None
}

/// The statement and the compose line for a value that is never granted.
fn by_superuser(draft: &Draft<'_>) -> String {
    let name = draft.knob.name;
    let Proposal::Set(value, _) = &draft.proposal else { return "needs a superuser".to_owned() };
    let sql = value.to_sql().unwrap_or_default();
    let line = value.to_string().replace(", ", ",");
    format!(
        "as superuser: ALTER SYSTEM SET {name} = {sql}; or in compose: command: postgres -c {name}={line}"
    )
}

fn vetoed(draft: &Draft<'_>, _: &Inputs<'_>) -> Option<(Block, String)> {
    draft.veto.clone()
}

fn held(draft: &Draft<'_>, inputs: &Inputs<'_>) -> Option<(Block, String)> {
    let name = draft.knob.name;
    let now = inputs.facts.at;
    let waits = |hold: &&Hold| hold.name == name && hold.until.is_none_or(|until| until > now);
    let hold = inputs.facts.ours.held.iter().find(waits)?;
    let until =
        hold.until.map_or_else(|| "until it is named".to_owned(), |until| format!("until {until:.0}"));
    let named = inputs.policy.named.iter().any(|named| named == name);
    (!named).then(|| (Block::Held, format!("taken back ({}), held {until}", hold.why)))
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Policy, TakeOver, plan};
    use super::super::testing::{dedicated, entry, in_force, postgres, server};
    use super::*;
    use crate::model::facts::{Facts, Media, Seen};
    use crate::model::plan::{Row, Verdict};
    use crate::model::setting::Value;
    use crate::model::units::Bytes;

    type Change = fn(&mut Facts);

    /// The row of a machine whose rule gives 4GB of shared_buffers, 30s of naptime and so on.
    fn row(name: &str, policy: &Policy, change: impl FnOnce(&mut Facts)) -> Row {
        let mut facts = dedicated(Bytes::gib(16), 8, Media::Nvme);
        change(&mut facts);
        plan(&facts, policy).unwrap().row(name).unwrap().clone()
    }

    fn ours(facts: &mut Facts, name: &str, text: &str, restarted: bool) {
        entry(facts, name, text, restarted);
        facts.ours.written.insert(name.to_owned(), Some(text.to_owned()));
    }

    fn own_value(facts: &mut Facts) {
        let role = Some("indexer".to_owned());
        let own =
            Override { name: "autovacuum_naptime".to_owned(), value: "5s".to_owned(), role, database: None };
        server(facts).overrides.push(own);
    }

    fn hold(facts: &mut Facts, until: Option<&str>) {
        let until = until.map(|text| text.parse().unwrap());
        let name = "autovacuum_naptime".to_owned();
        facts.ours.held.push(Hold { name, until, why: "rows per second fell".to_owned() });
    }

    /// (case, what happened before, verdict, reason where it matters) for autovacuum_naptime, whose rule gives 30s.
    const CASES: &[(&str, Change, &str, &str)] = &[
        ("a default", |_| (), "set", "a table that grows is looked at twice a minute"),
        (
            "a line of postgresql.conf",
            |f| in_force(f, "autovacuum_naptime", "10s", "configuration file"),
            "set",
            "",
        ),
        ("equal already", |f| in_force(f, "autovacuum_naptime", "30s", "configuration file"), "keep", ""),
        (
            "equal on the command line",
            |f| in_force(f, "autovacuum_naptime", "30s", "command line"),
            "keep",
            "",
        ),
        (
            "another on the command line",
            |f| in_force(f, "autovacuum_naptime", "10s", "command line"),
            "command_line",
            "the command line wins: remove `-c autovacuum_naptime=10s` from `command:` in the compose file",
        ),
        (
            "an entry by hand",
            |f| entry(f, "autovacuum_naptime", "10s", true),
            "by_hand",
            "10s in postgresql.auto.conf was set by hand; PGPILOT_TAKE_OVER=autovacuum_naptime hands it over",
        ),
        ("an entry by hand that is right", |f| entry(f, "autovacuum_naptime", "30s", true), "keep", ""),
        ("an entry of ours", |f| ours(f, "autovacuum_naptime", "10s", true), "set", ""),
        (
            "an entry of ours in another notation",
            |f| {
                entry(f, "autovacuum_naptime", "60", true);
                f.ours.written.insert("autovacuum_naptime".to_owned(), Some("1min".to_owned()));
            },
            "set",
            "",
        ),
        (
            "an entry of ours that somebody changed",
            |f| {
                entry(f, "autovacuum_naptime", "10s", true);
                f.ours.written.insert("autovacuum_naptime".to_owned(), Some("20s".to_owned()));
            },
            "by_hand",
            "",
        ),
        (
            "an entry of ours that somebody removed",
            |f| drop(f.ours.written.insert("autovacuum_naptime".to_owned(), Some("20s".to_owned()))),
            "by_hand",
            "somebody reset the 20s that pgpilot had set; PGPILOT_TAKE_OVER=autovacuum_naptime hands it over",
        ),
        (
            "one that we took back",
            |f| drop(f.ours.written.insert("autovacuum_naptime".to_owned(), None)),
            "set",
            "",
        ),
        (
            "a role's own value",
            own_value,
            "override",
            "role indexer has 5s of its own; PGPILOT_TAKE_OVER=autovacuum_naptime plans for the others",
        ),
        ("a replica", |f| server(f).in_recovery = true, "read_only", ""),
        (
            "a managed server",
            |f| server(f).managed = Some("allow_alter_system is off".to_owned()),
            "read_only",
            "allow_alter_system is off",
        ),
        ("an unreadable file", |f| server(f).auto_conf = Seen::Not("no right".to_owned()), "no_right", ""),
        (
            "a role without the right",
            |f| server(f).role.superuser = false,
            "no_right",
            "GRANT ALTER SYSTEM ON PARAMETER autovacuum_naptime TO postgres, or run `pgpilot setup`",
        ),
        (
            "such a role before 15",
            |f| {
                f.postgres = Seen::Now(postgres(14));
                server(f).role.superuser = false;
            },
            "no_right",
            "before 15 only a superuser may: run `pgpilot setup`",
        ),
        (
            "a granted role",
            |f| {
                server(f).role.superuser = false;
                server(f).role.may_set = vec!["autovacuum_naptime".to_owned()];
            },
            "set",
            "",
        ),
        (
            "one that may not reload",
            |f| {
                server(f).role.superuser = false;
                server(f).role.may_reload = false;
                server(f).role.may_set = vec!["autovacuum_naptime".to_owned()];
            },
            "no_right",
            "GRANT EXECUTE ON FUNCTION pg_reload_conf() TO postgres, or run `pgpilot setup`",
        ),
        ("held for a while", |f| hold(f, Some("2026-03-02T00:00:00Z")), "held", ""),
        (
            "held until named",
            |f| hold(f, None),
            "held",
            "taken back (rows per second fell), held until it is named",
        ),
        ("held long ago", |f| hold(f, Some("2026-02-01T00:00:00Z")), "set", ""),
        (
            "written, but another value in our session",
            |f| {
                ours(f, "autovacuum_naptime", "30s", true);
                in_force(f, "autovacuum_naptime", "10s", "configuration file");
            },
            "keep",
            "written: 30s; our session shows 10s",
        ),
    ];

    #[test]
    fn verdicts_on_a_setting_that_takes_a_reload() {
        for (case, change, want, why) in CASES {
            let row = row("autovacuum_naptime", &Policy::default(), change);
            let label = match row.verdict {
                Verdict::Block(block) => block.as_label(),
                Verdict::Set | Verdict::Keep | Verdict::Pending | Verdict::Wait => row.verdict.as_label(),
            };
            assert_eq!(label, *want, "{case}: {}", row.why);
            assert!(why.is_empty() || row.why == *why, "{case}: {}", row.why);
        }
    }

    #[test]
    fn a_person_can_hand_over_and_name() {
        let names = |name: &str| TakeOver::Names(vec![name.to_owned()]);
        let by_hand: Change = |f| entry(f, "autovacuum_naptime", "10s", true);
        let held: Change = |f| hold(f, None);
        let name = "autovacuum_naptime";
        let rows = [
            ("by hand, handed over", by_hand, names(name), vec![], Verdict::Set),
            ("by hand, all handed over", by_hand, TakeOver::All, vec![], Verdict::Set),
            ("by hand, another handed over", by_hand, names("jit"), vec![], Verdict::Block(Block::ByHand)),
            ("by hand, only named", by_hand, TakeOver::None, vec![name], Verdict::Block(Block::ByHand)),
            ("held, named", held, TakeOver::None, vec![name], Verdict::Set),
        ];
        for (case, change, take_over, named, want) in rows {
            let named = named.into_iter().map(ToOwned::to_owned).collect();
            let policy = Policy { take_over, named, ..Policy::default() };
            assert_eq!(row(name, &policy, change).verdict, want, "{case}");
        }
        let handed_over = Policy { take_over: TakeOver::All, ..Policy::default() };
        let role = row(name, &handed_over, own_value);
        assert_eq!(role.verdict, Verdict::Set);
        assert!(role.why.ends_with("; for role indexer its own 5s wins"), "{}", role.why);
    }

    #[test]
    fn verdicts_on_a_setting_that_takes_a_restart() {
        let rows: &[(&str, Change, Verdict)] = &[
            ("a default", |_| (), Verdict::Set),
            ("near enough", |f| in_force(f, "shared_buffers", "3900MB", "configuration file"), Verdict::Keep),
            ("not near enough", |f| in_force(f, "shared_buffers", "3GB", "configuration file"), Verdict::Set),
            ("written by us, waiting", |f| ours(f, "shared_buffers", "4GB", false), Verdict::Pending),
            (
                "written by hand, waiting, and right",
                |f| entry(f, "shared_buffers", "4GB", false),
                Verdict::Pending,
            ),
            ("written by us, in force", |f| ours(f, "shared_buffers", "4GB", true), Verdict::Keep),
            ("another one of ours waiting", |f| ours(f, "shared_buffers", "1GB", false), Verdict::Set),
        ];
        for (case, change, want) in rows {
            let row = row("shared_buffers", &Policy::default(), change);
            assert_eq!(row.verdict, *want, "{case}: {}", row.why);
        }
    }

    #[test]
    fn libraries_need_a_superuser_even_where_a_right_was_granted() {
        let row = row("shared_preload_libraries", &Policy::default(), |f| {
            server(f).role.superuser = false;
            server(f).role.may_set = vec!["shared_preload_libraries".to_owned()];
            in_force(f, "shared_preload_libraries", "timescaledb", "configuration file");
        });
        assert_eq!(row.verdict, Verdict::Block(Block::NoRight));
        assert_eq!(
            row.why,
            "as superuser: ALTER SYSTEM SET shared_preload_libraries = 'timescaledb', 'pg_stat_statements'; or in \
             compose: command: postgres -c shared_preload_libraries=timescaledb,pg_stat_statements"
        );
    }

    #[test]
    fn a_formulas_number_is_brought_into_bounds_and_a_persons_is_refused() {
        let narrow: Change = |f| {
            if let Some(setting) = server(f).settings.get_mut("autovacuum_vacuum_cost_limit") {
                setting.max = Some(500.0);
            }
        };
        let planned = row("autovacuum_vacuum_cost_limit", &Policy::default(), narrow);
        assert_eq!((planned.verdict, planned.planned), (Verdict::Set, Some(Value::Int(500))));
        let text = "[settings]\nautovacuum_vacuum_cost_limit = 900\nwal_compression = 'snappy'";
        let policy = Policy {
            profile: super::super::Choice::Custom,
            custom: Some(super::super::Custom::parse(text).unwrap()),
            ..Policy::default()
        };
        let refused = row("autovacuum_vacuum_cost_limit", &policy, narrow);
        assert_eq!(refused.verdict, Verdict::Block(Block::NotAccepted));
        assert_eq!(refused.why, "900 is outside of -1 to 500");
        let unknown = row("wal_compression", &policy, |_| ());
        assert!(
            unknown.why.starts_with("this server does not know snappy: it takes pglz"),
            "{}",
            unknown.why
        );
    }
}
