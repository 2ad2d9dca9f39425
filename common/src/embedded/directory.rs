//! The data directory: made for its owner alone, and locked so that two processes never share it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{EmbeddedError, FILE_NAME};

const LOCK_NAME: &str = "lock";
/// A process id in digits, with room to spare.
const PID_BYTES_MAX: u64 = 20;

pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    pub(super) fn lock(dir: &Path) -> Result<Self, EmbeddedError> {
        let failed = |path: &Path, source| EmbeddedError::Directory { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|source| failed(dir, source))?;
        let path = dir.join(LOCK_NAME);
        let mut lock = own_file(&path).map_err(|source| failed(&path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(EmbeddedError::Locked { dir: dir.to_owned(), pid: holder(&mut lock) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(&path, source)),
        }
        sign(&mut lock).map_err(|source| failed(&path, source))?;
        Ok(Self { path: dir.to_owned(), _lock: lock })
    }

    /// The database file, there already or made empty; its journal takes over its permissions.
    pub(super) fn database(&self) -> Result<PathBuf, EmbeddedError> {
        let path = self.path.join(FILE_NAME);
        own_file(&path).map_err(|source| EmbeddedError::Directory { path: path.clone(), source })?;
        Ok(path)
    }
}

fn own_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Writes who holds the lock, for whoever is refused.
fn sign(lock: &mut File) -> std::io::Result<()> {
    lock.set_len(0)?;
    lock.seek(SeekFrom::Start(0))?;
    write!(lock, "{}", std::process::id())
}

fn holder(lock: &mut File) -> String {
    let mut pid = String::new();
    let read = lock.take(PID_BYTES_MAX).read_to_string(&mut pid);
    if read.is_ok() && !pid.is_empty() { pid } else { "(unknown)".to_owned() }
}
