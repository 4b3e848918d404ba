//! What the kernel is told of a TCP connection, and what it is asked.

use std::{
    num::NonZeroU32,
    sync::LazyLock,
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio::net::TcpStream;

use crate::clock::now;

/// How often it is worth asking the kernel.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Bounds what the kernel takes for a peer ahead of what the network takes; the system's own bound
/// is megabytes. What is on its way is not bounded by this.
///
/// Without effect where the system knows no such bound: outside Linux and Android.
pub(crate) fn limit_unsent(socket: &TcpStream, bytes: Option<u32>) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(bytes) = bytes {
        // A socket that refuses it is one that is gone.
        let _ = SockRef::from(socket).set_tcp_notsent_lowat(bytes.max(1));
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (socket, bytes);
}

/// Lets the kernel forget at the close what a peer has not taken. It would keep it for minutes
/// otherwise, for who reads nothing.
pub(crate) fn forget_at_close(socket: &TcpStream) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

/// Whether a peer's TCP acknowledges what it is sent: what it does not take may have been written
/// long ago, and may be too little to keep anybody from writing more.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Acknowledging {
    /// The bytes acknowledged so far, modulo 2³², when they were looked at last.
    bytes: u32,
    /// When it was first seen that they are no more although something waits; `None` while nothing
    /// does.
    since: Option<Tick>,
}

impl Acknowledging {
    /// Whether something has waited for so long while nothing was acknowledged.
    pub(crate) fn is_stuck(&self, at_most: Duration) -> bool {
        let now = Tick::now();
        self.since.is_some_and(|since| since.until(now) >= at_most)
    }

    /// Since when nothing was acknowledged, if that is known and something waits.
    pub(crate) fn nothing_since(&self) -> Option<Tick> {
        self.since
    }

    /// Looks how it is now: to be done every now and then.
    pub(crate) fn look(&mut self, socket: &TcpStream) {
        let Some(acknowledged) = acknowledged(socket) else {
            return;
        };
        if acknowledged.is_all {
            self.since = None;
        } else if self.since.is_none() || acknowledged.bytes != self.bytes {
            self.since = Some(Tick::now());
        }
        self.bytes = acknowledged.bytes;
    }
}

/// A moment, to the millisecond, in a quarter of the room: good for what is younger than 49 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tick(NonZeroU32);

impl Tick {
    pub(crate) fn now() -> Self {
        static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
        let milliseconds = now().duration_since(*FIRST).as_millis() as u32;
        Self(NonZeroU32::new(milliseconds).unwrap_or(NonZeroU32::MIN))
    }

    /// Whether it is so long since this was `true` last.
    pub(crate) fn is_due(last: &mut Option<Self>, every: Duration) -> bool {
        let now = Self::now();
        let is_due = last.is_none_or(|last| last.until(now) >= every);
        if is_due {
            *last = Some(now);
        }
        is_due
    }

    /// The time from this moment to a later one.
    fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.get().wrapping_sub(self.0.get()).into())
    }

    pub(crate) fn instant(self) -> Instant {
        let now = now();
        now.checked_sub(self.until(Self::now())).unwrap_or(now)
    }
}

struct Acknowledged {
    /// Modulo 2³².
    bytes: u32,
    /// Whether nothing waits to be sent or acknowledged.
    is_all: bool,
}

/// What the kernel knows; `None` where it does not tell.
#[cfg(target_os = "linux")]
fn acknowledged(socket: &TcpStream) -> Option<Acknowledged> {
    use nix::{getsockopt_impl, sockopt_impl, sys::socket::getsockopt};

    /// The part of `struct tcp_info` that ends with what is needed of it, in words.
    type Info = [u32; 38];
    const UNACKNOWLEDGED_SEGMENTS: usize = 6;
    const ACKNOWLEDGED_BYTES: usize = if cfg!(target_endian = "big") { 31 } else { 30 };
    const UNSENT_BYTES: usize = 36;
    sockopt_impl!(TcpInfo, GetOnly, libc::IPPROTO_TCP, libc::TCP_INFO, Info);

    if !*TELLS {
        return None;
    }
    let info = getsockopt(socket, TcpInfo).ok()?;
    Some(Acknowledged {
        bytes: info[ACKNOWLEDGED_BYTES],
        is_all: info[UNACKNOWLEDGED_SEGMENTS] == 0 && info[UNSENT_BYTES] == 0,
    })
}

/// Linux tells all of it since 4.6.
#[cfg(target_os = "linux")]
static TELLS: LazyLock<bool> = LazyLock::new(|| {
    let Ok(system) = nix::sys::utsname::uname() else {
        return false;
    };
    let release = system.release().to_string_lossy();
    let mut numbers = release
        .split(['.', '-'])
        .map(|number| number.parse::<u32>());
    matches!(
        (numbers.next(), numbers.next()),
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (4, 6)
    )
});

#[cfg(not(target_os = "linux"))]
fn acknowledged(_: &TcpStream) -> Option<Acknowledged> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use tokio::{
        io::AsyncReadExt as _,
        net::{TcpListener, TcpSocket},
        time::{advance, pause},
    };

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// The second has room for less than the first can have on its way, whenever that arrives.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpSocket::new_v4().unwrap();
        peer.set_recv_buffer_size(16 * 1024).unwrap();
        let peer = peer.connect(listener.local_addr().unwrap()).await;
        (listener.accept().await.unwrap().0, peer.unwrap())
    }

    /// Writes until the kernel takes no more. Gives how much it took.
    fn fill(socket: &TcpStream) -> usize {
        let mut taken = 0;
        while let Ok(written) = SockRef::from(socket).send(&[0; 1000]) {
            taken += written;
        }
        taken
    }

    #[tokio::test]
    async fn the_kernel_takes_little_for_a_peer_that_reads_nothing() {
        let (socket, _peer) = pair().await;
        limit_unsent(&socket, Some(32 * 1024));
        assert!(fill(&socket) < 512 * 1024);
        let (free, _peer) = pair().await;
        assert!(fill(&free) > 512 * 1024, "it was little all the same");
    }

    #[tokio::test]
    async fn who_acknowledges_nothing_is_stuck() {
        let (socket, _peer) = pair().await;
        pause();
        let mut acknowledging = Acknowledging::default();
        acknowledging.look(&socket);
        fill(&socket);
        for _ in 0..10 {
            acknowledging.look(&socket);
            assert!(!acknowledging.is_stuck(PATIENCE));
            advance(PATIENCE / 10).await;
        }
        acknowledging.look(&socket);
        assert!(acknowledging.is_stuck(PATIENCE));
    }

    #[tokio::test]
    async fn who_acknowledges_a_part_now_and_then_is_not() {
        let (socket, mut peer) = pair().await;
        pause();
        let mut acknowledging = Acknowledging::default();
        let begun = Tick::now();
        for _ in 0..10 {
            fill(&socket);
            advance(PATIENCE * 8 / 10).await;
            acknowledging.look(&socket);
            assert!(!acknowledging.is_stuck(PATIENCE));
            let mut some = vec![0; 64 * 1024];
            peer.read_exact(&mut some).await.unwrap();
        }
        let since = acknowledging.nothing_since().unwrap();
        assert!(begun.until(since) > 7 * PATIENCE, "{since:?}");
    }

    #[tokio::test]
    async fn who_has_nothing_to_acknowledge_is_not() {
        let (socket, _peer) = pair().await;
        pause();
        let mut acknowledging = Acknowledging::default();
        acknowledging.look(&socket);
        advance(3 * PATIENCE).await;
        socket.try_write(b"small").unwrap();
        acknowledging.look(&socket);
        assert!(!acknowledging.is_stuck(PATIENCE));
    }
}
