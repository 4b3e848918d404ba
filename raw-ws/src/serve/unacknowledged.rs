//! The deadline for what a client's TCP must acknowledge, as the kernel is told of it.

use std::{io, time::Duration};

use tokio::{net::TcpStream, time::Instant};

use crate::{
    events,
    extensions::ack_deadline::AckDeadline,
    stream::tcp::{self, Acknowledging, LOOK_EVERY, Tick},
};

/// Who is written more in so much time may be slow, and not gone: the kernel takes a reader whose
/// buffer stays full for one that acknowledges nothing. It is looked at from here alone, then.
const MUCH: usize = 16 * 1024;
const LATELY: Duration = Duration::from_secs(60);

/// What the kernel knows of a connection's deadline.
pub(super) struct Unacknowledged {
    wanted: AckDeadline,
    applied: Option<Duration>,
    /// Bytes written since then, while there is a deadline.
    written: usize,
    since: Instant,
    acknowledging: Acknowledging,
    looked: Option<Tick>,
}

impl Unacknowledged {
    pub(super) fn new(wanted: AckDeadline) -> Self {
        Self {
            wanted,
            applied: None,
            written: 0,
            since: Instant::now(),
            acknowledging: Acknowledging::default(),
            looked: None,
        }
    }

    /// So many bytes are about to be written.
    ///
    /// # Errors
    /// Nothing was acknowledged until the deadline.
    pub(super) fn writes(&mut self, bytes: usize, socket: &TcpStream) -> io::Result<()> {
        let wanted = self.wanted.get();
        if wanted.is_none() && self.applied.is_none() {
            return Ok(());
        }
        if Tick::is_due(&mut self.looked, LOOK_EVERY) {
            self.acknowledging.look(socket);
        }
        if wanted.is_some_and(|deadline| self.acknowledging.is_stuck(deadline)) {
            tcp::forget_at_close(socket);
            events::slow_consumer();
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.since.elapsed() >= LATELY {
            self.written = 0;
            self.since = Instant::now();
        }
        self.written = self.written.saturating_add(bytes);
        let deadline = wanted.filter(|_| self.written < MUCH);
        if deadline != self.applied {
            apply(deadline, socket);
            self.applied = deadline;
        }
        Ok(())
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn apply(deadline: Option<Duration>, socket: &TcpStream) {
    // A socket that refuses it is one that is gone.
    let _ = socket2::SockRef::from(socket).set_tcp_user_timeout(deadline);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn apply(_: Option<Duration>, _: &TcpStream) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use socket2::SockRef;
    use tokio::{
        net::TcpListener,
        time::{advance, pause},
    };

    use super::*;

    #[tokio::test]
    async fn the_kernel_knows_the_deadline_while_little_is_written() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (socket, _) = listener.accept().await.unwrap();
        pause();
        let wanted = AckDeadline::default();
        let mut unacknowledged = Unacknowledged::new(wanted.clone());
        let mut after_writing = |bytes| {
            unacknowledged.writes(bytes, &socket).unwrap();
            SockRef::from(&socket).tcp_user_timeout().unwrap()
        };
        let deadline = Some(Duration::from_secs(15));
        assert_eq!(after_writing(100), None);
        wanted.set(deadline);
        assert_eq!(after_writing(100), deadline);
        assert_eq!(after_writing(16_000), deadline);
        assert_eq!(after_writing(1_000), None, "it may be slow");
        assert_eq!(after_writing(100), None);
        advance(LATELY).await;
        assert_eq!(after_writing(100), deadline);
        wanted.set(None);
        assert_eq!(after_writing(100), None);
    }
}
