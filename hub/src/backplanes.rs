//! What carries messages between the servers of a hub: bytes on named channels, nothing more.
//!
//! What the channels are called and what the bytes mean is the same for every backplane and stands
//! in `reach::cluster`; a backplane passes them on. Begin here; then [`in_process`], the smallest
//! one, and `redis`.

pub(crate) mod in_process;
#[cfg(feature = "redis")]
pub(crate) mod redis;

use std::{error::Error, fmt, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

/// Carries messages between the servers of a hub, so that many are as one: publish and subscribe, by
/// the names of channels.
///
/// [`InProcess`](crate::backplane::InProcess) and `Redis` (with the feature of that name) are such;
/// another is written with this trait and [`Link`], and tested with
/// [`conformance`](crate::backplane::conformance) (feature `testing`). What it must hold:
///
/// - What one server publishes on one channel arrives everywhere in the order in which it was
///   published, each once at most, at the publishing server too if it subscribes to the channel.
/// - All that one server publishes, on whatever channels, is seen by all in that order.
/// - It may lose messages, and then says so with [`Arrivals::interrupted`] or
///   [`Arrivals::doubtful`].
///
/// ```
/// use hub::{Hub, backplane::InProcess};
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let between = InProcess::new();
/// let one: Hub = Hub::new(()).backplane(between.clone());
/// let other: Hub = Hub::new(()).backplane(between);
/// one.handle().all().send("Tick", (1,))?; // clients of both get it
/// # Ok::<(), hub::HubError>(())
/// # }).unwrap();
/// ```
pub trait Backplane: Send + Sync + 'static {
    /// What the names of all channels of the hub begin with, some of them behind two underscores: hubs
    /// of another prefix hear nothing of it. The full .NET name of the hub's class where servers of
    /// ASP.NET Core take part (RD-01).
    fn channel_prefix(&self) -> &str;

    /// Joins the other servers, and says so with [`Arrivals::resumed`] once they are in reach. From
    /// here on what comes on the channels that the link subscribes to is given to `arrivals`, from
    /// whatever task or thread, one after the other. The link is left by dropping it.
    ///
    /// Called once for each hub, within a tokio runtime.
    fn join(&self, arrivals: Arrivals) -> Arc<dyn Link>;
}

/// One hub's end of a [`Backplane`].
pub trait Link: Send + Sync + 'static {
    /// Hands a message over. Never waits: what cannot leave at once is kept, up to a bound.
    ///
    /// # Errors
    /// [`PublishError`] when the bound is met. Nothing is published then.
    fn publish(&self, publication: Publication) -> Result<(), PublishError>;

    /// Asks for what is published on a channel, from about now on. Never waits; what is not done
    /// because the backplane is away is done when it is back.
    fn subscribe(&self, channel: &str);

    /// Wants no more of a channel. Never waits.
    fn unsubscribe(&self, channel: &str);

    /// Waits until every [`subscribe`](Self::subscribe) and [`unsubscribe`](Self::unsubscribe) before
    /// this call has taken effect: what is published after it arrives.
    ///
    /// # Errors
    /// [`Away`] when the backplane cannot be reached, at once or before that is so.
    fn settled(&self) -> BoxFuture<'static, Result<(), Away>>;

    /// How many servers subscribe to a channel; `None` where a backplane cannot know, or is away.
    fn subscribers(&self, channel: &str) -> BoxFuture<'static, Option<u64>>;
}

/// A message to be published.
#[derive(Debug)]
#[non_exhaustive]
pub struct Publication {
    /// Where.
    pub channel: Arc<str>,
    /// What.
    pub payload: Bytes,
    /// Whether it goes to a channel that every server subscribes to: how many it reaches is how many there
    /// are. A backplane that was away may wait for them before it publishes what was kept.
    pub is_for_every_server: bool,
    /// To be told how many servers it reached, the publishing one included. Dropped where that is not
    /// known: a message that was lost, a backplane that cannot count.
    pub reached: Option<oneshot::Sender<u64>>,
}

impl Publication {
    /// A message that nobody asks after.
    pub fn new(channel: impl Into<Arc<str>>, payload: impl Into<Bytes>) -> Self {
        Self {
            channel: channel.into(),
            payload: payload.into(),
            is_for_every_server: false,
            reached: None,
        }
    }

    /// The bytes of it, to be counted against a bound.
    pub fn len(&self) -> usize {
        self.channel.len() + self.payload.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a backplane puts what comes.
#[derive(Clone)]
pub struct Arrivals(Arc<dyn Arriving>);

/// What is done with it.
pub(crate) trait Arriving: Send + Sync + 'static {
    /// A message has come.
    fn message(&self, channel: &str, payload: Bytes);
    /// From here on messages may be missed.
    fn interrupted(&self);
    /// Some of what was published so far may be lost.
    fn doubtful(&self);
    /// All channels are subscribed to again.
    fn resumed(&self);
}

impl Arrivals {
    pub(crate) fn new(arriving: Arc<dyn Arriving>) -> Self {
        Self(arriving)
    }

    /// A message has come on a channel. Does all that follows before it returns, and never waits.
    pub fn message(&self, channel: &str, payload: Bytes) {
        self.0.message(channel, payload);
    }

    /// From here on messages may be missed: what subscribes is away.
    pub fn interrupted(&self) {
        self.0.interrupted();
    }

    /// Some of what this server has published so far may be lost: what publishes has failed.
    pub fn doubtful(&self) {
        self.0.doubtful();
    }

    /// The others are in reach, for the first time or again: all channels are subscribed to.
    pub fn resumed(&self) {
        self.0.resumed();
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals").finish_non_exhaustive()
    }
}

/// Too much waits to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishError {
    /// Messages that wait.
    pub waiting: usize,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { waiting } = self;
        write!(
            f,
            "the backplane takes no more: {waiting} messages wait for it"
        )
    }
}

impl Error for PublishError {}

/// The backplane cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away;

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the backplane cannot be reached")
    }
}

impl Error for Away {}
