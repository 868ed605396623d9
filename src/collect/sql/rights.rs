//! What a role can lack beyond `pg_monitor`: how to see whether it has it, and the SQL that gives it.

/// A right that some collectors need.
#[derive(Debug, PartialEq, Eq)]
pub struct Right {
    /// Names it in `pgpilot_missing_privilege`.
    pub name: &'static str,
    /// A condition that holds when the role has it.
    pub(super) held: &'static str,
    /// The statement that gives it, with `{role}` in the role's place.
    grant: &'static str,
    /// What is seen with it: for people who wonder whether to give it.
    pub gives: &'static str,
}

impl Right {
    /// The statement that gives it to this role, which must be quoted.
    pub fn grant(&self, role: &str) -> String {
        self.grant.replace("{role}", role)
    }
}

/// Everything rests on this one: without it most collectors see less, and only those that would be refused declare it.
pub const MONITOR: Right = Right {
    name: "pg_monitor",
    held: "pg_has_role('pg_monitor', 'usage')",
    grant: "GRANT pg_monitor TO {role};",
    gives: "sessions, statements, sizes and the WAL folder of others",
};

/// `pg_sequences` and `pg_stats` do not refuse: they show an ordinary role fewer rows or NULL, which looks like health.
pub(super) const READ_ALL_DATA: Right = Right {
    name: "pg_read_all_data",
    held: "pg_has_role('pg_read_all_data', 'usage')",
    grant: "GRANT pg_read_all_data TO {role};",
    gives: "estimates of bloat, from column statistics, and how far sequences are used; it lets the role read every table",
};

/// The view alone is not enough: it runs its function as the caller.
pub(super) const FILE_SETTINGS: Right = Right {
    name: "pg_file_settings",
    held: "has_table_privilege('pg_file_settings', 'select') \
           and has_function_privilege('pg_show_all_file_settings()', 'execute')",
    grant: "GRANT SELECT ON pg_file_settings TO {role}; GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO {role};",
    gives: "mistakes in the configuration files, before the next restart finds them",
};

/// As [`FILE_SETTINGS`].
pub(super) const HBA_RULES: Right = Right {
    name: "pg_hba_file_rules",
    held: "has_table_privilege('pg_hba_file_rules', 'select') \
           and has_function_privilege('pg_hba_file_rules()', 'execute')",
    grant: "GRANT SELECT ON pg_hba_file_rules TO {role}; GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO {role};",
    gives: "mistakes in pg_hba.conf, before somebody is locked out",
};

/// All of them, the one that matters most first.
pub const RIGHTS: &[&Right] = &[&MONITOR, &FILE_SETTINGS, &HBA_RULES, &READ_ALL_DATA];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_names_the_role_everywhere() {
        for right in RIGHTS {
            let sql = right.grant("\"a role\"");
            assert!(sql.contains("\"a role\"") && !sql.contains('{') && sql.ends_with(';'), "{sql}");
        }
    }
}
