//! Who may connect: places in all and per address, given back when they are dropped.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use http::StatusCode;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::ServeConfig;
use crate::events;

/// Refusals written at the same time; clients beyond are dropped without an answer.
const REFUSING_AT_ONCE: usize = 64;

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
    refusing: Arc<Semaphore>,
    /// What the log has been told of.
    logged: [AtomicBool; Refusal::ALL],
}

#[derive(Default)]
struct Taken {
    in_all: Count,
    per_address: HashMap<IpAddr, Count>,
}

#[derive(Clone, Copy)]
struct Limits {
    connections: usize,
    heads: usize,
}

#[derive(Default, Clone, Copy)]
struct Count {
    connections: usize,
    heads: usize,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Connections,
    Heads,
    ConnectionsOfAddress,
    HeadsOfAddress,
}

impl Refusal {
    const ALL: usize = 4;

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Connections | Self::Heads => StatusCode::SERVICE_UNAVAILABLE,
            Self::ConnectionsOfAddress | Self::HeadsOfAddress => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Connections => "too many connections",
            Self::Heads => "too many unfinished requests",
            Self::ConnectionsOfAddress => "too many connections from this address",
            Self::HeadsOfAddress => "too many unfinished requests from this address",
        }
    }
}

impl Slots {
    pub(super) fn new(config: &ServeConfig) -> Self {
        let descriptors = raise_descriptor_limit() / 10 * 9;
        let is_limited = config.max_connections_per_address.is_some()
            || config.max_unfinished_heads_per_address.is_some();
        Self(Arc::new(Shared {
            max: Limits {
                connections: config.max_connections.min(descriptors),
                heads: config.max_unfinished_heads,
            },
            max_per_address: is_limited.then(|| Limits {
                connections: config.max_connections_per_address.unwrap_or(usize::MAX),
                heads: config
                    .max_unfinished_heads_per_address
                    .unwrap_or(usize::MAX),
            }),
            is_short_of_descriptors: descriptors < config.max_connections,
            taken: Mutex::default(),
            all_free: Notify::new(),
            refusing: Arc::new(Semaphore::new(REFUSING_AT_ONCE)),
            logged: Default::default(),
        }))
    }

    /// A place for a connection whose first request's head is still to come. `None` for one from a
    /// trusted proxy, which speaks for clients of other addresses.
    pub(super) fn admit(&self, address: Option<IpAddr>) -> Result<Slot, Refusal> {
        let mut taken = self.0.taken();
        taken.in_all.fits(self.0.max).map_err(|full| match full {
            Full::Connections => Refusal::Connections,
            Full::Heads => Refusal::Heads,
        })?;
        let address = match address {
            Some(address) => self.0.count(&mut taken, address, Kind::Connection)?,
            None => None,
        };
        taken.in_all.connections += 1;
        taken.in_all.heads += 1;
        Ok(Slot {
            shared: self.0.clone(),
            address,
            head_is_unfinished: true,
        })
    }

    /// A place among those of an address, for a request that a proxy forwards; `None` where
    /// addresses are not counted.
    pub(super) fn place(&self, address: IpAddr) -> Result<Option<Place>, Refusal> {
        let counted = self.0.count(&mut self.0.taken(), address, Kind::Request)?;
        Ok(counted.map(|address| Place {
            shared: self.0.clone(),
            address: Some(address),
        }))
    }

    /// Leave to write a refusal.
    pub(super) fn refuse(&self) -> Option<OwnedSemaphorePermit> {
        self.0.refusing.clone().try_acquire_owned().ok()
    }

    /// Counts a refusal, and tells the log of the first of its kind what to do about it.
    pub(super) fn tell(&self, refusal: Refusal) {
        events::refused(refusal.reason());
        if !self.0.logged[refusal as usize].swap(true, Ordering::Relaxed) {
            let (limit, option) = self.0.limit(refusal);
            events::begins_to_refuse(refusal.reason(), limit, option);
        }
    }

    /// Waits until no place is taken.
    pub(super) async fn all_free(&self) {
        loop {
            let freed = self.0.all_free.notified();
            if self.0.taken().in_all.connections == 0 {
                return;
            }
            freed.await;
        }
    }
}

impl Shared {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
    fn limit(&self, refusal: Refusal) -> (usize, &'static str) {
        let per_address = self.max_per_address.unwrap_or(self.max);
        match refusal {
            Refusal::Connections if self.is_short_of_descriptors => {
                (self.max.connections, "the limit of open files (ulimit -n)")
            }
            Refusal::Connections => (self.max.connections, "ServeConfig::max_connections"),
            Refusal::Heads => (self.max.heads, "ServeConfig::max_unfinished_heads"),
            Refusal::ConnectionsOfAddress => (
                per_address.connections,
                "ServeConfig::max_connections_per_address, or trusted_proxies",
            ),
            Refusal::HeadsOfAddress => (
                per_address.heads,
                "ServeConfig::max_unfinished_heads_per_address, or trusted_proxies",
            ),
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
    head_is_unfinished: bool,
}

impl Slot {
    /// The client's address turned out: the PROXY protocol told it.
    pub(super) fn belongs_to(&mut self, address: IpAddr) -> Result<(), Refusal> {
        let Self { shared, .. } = self;
        self.address = shared.count(&mut shared.taken(), address, Kind::Connection)?;
        Ok(())
    }

    /// From here on it is the connection of one client, behind a proxy: it was upgraded.
    pub(super) fn keeps(&mut self, mut place: Place) {
        self.head_finished();
        let before = std::mem::replace(&mut self.address, place.address.take());
        if let Some(before) = before {
            self.shared.taken().leave(before);
        }
    }

    /// The first head has come.
    pub(super) fn head_finished(&mut self) {
        if std::mem::take(&mut self.head_is_unfinished) {
            let mut taken = self.shared.taken();
            taken.in_all.heads -= 1;
            if let Some(address) = &self.address
                && let Some(here) = taken.per_address.get_mut(address)
            {
                here.heads -= 1;
            }
        }
    }

    /// Whether it has not.
    pub(super) fn waits_for_head(&self) -> bool {
        self.head_is_unfinished
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.head_finished();
        let mut taken = self.shared.taken();
        taken.in_all.connections -= 1;
        let is_last = taken.in_all.connections == 0;
        if let Some(address) = self.address {
            taken.leave(address);
        }
        drop(taken);
        if is_last {
            self.shared.all_free.notify_waiters();
        }
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
            self.shared.taken().leave(address);
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
        let mut held: Vec<_> = (0..2).map(|_| slots.admit(ONE).ok().unwrap()).collect();
        assert_eq!(slots.admit(ONE).err(), Some(Refusal::ConnectionsOfAddress));
        held.push(slots.admit(OTHER).ok().unwrap());
        assert_eq!(slots.admit(OTHER).err(), Some(Refusal::Connections));
        held.clear();
        assert!(slots.0.taken().per_address.is_empty());
        assert!(slots.admit(ONE).is_ok());
    }

    #[test]
    fn addresses_are_not_counted_unless_they_have_a_limit() {
        let slots = Slots::new(&ServeConfig::new().max_connections(300));
        let _held: Vec<_> = (0..300).map(|_| slots.admit(ONE).ok().unwrap()).collect();
        assert!(slots.0.taken().per_address.is_empty());
        assert_eq!(slots.admit(ONE).err(), Some(Refusal::Connections));
    }

    #[test]
    fn who_is_short_of_files_is_told_so_and_not_of_an_option() {
        let told = |connections| {
            let slots = Slots::new(&ServeConfig::new().max_connections(connections));
            slots.0.limit(Refusal::Connections)
        };
        assert_eq!(told(5), (5, "ServeConfig::max_connections"));
        let files = raise_descriptor_limit();
        if files < usize::MAX {
            let expected = (files / 10 * 9, "the limit of open files (ulimit -n)");
            assert_eq!(told(usize::MAX), expected);
        }
    }

    #[test]
    fn unfinished_heads_have_a_limit_of_their_own() {
        let config = ServeConfig::new()
            .max_unfinished_heads(2)
            .max_unfinished_heads_per_address(1);
        let slots = Slots::new(&config);
        let mut first = slots.admit(ONE).ok().unwrap();
        assert_eq!(slots.admit(ONE).err(), Some(Refusal::HeadsOfAddress));
        let _second = slots.admit(OTHER).ok().unwrap();
        assert_eq!(slots.admit(None).err(), Some(Refusal::Heads));
        first.head_finished();
        assert!(slots.admit(ONE).is_ok());
    }

    #[test]
    fn a_client_behind_a_proxy_is_counted_by_its_own_address() {
        let slots = Slots::new(&ServeConfig::new().max_connections_per_address(1));
        let mut proxied = slots.admit(None).ok().unwrap();
        assert!(slots.admit(None).is_ok());
        assert_eq!(proxied.belongs_to(ONE.unwrap()), Ok(()));
        let refused = slots.place(ONE.unwrap()).err();
        assert_eq!(refused, Some(Refusal::ConnectionsOfAddress));
        assert_eq!(slots.admit(ONE).err(), refused);
        let place = slots.place(OTHER.unwrap()).ok().unwrap().unwrap();
        proxied.keeps(place);
        assert!(slots.admit(ONE).is_ok());
        assert!(slots.admit(OTHER).is_err());
        drop(proxied);
        assert!(slots.0.taken().per_address.is_empty());
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let slots = Slots::new(&ServeConfig::new().max_connections_per_address(1));
        let at = |text: &str| slots.admit(Some(text.parse().unwrap()));
        let _held = at("2001:db8::1").ok().unwrap();
        let refused = at("2001:db8::2").err();
        assert_eq!(refused, Some(Refusal::ConnectionsOfAddress));
        assert!(at("2001:db8:0:1::2").is_ok());
    }
}
