//! A socket whose thread never sleeps: on a virtual machine, waking a core may take ten times as long
//! as what is measured.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// A socket that does not block, tried until it has something or takes something.
pub(crate) struct Awake(pub(crate) TcpStream);

impl Read for Awake {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        until_ready(|| self.0.read(buffer))
    }
}

impl Write for Awake {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        until_ready(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn until_ready(mut attempt: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    let mut end = None;
    loop {
        match attempt() {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                let end = *end.get_or_insert_with(|| Instant::now() + PATIENCE);
                if Instant::now() > end {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            result => return result,
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
