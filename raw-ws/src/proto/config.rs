//! The limits and deadlines of a connection.

use std::time::Duration;

use crate::vocabulary::message::MessageKind;

/// What a connection allows its peer, and how long it waits for it: one plain struct, read as
/// data, written as a sentence.
///
/// Every limit is on by default, and safe for a server in the open.
///
/// ```
/// use raw_ws::Config;
/// let config = Config::new().max_message_size(1 << 20).keep_alive_interval(None);
/// assert_eq!(config.max_message_size, 1 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The largest frame taken, in bytes of payload; 64 KiB by default, always below 4 GiB. A
    /// larger one is refused by its header alone, with 1009. More costs up to twice as much memory per connection.
    pub max_frame_size: usize,
    /// The largest message taken, in bytes after inflating; 64 KiB by default. Over it: 1009.
    pub max_message_size: usize,
    /// The most frames one message may come in; 128 by default. Over it: 1008. Each fragment
    /// costs work whatever its size, so a limit in bytes alone leaves empty ones free.
    pub max_fragments: usize,
    /// The time from a message's first byte to its last; 30 s by default. Over it: 1008.
    pub message_timeout: Duration,
    /// Pings, pongs and closes taken per second in the long run; 100 by default. Over it: 1008.
    pub control_frames_per_second: u32,
    /// Control frames taken at once; 200 by default.
    pub control_frame_burst: u32,
    /// The kind of messages taken; `None`, the default, is both. The other kind is refused: 1003.
    pub only: Option<MessageKind>,
    /// Bytes that may wait in the queue of a [`Sender`](crate::Sender), or fed and not flushed;
    /// 256 KiB by default. A `Sender` that goes over cuts the connection as a slow consumer.
    ///
    /// A full queue is first written from the sender's side. Over TLS only the connection's own
    /// task can write it: a publisher there must let other tasks run, at least as often as it
    /// fills a queue, or it cuts peers that read.
    pub max_queued_bytes: usize,
    /// Messages that may wait in the queue of a [`Sender`](crate::Sender); 1,024 by default.
    pub max_queued_messages: usize,
    /// Bytes that the kernel takes for a peer ahead of what the network takes from it; 32 KiB by
    /// default, and `None` for as many as the system likes, which may be megabytes for each peer that
    /// does not read. The kernel rounds up: its share of a connection stays below twice as much and
    /// 32 KiB more.
    ///
    /// This is `TCP_NOTSENT_LOWAT`. What is on its way to the peer is not counted, so a fast one at the
    /// end of a long path is as fast as before (`SO_SNDBUF` would hold it down); its connection's task
    /// is woken more often, for every 16 KiB. Known on Linux and Android; elsewhere nothing happens.
    pub kernel_queue_bytes: Option<u32>,
    /// How long the peer may take nothing while something waits for it; 10 s by default. Then it
    /// is cut as a slow consumer, and what it has not taken is forgotten.
    ///
    /// Its system takes much for a peer that reads nothing. So one that is written between 1 and 20 KiB,
    /// and says nothing for a second, is pinged, and is cut as well if it has not answered in this time:
    /// of more its system soon takes nothing. Without `keep_alive_interval` nobody is pinged.
    ///
    /// On Linux, what a peer's system acknowledges of what was written before counts as taken, too.
    ///
    /// Over TLS what counts as taken is what the TLS layer takes, which holds up to 64 KiB. The
    /// last bytes of a burst count once all are gone: a peer must take those 64 KiB in this time.
    pub progress_timeout: Duration,
    /// Bytes of unfinished messages that all connections of the process may hold together; 256 MiB
    /// by default. The connection that would go over it is closed with 1013, try again later.
    pub max_unfinished_bytes: usize,
    /// Silence after which the peer is pinged; 15 s by default, `None` for never.
    pub keep_alive_interval: Option<Duration>,
    /// How long after a ping the peer may stay silent before the connection is over; 15 s by
    /// default, and 10 s more for each 20 KiB that it has to read first: who reads slowly is not dead.
    pub keep_alive_timeout: Duration,
    /// How long the peer may take to answer a Close; 5 s by default.
    pub close_timeout: Duration,
    /// What a peer's Close is answered with; its own code by default.
    pub close_answer: CloseAnswer,
    /// Compression; `None`, the default, for never. It costs a server CPU time and memory per
    /// message, and may leak secrets that are compressed next to a peer's own text (CRIME).
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub deflate: Option<crate::deflate::Deflate>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_frame_size: 64 * 1024,
            max_message_size: 64 * 1024,
            max_fragments: 128,
            message_timeout: Duration::from_secs(30),
            control_frames_per_second: 100,
            control_frame_burst: 200,
            only: None,
            max_queued_bytes: 256 * 1024,
            max_queued_messages: 1024,
            kernel_queue_bytes: Some(32 * 1024),
            progress_timeout: Duration::from_secs(10),
            max_unfinished_bytes: 256 * 1024 * 1024,
            keep_alive_interval: Some(Duration::from_secs(15)),
            keep_alive_timeout: Duration::from_secs(15),
            close_timeout: Duration::from_secs(5),
            close_answer: CloseAnswer::Echo,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }
}

impl Config {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    crate::setters::setters! {
        max_frame_size: usize,
        max_fragments: usize,
        message_timeout: Duration,
        max_queued_bytes: usize,
        max_queued_messages: usize,
        kernel_queue_bytes?: u32,
        progress_timeout: Duration,
        max_unfinished_bytes: usize,
        keep_alive_interval?: Duration,
        keep_alive_timeout: Duration,
        close_timeout: Duration,
        close_answer: CloseAnswer,
    }

    /// Sets [`max_message_size`](Self#structfield.max_message_size) in bytes, and with it
    /// [`max_frame_size`](Self#structfield.max_frame_size): a message may come in one frame.
    #[must_use]
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self.max_frame_size = bytes;
        self
    }

    /// Sets [`control_frames_per_second`](Self#structfield.control_frames_per_second) and
    /// [`control_frame_burst`](Self#structfield.control_frame_burst).
    #[must_use]
    pub fn control_frames(mut self, per_second: u32, burst: u32) -> Self {
        self.control_frames_per_second = per_second;
        self.control_frame_burst = burst;
        self
    }

    /// Sets [`only`](Self#structfield.only).
    #[must_use]
    pub fn only(mut self, kind: MessageKind) -> Self {
        self.only = Some(kind);
        self
    }

    /// Sets [`deflate`](Self#structfield.deflate); `None` for no compression.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    #[must_use]
    pub fn deflate(mut self, deflate: impl Into<Option<crate::deflate::Deflate>>) -> Self {
        self.deflate = deflate.into();
        self
    }
}

/// What to answer to a Close of the peer. A reason is never reflected.
///
/// ```
/// use raw_ws::{CloseAnswer, Config};
/// assert_eq!(Config::new().close_answer, CloseAnswer::Echo);
/// let config = Config::new().close_answer(CloseAnswer::Normal);
/// assert_eq!(config.close_answer, CloseAnswer::Normal);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CloseAnswer {
    /// The code that came, or none if none came: what RFC 6455 section 5.5.1 calls typical.
    #[default]
    Echo,
    /// 1000, whatever came: what clients of ASP.NET Core SignalR expect. One that sent no code
    /// would take an echo for an end without a code, 1005.
    Normal,
}
