//! Size and free space of a file system that we can see ourselves: PostgreSQL has no SQL for it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{major, minor, statvfs};

use crate::model::units::Bytes;

/// What statvfs and stat say of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    pub device: (u32, u32),
    pub size: Bytes,
    /// What a process without privileges may still write.
    pub free: Bytes,
}

/// A share whose server is gone lets statvfs wait for ever.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks at a folder, on a thread of its own since it may hang.
pub async fn look(path: &Path) -> Result<Space, String> {
    let owned = path.to_owned();
    let looking = tokio::task::spawn_blocking(move || look_now(&owned));
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(Ok(found)) => found.map_err(|error| format!("{}: {error}", path.display())),
        Ok(Err(_)) => Err(format!("{}: the look was broken off", path.display())),
        Err(_) => Err(format!("{}: the file system does not answer within {PATIENCE:?}", path.display())),
    }
}

fn look_now(path: &PathBuf) -> std::io::Result<Space> {
    let device = std::fs::metadata(path)?.dev();
    let found = statvfs(path)?;
    Ok(Space {
        device: (major(device), minor(device)),
        size: Bytes(found.f_blocks.saturating_mul(found.f_frsize)),
        free: Bytes(found.f_bavail.saturating_mul(found.f_frsize)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_folder_has_room_and_a_missing_one_a_reason() {
        let space = look(Path::new("/")).await.unwrap();
        assert!(space.size > space.free && space.free.0 > 0, "{space:?}");
        assert!(look(Path::new("/no/such/folder")).await.unwrap_err().contains("/no/such/folder"));
    }
}
