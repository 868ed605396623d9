//! Mistakes in the configuration files, which are felt at the next restart.

use super::query::{MINUTE, Most, Query, Shape, Top, gauge, sql};
use super::rights::{FILE_SETTINGS, HBA_RULES};

/// A value that waits for a restart is an "error" of this view too, and none of ours; so is one without a file, which
/// tells of an entry that went away.
pub(super) const FILE_ERRORS: Query = Query {
    name: "file_settings_errors",
    why: "A server with a line that it cannot read does not come up again.",
    needs: &[&FILE_SETTINGS],
    sql: &[sql(
        14,
        "with bad as (select sourcefile, coalesce(name, '') as name, count(*) as errors from pg_file_settings f \
         where error is not null and sourcefile is not null and not exists (select from pg_settings s \
         where s.name = lower(f.name) and s.pending_restart) group by 1, 2) \
         select sourcefile, name, errors, (select coalesce(sum(errors), 0) from bad) as total \
         from (values (1)) as always left join bad on true",
    )],
    shape: Shape::Columns {
        labels: &["sourcefile", "name"],
        columns: &[
            gauge(
                "errors",
                "pg_file_settings_errors",
                "Lines that the server could not take, by file and setting.",
            ),
            gauge("total", "pg_file_settings_bad_lines", "Lines that the server could not take.")
                .only(&[])
                .max(),
        ],
    },
    top: Some(Top { most: Most::Fixed(20), by: &["errors"], folds: &["sourcefile", "name"] }),
    ..MINUTE
};

pub(super) const HBA: Query = Query {
    name: "hba_file_errors",
    why: "With a line that cannot be read, the file is not taken, and at a restart nobody gets in.",
    needs: &[&HBA_RULES],
    sql: &[sql(14, "select count(*) filter (where error is not null) as errors from pg_hba_file_rules")],
    shape: Shape::Columns {
        labels: &[],
        columns: &[gauge(
            "errors",
            "pg_hba_file_errors",
            "Lines of pg_hba.conf that the server cannot read.",
        )],
    },
    ..MINUTE
};
