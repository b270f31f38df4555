//! File descriptors that the parent process left open under agreed numbers.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Mutex;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// Numbers that were handed out already; each has one owner.
static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// Takes over the file descriptor `number` that the parent process left open.
///
/// To be called at the start of `main`, before anything else opens files: whatever is open under that number then
/// is the inherited one. It is not passed on to children.
///
/// # Errors
/// When the number is not open, is one of the standard streams, or was taken before.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{number} is a standard stream")));
    }
    let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if taken.contains(&number) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{number} was taken already")));
    }
    // SAFETY: the descriptor is only borrowed for the call, which tells EBADF when it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    taken.push(number);
    // SAFETY: it is open, as the call above has shown, and `TAKEN` sees to it that it gets no second owner here.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::IntoRawFd;

    #[test]
    fn an_open_descriptor_is_taken_once() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let number = writer.into_raw_fd();
        let mut taken = std::fs::File::from(take(number).unwrap());
        assert!(take(number).is_err());
        taken.write_all(b"x").unwrap();
        drop(taken);
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, "x");
    }

    #[test]
    fn closed_descriptors_and_standard_streams_are_refused() {
        assert!(take(1).is_err());
        assert_eq!(take(9999).unwrap_err().raw_os_error(), Some(nix::libc::EBADF));
    }
}
