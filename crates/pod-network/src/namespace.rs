//! Running a closure inside another network namespace, on a thread that ends with it.

use std::{fs::File, path::Path, thread};

use nix::sched::{CloneFlags, setns};

use crate::Error;

/// Runs `work` on a fresh thread that has entered the network namespace at `path`.
///
/// A thread's namespaces cannot be restored reliably when something fails half-way, so the thread is never
/// reused. Blocks until `work` returns.
pub(crate) fn run_in<T: Send>(
    path: &Path,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let file = File::open(path).map_err(Error::path("open the network namespace", path))?;
    on_own_thread(move || {
        setns(&file, CloneFlags::CLONE_NEWNET)
            .map_err(|errno| Error::path("enter the network namespace", path)(errno.into()))?;
        work()
    })
}

/// Runs `work` on a fresh thread and waits for it.
pub(crate) fn on_own_thread<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let handle = thread::Builder::new()
            .name("namespace".to_owned())
            .spawn_scoped(scope, work)
            .map_err(Error::system("start a thread"))?;
        handle.join().unwrap_or(Err(Error::Panicked))
    })
}

/// Runs blocking `work` away from the runtime's workers.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Panicked))
}
