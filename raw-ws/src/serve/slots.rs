//! Who may connect: places in all and per address, given back when they are dropped.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{timeout, timeout_at},
};

use super::{
    ServeConfig,
    progress::Progress,
    refusal::Refusal,
    unfinished::{Key, Unfinished},
};
use crate::{events, sync::Mutex};

/// Clients that wait for a place, or are being told that there is none, at the same time.
const AT_THE_DOOR: usize = 1024;

/// How long a client waits for somebody else's place before it is refused: when a crowd comes back,
/// those that it takes over from are only just gone.
const PLACE_WAITS: Duration = Duration::from_secs(1);

/// The places of a server.
#[derive(Clone)]
pub(super) struct Slots(Arc<Shared>);

struct Shared {
    max: Limits,
    /// `None` where addresses are not counted at all.
    max_per_address: Option<Limits>,
    /// Whether it is the file descriptors that bound the connections.
    is_short_of_descriptors: bool,
    taken: Mutex<Taken>,
    all_free: Notify,
    /// For who waits for a place.
    place_freed: Notify,
    /// For the accept loop, when heads were as many as they may be.
    head_freed: Notify,
    door: Arc<Semaphore>,
    /// What the log has been told of.
    logged: [AtomicBool; Refusal::ALL],
}

struct Taken {
    connections: usize,
    unfinished: Unfinished,
    per_address: HashMap<IpAddr, Count>,
}

#[derive(Clone, Copy)]
struct Limits {
    connections: usize,
    heads: usize,
}

/// Those of one address.
#[derive(Default, Clone, Copy)]
struct Count {
    connections: usize,
    heads: usize,
}

impl Slots {
    pub(super) fn new(config: &ServeConfig) -> Self {
        let descriptors = raise_descriptor_limit();
        let for_connections = descriptors / 10 * 9;
        let is_limited = config.max_connections_per_address.is_some()
            || config.max_unfinished_heads_per_address.is_some();
        // At the door sockets are open too, for which the rest of the descriptors must do.
        let at_the_door = AT_THE_DOOR.min(descriptors / 20).max(1);
        Self(Arc::new(Shared {
            max: Limits {
                connections: config.max_connections.min(for_connections),
                heads: config.max_unfinished_heads.max(1),
            },
            max_per_address: is_limited.then(|| Limits {
                connections: config.max_connections_per_address.unwrap_or(usize::MAX),
                heads: config
                    .max_unfinished_heads_per_address
                    .unwrap_or(usize::MAX),
            }),
            is_short_of_descriptors: for_connections < config.max_connections,
            taken: Mutex::new(Taken {
                connections: 0,
                unfinished: Unfinished::new(config.head_timeout),
                per_address: HashMap::new(),
            }),
            all_free: Notify::new(),
            place_freed: Notify::new(),
            head_freed: Notify::new(),
            door: Arc::new(Semaphore::new(at_the_door)),
            logged: Default::default(),
        }))
    }

    /// Waits until one more head may be unfinished. Where they are as many as may be, that is when
    /// one has come, or the oldest is late: it makes room.
    pub(super) async fn room_for_a_head(&self) {
        let Shared { max, .. } = *self.0;
        loop {
            let made = {
                let mut taken = self.0.taken.lock();
                if taken.unfinished.len() < max.heads {
                    return;
                }
                taken.unfinished.give_up_late_one()
            };
            match made {
                Ok(()) => return self.tell(Refusal::LateHead),
                Err(late_at) => {
                    let _ = timeout_at(late_at, self.0.head_freed.notified()).await;
                }
            }
        }
    }

    /// A place for a connection whose first request's head is still to come; `progress` hears of it
    /// if that takes too long. The address is `None` for one from a trusted proxy, which speaks for
    /// clients of other addresses.
    pub(super) fn admit(
        &self,
        address: Option<IpAddr>,
        progress: &Progress,
    ) -> Result<Slot, Refusal> {
        let mut taken = self.0.taken.lock();
        if taken.connections >= self.0.max.connections {
            return Err(Refusal::Connections);
        }
        let address = match address {
            Some(address) => self.0.count(&mut taken, address, Kind::Connection)?,
            None => None,
        };
        taken.connections += 1;
        Ok(Slot {
            shared: self.0.clone(),
            address,
            unfinished: Some(taken.unfinished.begin(progress.clone())),
        })
    }

    /// The same where all places are taken: waits a little for one.
    pub(super) async fn admit_later(
        &self,
        address: Option<IpAddr>,
        progress: &Progress,
    ) -> Result<Slot, Refusal> {
        let freed = async {
            loop {
                let mut freed = pin!(self.0.place_freed.notified());
                freed.as_mut().enable(); // one that is freed from here on is not missed
                match self.admit(address, progress) {
                    Err(Refusal::Connections) => freed.await,
                    admitted => return admitted,
                }
            }
        };
        let waited = timeout(PLACE_WAITS, freed).await;
        waited.unwrap_or(Err(Refusal::Connections))
    }

    /// A place among those of an address, for a request that a proxy forwards; `None` where
    /// addresses are not counted.
    pub(super) fn place(&self, address: IpAddr) -> Result<Option<Place>, Refusal> {
        let counted = self
            .0
            .count(&mut self.0.taken.lock(), address, Kind::Request)?;
        Ok(counted.map(|address| Place {
            shared: self.0.clone(),
            address: Some(address),
        }))
    }

    /// Leave to wait for a place or to be refused, once there is some.
    pub(super) async fn door(&self) -> Option<OwnedSemaphorePermit> {
        self.0.door.clone().acquire_owned().await.ok()
    }

    /// Leave to be refused, if there is some now.
    pub(super) fn open_door(&self) -> Option<OwnedSemaphorePermit> {
        self.0.door.clone().try_acquire_owned().ok()
    }

    /// Counts a refusal, and tells the log of the first of its kind what to do about it.
    pub(super) fn tell(&self, refusal: Refusal) {
        events::refused(refusal.reason());
        if let Some((limit, option)) = self.0.limit(refusal)
            && !self.0.logged[refusal as usize].swap(true, Ordering::Relaxed)
        {
            events::begins_to_refuse(refusal.reason(), limit, option);
        }
    }

    /// Waits until no place is taken.
    pub(super) async fn all_free(&self) {
        loop {
            let freed = self.0.all_free.notified();
            if self.0.taken.lock().connections == 0 {
                return;
            }
            freed.await;
        }
    }
}

impl Shared {
    /// Counts one more for an address, where addresses are counted. Gives what stands for it.
    fn count(
        &self,
        taken: &mut Taken,
        address: IpAddr,
        kind: Kind,
    ) -> Result<Option<IpAddr>, Refusal> {
        let Some(max) = self.max_per_address else {
            return Ok(None);
        };
        let address = whole_network(address);
        let here = taken.per_address.get(&address).copied().unwrap_or_default();
        match (here.fits(max), kind) {
            (Err(Full::Connections), _) => return Err(Refusal::ConnectionsOfAddress),
            (Err(Full::Heads), Kind::Connection) => return Err(Refusal::HeadsOfAddress),
            (Err(Full::Heads), Kind::Request) | (Ok(()), _) => {}
        }
        let here = taken.per_address.entry(address).or_default();
        here.connections += 1;
        here.heads += usize::from(kind == Kind::Connection);
        Ok(Some(address))
    }

    /// At how many somebody was refused, and what would let in more.
    fn limit(&self, refusal: Refusal) -> Option<(usize, &'static str)> {
        let per_address = self.max_per_address.unwrap_or(self.max);
        match refusal {
            Refusal::Connections if self.is_short_of_descriptors => {
                Some((self.max.connections, "the limit of open files (ulimit -n)"))
            }
            Refusal::Connections => Some((self.max.connections, "ServeConfig::max_connections")),
            Refusal::LateHead => Some((self.max.heads, "ServeConfig::max_unfinished_heads")),
            Refusal::ConnectionsOfAddress => Some((
                per_address.connections,
                "ServeConfig::max_connections_per_address, or trusted_proxies",
            )),
            Refusal::HeadsOfAddress => Some((
                per_address.heads,
                "ServeConfig::max_unfinished_heads_per_address, or trusted_proxies",
            )),
            Refusal::HeadTimeout => None,
        }
    }
}

/// What is counted for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A connection whose first head is still to come.
    Connection,
    /// A request that a proxy forwards, its head read.
    Request,
}

enum Full {
    Connections,
    Heads,
}

impl Count {
    fn fits(self, max: Limits) -> Result<(), Full> {
        if self.connections >= max.connections {
            return Err(Full::Connections);
        }
        if self.heads >= max.heads {
            return Err(Full::Heads);
        }
        Ok(())
    }
}

impl Taken {
    /// One of an address is over.
    fn leave(&mut self, address: IpAddr) {
        if let Some(here) = self.per_address.get_mut(&address) {
            here.connections -= 1;
            if here.connections == 0 {
                self.per_address.remove(&address);
            }
        }
    }
}

/// A connection's place, held as long as its socket. Small: each WebSocket has one.
pub(super) struct Slot {
    shared: Arc<Shared>,
    /// Its client's, where addresses are counted.
    address: Option<IpAddr>,
    /// `None` once the first head has come.
    unfinished: Option<Key>,
}

impl Slot {
    /// The client's address turned out: the PROXY protocol told it.
    pub(super) fn belongs_to(&mut self, address: IpAddr) -> Result<(), Refusal> {
        let Self { shared, .. } = self;
        self.address = shared.count(&mut shared.taken.lock(), address, Kind::Connection)?;
        Ok(())
    }

    /// From here on it is the connection of one client, behind a proxy: it was upgraded.
    pub(super) fn keeps(&mut self, mut place: Place) {
        self.head_finished();
        let before = std::mem::replace(&mut self.address, place.address.take());
        if let Some(before) = before {
            self.shared.taken.lock().leave(before);
        }
    }

    /// The first head has come.
    pub(super) fn head_finished(&mut self) {
        self.no_head(Unfinished::finish);
    }

    /// The first head is waited for no longer.
    fn no_head(&mut self, then: fn(&mut Unfinished, Key)) {
        if let Some(key) = self.unfinished.take() {
            let mut taken = self.shared.taken.lock();
            if taken.unfinished.len() >= self.shared.max.heads {
                self.shared.head_freed.notify_one();
            }
            then(&mut taken.unfinished, key);
            if let Some(address) = &self.address
                && let Some(here) = taken.per_address.get_mut(address)
            {
                here.heads -= 1;
            }
        }
    }

    /// Whether its head is not read yet.
    pub(super) fn waits_for_head(&self) -> bool {
        self.unfinished.is_some()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.no_head(Unfinished::forget);
        let mut taken = self.shared.taken.lock();
        taken.connections -= 1;
        let is_last = taken.connections == 0;
        if let Some(address) = self.address {
            taken.leave(address);
        }
        drop(taken);
        if is_last {
            self.shared.all_free.notify_waiters();
        }
        self.shared.place_freed.notify_one();
    }
}

/// A place among those of one address.
pub(super) struct Place {
    shared: Arc<Shared>,
    /// `None` once a slot keeps it.
    address: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            self.shared.taken.lock().leave(address);
        }
    }
}

/// What counts as one address: a client of IPv6 has a whole /64 to itself.
fn whole_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

/// Raises the limit of open files to what the system grants without asking, as servers do: the
/// usual 1,024 is there for programs that use `select`. Gives the limit.
fn raise_descriptor_limit() -> usize {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        /// What macOS grants where its hard limit says "unlimited".
        const GRANTED: Option<u64> = Some(10_240);
        let before = getrlimit(Resource::Nofile);
        for current in [before.maximum, GRANTED] {
            let is_more = match (current, before.current) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(wanted), Some(now)) => wanted > now,
            };
            let maximum = before.maximum;
            if is_more && setrlimit(Resource::Nofile, Rlimit { current, maximum }).is_ok() {
                break;
            }
        }
        let now = getrlimit(Resource::Nofile).current;
        now.map_or(usize::MAX, |now| usize::try_from(now).unwrap_or(usize::MAX))
    }
    #[cfg(not(unix))]
    usize::MAX
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::{Instant, advance};

    use super::*;

    const ONE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1)));
    const OTHER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 2)));

    #[test]
    fn a_place_is_free_again_when_its_slot_is_dropped() {
        let slots = Slots::new(
            &ServeConfig::new()
                .max_connections(3)
                .max_connections_per_address(2),
        );
        let mut held: Vec<_> = (0..2)
            .map(|_| slots.admit(ONE, &Progress::default()).ok().unwrap())
            .collect();
        assert_eq!(
            slots.admit(ONE, &Progress::default()).err(),
            Some(Refusal::ConnectionsOfAddress)
        );
        held.push(slots.admit(OTHER, &Progress::default()).ok().unwrap());
        assert_eq!(
            slots.admit(OTHER, &Progress::default()).err(),
            Some(Refusal::Connections)
        );
        held.clear();
        assert!(slots.0.taken.lock().per_address.is_empty());
        assert!(slots.admit(ONE, &Progress::default()).is_ok());
    }

    #[test]
    fn addresses_are_not_counted_unless_they_have_a_limit() {
        let slots = Slots::new(&ServeConfig::new().max_connections(300));
        let _held: Vec<_> = (0..300)
            .map(|_| slots.admit(ONE, &Progress::default()).ok().unwrap())
            .collect();
        assert!(slots.0.taken.lock().per_address.is_empty());
        assert_eq!(
            slots.admit(ONE, &Progress::default()).err(),
            Some(Refusal::Connections)
        );
    }

    #[test]
    fn who_is_short_of_files_is_told_so_and_not_of_an_option() {
        let told = |connections| {
            let slots = Slots::new(&ServeConfig::new().max_connections(connections));
            slots.0.limit(Refusal::Connections)
        };
        assert_eq!(told(5), Some((5, "ServeConfig::max_connections")));
        let files = raise_descriptor_limit();
        if files < usize::MAX {
            let expected = (files / 10 * 9, "the limit of open files (ulimit -n)");
            assert_eq!(told(usize::MAX), Some(expected));
        }
    }

    #[test]
    fn unfinished_heads_of_an_address_have_a_limit_of_their_own() {
        let slots = Slots::new(&ServeConfig::new().max_unfinished_heads_per_address(1));
        let mut first = slots.admit(ONE, &Progress::default()).ok().unwrap();
        let refused = slots.admit(ONE, &Progress::default()).err();
        assert_eq!(refused, Some(Refusal::HeadsOfAddress));
        let _second = slots.admit(OTHER, &Progress::default()).ok().unwrap();
        first.head_finished();
        assert!(slots.admit(ONE, &Progress::default()).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_waits_for_a_head_to_come_or_to_be_late() {
        let slots = Slots::new(&ServeConfig::new().max_unfinished_heads(2));
        let begin = async || {
            slots.room_for_a_head().await;
            let progress = Progress::default();
            let slot = slots.admit(ONE, &progress).ok().unwrap();
            (slot, progress)
        };
        let (_oldest, its_progress) = begin().await;
        advance(Duration::from_secs(1)).await;
        let (mut quick, _) = begin().await;

        let mut waits = pin!(begin());
        assert!(waits.as_mut().now_or_never().is_none());
        quick.head_finished();
        let (_third, thirds_progress) = waits.await;
        assert_eq!(its_progress.refusal(), None);

        let before = Instant::now();
        let (_fourth, _) = begin().await;
        assert_eq!(before.elapsed().as_secs(), 1, "two after it came");
        assert_eq!(its_progress.refusal(), Some(Refusal::LateHead));
        assert_eq!(thirds_progress.refusal(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_all_places_taken_waits_a_little_for_one() {
        let slots = Slots::new(&ServeConfig::new().max_connections(1));
        let progress = Progress::default();
        let held = slots.admit(ONE, &progress).ok().unwrap();
        let refused = slots.admit_later(ONE, &progress).await.err();
        assert_eq!(refused, Some(Refusal::Connections));

        let mut waits = pin!(slots.admit_later(ONE, &progress));
        assert!(waits.as_mut().now_or_never().is_none());
        drop(held);
        assert!(waits.await.is_ok());
    }

    #[test]
    fn a_client_behind_a_proxy_is_counted_by_its_own_address() {
        let slots = Slots::new(&ServeConfig::new().max_connections_per_address(1));
        let mut proxied = slots.admit(None, &Progress::default()).ok().unwrap();
        assert!(slots.admit(None, &Progress::default()).is_ok());
        assert_eq!(proxied.belongs_to(ONE.unwrap()), Ok(()));
        let refused = slots.place(ONE.unwrap()).err();
        assert_eq!(refused, Some(Refusal::ConnectionsOfAddress));
        assert_eq!(slots.admit(ONE, &Progress::default()).err(), refused);
        let place = slots.place(OTHER.unwrap()).ok().unwrap().unwrap();
        proxied.keeps(place);
        assert!(slots.admit(ONE, &Progress::default()).is_ok());
        assert!(slots.admit(OTHER, &Progress::default()).is_err());
        drop(proxied);
        assert!(slots.0.taken.lock().per_address.is_empty());
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let slots = Slots::new(&ServeConfig::new().max_connections_per_address(1));
        let at = |text: &str| slots.admit(Some(text.parse().unwrap()), &Progress::default());
        let _held = at("2001:db8::1").ok().unwrap();
        let refused = at("2001:db8::2").err();
        assert_eq!(refused, Some(Refusal::ConnectionsOfAddress));
        assert!(at("2001:db8:0:1::2").is_ok());
    }
}
