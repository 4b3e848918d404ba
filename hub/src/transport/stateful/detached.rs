//! Connections whose clients are away: bounded together, and the oldest goes first (row 186).

use std::{collections::BTreeMap, sync::Arc};

use raw_ws::sync::Mutex;

use super::seat::Seat;
use crate::options::HubOptions;

/// What a connection without a socket costs besides what it keeps.
const CONNECTION: usize = 8 * 1024;

/// Those of one hub.
pub(crate) struct Detached {
    table: Mutex<Table>,
    max_connections: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Table {
    next: u64,
    /// In the order in which they lost their sockets.
    away: BTreeMap<u64, (Arc<Seat>, usize)>,
    bytes: usize,
}

/// The entry of a connection that is away.
pub(super) struct Ticket {
    detached: Arc<Detached>,
    number: u64,
}

impl Detached {
    pub(crate) fn new(options: &HubOptions) -> Self {
        Self {
            table: Mutex::default(),
            max_connections: options.endpoint.max_detached_connections,
            max_bytes: options.endpoint.max_detached_bytes,
        }
    }

    pub(super) fn add(self: &Arc<Self>, seat: Arc<Seat>) -> Ticket {
        let mut table = self.table.lock();
        let number = table.next;
        table.next += 1;
        table.bytes += CONNECTION;
        table.away.insert(number, (seat, CONNECTION));
        self.evict(&mut table);
        drop(table);
        Ticket {
            detached: self.clone(),
            number,
        }
    }

    fn evict(&self, table: &mut Table) {
        while table.away.len() > self.max_connections || table.bytes > self.max_bytes {
            let Some((_, (seat, bytes))) = table.away.pop_first() else {
                return;
            };
            table.bytes -= bytes;
            seat.evict();
        }
    }
}

impl Ticket {
    /// The connection keeps so many bytes now.
    pub(super) fn set(&self, bytes: usize) {
        let mut table = self.detached.table.lock();
        let table = &mut *table;
        if let Some((_, known)) = table.away.get_mut(&self.number) {
            table.bytes = table.bytes - *known + bytes + CONNECTION;
            *known = bytes + CONNECTION;
            self.detached.evict(table);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut table = self.detached.table.lock();
        if let Some((_, bytes)) = table.away.remove(&self.number) {
            table.bytes -= bytes;
        }
    }
}
