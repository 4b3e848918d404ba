//! Where new sockets of a connection come in: exactly one at a time.

use std::{
    sync::Arc,
    task::Context,
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;
use raw_ws::{WebSocket, sync::Mutex};

use crate::identity::user::User;

/// Resumes of one connection within [`WINDOW`]: each costs the replay of all that is unacknowledged
/// (row 190).
const RESUMES: u32 = 100;

const WINDOW: Duration = Duration::from_secs(10);

/// The place of a connection's socket, between the requests that present its token and its task.
#[derive(Default)]
pub(crate) struct Seat {
    state: Mutex<State>,
    task: AtomicWaker,
}

#[derive(Default)]
struct State {
    place: Place,
    /// Too many are away, and it is to end.
    is_evicted: bool,
    window: Option<Instant>,
    resumes: u32,
}

/// Who comes next.
#[derive(Default)]
enum Place {
    #[default]
    Nobody,
    /// Somebody has been promised the place, and is being upgraded.
    Promised,
    /// This socket, of this user.
    Come(Box<WebSocket>, Option<User>),
    /// Nobody may come any more (SR-14).
    Closed,
}

/// Why nobody gets the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSeat {
    /// Another comes already, or the connection ends.
    Taken,
    /// It was resumed too often.
    TooOften,
}

/// What the connection's task is to do.
pub(super) enum Order {
    /// Go on with this socket.
    Come(Box<WebSocket>, Option<User>),
    /// Another socket is about to come: end the one there is (SR-13).
    GiveWay,
    /// Too many are away: end the connection.
    GoneForGood,
}

/// The place is kept for a socket that is being upgraded; given back when dropped.
pub(crate) struct Reservation {
    seat: Arc<Seat>,
}

impl Seat {
    /// Row 188: of several that come at once the first gets the place.
    pub(crate) fn reserve(self: &Arc<Self>, now: Instant) -> Result<Reservation, NoSeat> {
        let mut state = self.state.lock();
        let Place::Nobody = state.place else {
            return Err(NoSeat::Taken);
        };
        let began = *state.window.get_or_insert(now);
        if now.duration_since(began) >= WINDOW {
            state.window = Some(now);
            state.resumes = 0;
        }
        if state.resumes >= RESUMES {
            return Err(NoSeat::TooOften);
        }
        state.resumes += 1;
        state.place = Place::Promised;
        drop(state);
        self.task.wake();
        let seat = self.clone();
        Ok(Reservation { seat })
    }

    pub(super) fn poll_order(&self, cx: &mut Context<'_>, has_socket: bool) -> Option<Order> {
        self.task.register(cx.waker());
        let mut state = self.state.lock();
        match std::mem::take(&mut state.place) {
            Place::Come(ws, user) => return Some(Order::Come(ws, user)),
            place => state.place = place,
        }
        if let Place::Promised = state.place
            && has_socket
        {
            return Some(Order::GiveWay);
        }
        std::mem::take(&mut state.is_evicted).then_some(Order::GoneForGood)
    }

    pub(super) fn evict(&self) {
        self.state.lock().is_evicted = true;
        self.task.wake();
    }

    /// Nobody comes any more.
    pub(super) fn end(&self) {
        // A socket that has come too late is dropped, and that not under the lock.
        let come = std::mem::replace(&mut self.state.lock().place, Place::Closed);
        drop(come);
    }
}

impl Reservation {
    /// The upgrade is done. Too late for a connection that has ended: its socket just closes.
    pub(crate) fn come(self, ws: WebSocket, user: Option<User>) {
        let mut state = self.seat.state.lock();
        if let Place::Promised = state.place {
            state.place = Place::Come(Box::new(ws), user);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = self.seat.state.lock();
        if let Place::Promised = state.place {
            state.place = Place::Nobody;
        }
        drop(state);
        self.seat.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_188_the_place_is_promised_to_one_at_a_time() {
        let (seat, now) = (Arc::new(Seat::default()), Instant::now());
        let first = seat.reserve(now).ok().unwrap();
        assert_eq!(seat.reserve(now).err(), Some(NoSeat::Taken));
        drop(first); // its upgrade failed
        let second = seat.reserve(now).ok().unwrap();
        assert_eq!(seat.reserve(now).err(), Some(NoSeat::Taken));
        drop(second);
        seat.end();
        assert_eq!(seat.reserve(now).err(), Some(NoSeat::Taken));
    }
}
