//! Files of the operator's pod.

use std::{io, path::Path};

use keyferry_core::SecretBytes;
use tokio::{
    fs::{File, metadata},
    io::AsyncReadExt,
};

/// Why a file is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// There is none.
    Absent,
    /// The operator may not.
    Denied,
    /// The system says no in some other way.
    Failed,
    /// It is a directory, a device or a pipe.
    Irregular,
    /// It holds more than 64 KiB, which no token and no key does.
    TooLong,
}

const LONGEST: usize = 64 << 10;

/// What is in the file at `path`, or at what it leads to. Devices and pipes, which never end, are not even opened.
pub async fn read(path: &Path) -> Result<SecretBytes, Unreadable> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Unreadable::Absent,
        io::ErrorKind::PermissionDenied => Unreadable::Denied,
        _ => Unreadable::Failed,
    };
    if !metadata(path).await.map_err(refused)?.is_file() {
        return Err(Unreadable::Irregular);
    }
    let file = File::open(path).await.map_err(refused)?;
    let mut bytes = Vec::new();
    file.take(LONGEST as u64 + 1).read_to_end(&mut bytes).await.map_err(refused)?;
    let bytes = SecretBytes::new(bytes);
    if bytes.len() > LONGEST { Err(Unreadable::TooLong) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path};

    use super::{LONGEST, Unreadable, read};

    #[tokio::test]
    async fn a_regular_file_is_read_through_links() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, link) = (dir.path().join("token"), dir.path().join("link"));
        fs::write(&file, "hunter2\n").expect("space");
        symlink(&file, &link).expect("a link");
        assert_eq!(read(&link).await, Ok("hunter2\n".into()));
    }

    #[tokio::test]
    async fn what_never_ends_or_is_too_long_is_not_read() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(read(dir.path()).await, Err(Unreadable::Irregular));
        assert_eq!(read(Path::new("/dev/zero")).await, Err(Unreadable::Irregular));
        assert_eq!(read(&dir.path().join("none")).await, Err(Unreadable::Absent));
        let long = dir.path().join("long");
        for (length, expected) in [(LONGEST, None), (LONGEST + 1, Some(Unreadable::TooLong))] {
            fs::write(&long, vec![b'x'; length]).expect("space");
            assert_eq!(read(&long).await.err(), expected);
        }
    }
}
