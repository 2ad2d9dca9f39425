//! Connections that read beside the writer, used from the runtime's blocking threads. How many is a limit.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::failure::Failure;
use super::schema;

pub(super) struct Readers {
    free: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path, count: usize) -> rusqlite::Result<Self> {
        let count = count.max(1);
        let free = (0..count).map(|_| schema::open_for_reading(path)).collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(Self { free: Mutex::new(free), permits: Arc::new(Semaphore::new(count)) })
    }

    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("nobody closes the semaphore");
        let readers = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            let db = readers.lock().pop().expect("a permit stands for a free connection");
            let result = work(&db);
            readers.lock().push(db);
            drop(permit);
            result
        });
        reading.await.unwrap_or_else(|_| Err(Failure::closed()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.free.lock().expect("no code panics while it holds the free connections")
    }
}
