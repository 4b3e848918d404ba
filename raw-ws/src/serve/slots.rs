//! Who may connect: places in all and per address, given back when they are dropped.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::StatusCode;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::ServeConfig;

/// Refusals written at the same time; clients beyond are dropped without an answer.
const REFUSING_AT_ONCE: usize = 64;

/// The places of a server.
#[derive(Clone)]
pub(super) struct Slots(Arc<Shared>);

struct Shared {
    max: Limits,
    max_per_address: Limits,
    taken: Mutex<Taken>,
    all_free: Notify,
    refusing: Arc<Semaphore>,
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
    Server,
    Address,
}

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Server => StatusCode::SERVICE_UNAVAILABLE,
            Self::Address => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Server => "too many connections",
            Self::Address => "too many connections from this address",
        }
    }
}

impl Slots {
    pub(super) fn new(config: &ServeConfig) -> Self {
        Self(Arc::new(Shared {
            max: Limits {
                connections: config.max_connections.min(descriptor_limit()),
                heads: config.max_unfinished_heads,
            },
            max_per_address: Limits {
                connections: config.max_connections_per_address,
                heads: config.max_unfinished_heads_per_address,
            },
            taken: Mutex::default(),
            all_free: Notify::new(),
            refusing: Arc::new(Semaphore::new(REFUSING_AT_ONCE)),
        }))
    }

    /// A place for a connection whose first request's head is still to come.
    pub(super) fn admit(&self, address: IpAddr) -> Result<Slot, Refusal> {
        let address = whole_network(address);
        let mut taken = self.0.taken();
        if !taken.in_all.fits(self.0.max) {
            return Err(Refusal::Server);
        }
        let here = taken.per_address.entry(address).or_default();
        if !here.fits(self.0.max_per_address) {
            return Err(Refusal::Address);
        }
        here.connections += 1;
        here.heads += 1;
        taken.in_all.connections += 1;
        taken.in_all.heads += 1;
        drop(taken);
        Ok(Slot {
            shared: self.0.clone(),
            address,
            head_is_unfinished: true,
        })
    }

    /// Leave to write a refusal.
    pub(super) fn refuse(&self) -> Option<OwnedSemaphorePermit> {
        self.0.refusing.clone().try_acquire_owned().ok()
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
}

impl Count {
    fn fits(self, max: Limits) -> bool {
        self.connections < max.connections && self.heads < max.heads
    }
}

/// A connection's place, held as long as its socket.
pub(super) struct Slot {
    shared: Arc<Shared>,
    address: IpAddr,
    head_is_unfinished: bool,
}

impl Slot {
    /// The first head has come.
    pub(super) fn head_finished(&mut self) {
        if std::mem::take(&mut self.head_is_unfinished) {
            let mut taken = self.shared.taken();
            taken.in_all.heads -= 1;
            if let Some(here) = taken.per_address.get_mut(&self.address) {
                here.heads -= 1;
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.head_finished();
        let mut taken = self.shared.taken();
        taken.in_all.connections -= 1;
        let is_last = taken.in_all.connections == 0;
        if let Some(here) = taken.per_address.get_mut(&self.address) {
            here.connections -= 1;
            if here.connections == 0 {
                taken.per_address.remove(&self.address);
            }
        }
        drop(taken);
        if is_last {
            self.shared.all_free.notify_waiters();
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

/// 90 % of the file descriptors this process may open: the rest is for files and other sockets.
fn descriptor_limit() -> usize {
    #[cfg(unix)]
    if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        return usize::try_from(limit / 10 * 9).unwrap_or(usize::MAX);
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_slot_is_dropped() {
        let slots = Slots::new(
            &ServeConfig::new()
                .max_connections(3)
                .max_connections_per_address(2),
        );
        let (one, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let mut held: Vec<_> = (0..2).map(|_| slots.admit(one).ok().unwrap()).collect();
        assert_eq!(slots.admit(one).err(), Some(Refusal::Address));
        held.push(slots.admit(other).ok().unwrap());
        assert_eq!(slots.admit(other).err(), Some(Refusal::Server));
        held.clear();
        assert!(slots.0.taken().per_address.is_empty());
        assert!(slots.admit(one).is_ok());
    }

    #[test]
    fn unfinished_heads_have_a_limit_of_their_own() {
        let slots = Slots::new(&ServeConfig::new().max_unfinished_heads(10, 1));
        let address = "::1".parse().unwrap();
        let mut first = slots.admit(address).ok().unwrap();
        assert_eq!(slots.admit(address).err(), Some(Refusal::Address));
        first.head_finished();
        assert!(slots.admit(address).is_ok());
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let slots = Slots::new(&ServeConfig::new().max_connections_per_address(1));
        let _held = slots.admit("2001:db8::1".parse().unwrap()).ok().unwrap();
        assert_eq!(
            slots.admit("2001:db8::2".parse().unwrap()).err(),
            Some(Refusal::Address)
        );
        assert!(slots.admit("2001:db8:0:1::2".parse().unwrap()).is_ok());
    }
}
