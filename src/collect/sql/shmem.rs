//! Shared memory by use.

use super::query::{MINUTE, Most, Query, Shape, Top, gauge, sql};
use super::rights::MONITOR;

/// 14 shows the view to superusers only, and later ones refuse it to ordinary roles.
pub(super) const SHMEM: Query = Query {
    name: "shmem_allocations",
    why: "What of the memory that the server took at its start is not shared_buffers.",
    needs: &[&MONITOR],
    sql: &[sql(
        15,
        "select coalesce(name, 'free') as name, sum(allocated_size) as bytes from pg_shmem_allocations group by 1",
    )],
    shape: Shape::Columns {
        labels: &["name"],
        columns: &[gauge(
            "bytes",
            "pg_shmem_allocated_bytes",
            "Shared memory by what it is for; `free` is not taken yet, `<anonymous>` has no name of its own.",
        )
        .since(15)],
    },
    top: Some(Top { most: Most::Fixed(15), by: &["bytes"], folds: &["name"] }),
    ..MINUTE
};
