//! What comes from a client that counts: counted, and told to it (`SPEC.md`, section 22). No I/O, no
//! clock.

use std::time::{Duration, Instant};

use crate::protocol::{ProtocolError, message::HubMessage};

/// How long after the first message that is new the client is told (SR-05).
const ACK_AFTER: Duration = Duration::from_secs(1);

/// Which messages have come.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// The sequence id of the next counted message.
    next: i64,
    highest: i64,
    ack_at: Option<Instant>,
}

impl Arrived {
    pub(crate) fn new() -> Self {
        Self {
            next: 1,
            highest: 0,
            ack_at: None,
        }
    }

    /// Counts a message; `false` for one that came before (SR-10).
    ///
    /// # Errors
    /// A sequence id that cannot be (SR-09).
    pub(crate) fn take(
        &mut self,
        message: &HubMessage,
        now: Instant,
    ) -> Result<bool, ProtocolError> {
        if let HubMessage::Sequence { sequence_id } = message {
            self.go_to(*sequence_id)?;
            return Ok(true);
        }
        if !message.is_counted() {
            return Ok(true);
        }
        let id = self.next;
        self.next += 1;
        // A repeated one too: the Ack for it was lost.
        self.ack_at.get_or_insert(now + ACK_AFTER);
        let is_new = id > self.highest;
        self.highest = self.highest.max(id);
        Ok(is_new)
    }

    fn go_to(&mut self, sequence_id: i64) -> Result<(), ProtocolError> {
        // What was acknowledged is not sent again, though not all of it came by this socket.
        if sequence_id > self.next.max(self.highest + 1) {
            let text = "Sequence ID greater than amount of messages we've received.";
            return Err(ProtocolError::new("InvalidOperationException", text));
        }
        if sequence_id < 1 {
            // .NET takes it, and is deaf until the count is positive again.
            let text = "Sequence ID less than 1.";
            return Err(ProtocolError::new("InvalidOperationException", text));
        }
        self.next = sequence_id;
        Ok(())
    }

    /// When [`ack`](Self::ack) has something to say.
    pub(crate) fn ack_at(&self) -> Option<Instant> {
        self.ack_at
    }

    /// SR-05: what the client is told, once a second.
    pub(crate) fn ack(&mut self, now: Instant) -> Option<HubMessage> {
        self.ack_at.take_if(|at| now >= *at)?;
        Some(HubMessage::Ack {
            sequence_id: self.highest,
        })
    }

    /// The same before that second is over.
    #[cfg(feature = "client")]
    pub(crate) fn ack_early(&mut self) -> Option<HubMessage> {
        self.ack_at.and_then(|at| self.ack(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cancel(id: &str) -> HubMessage {
        HubMessage::CancelInvocation {
            invocation_id: id.into(),
        }
    }

    /// What is new of `count` messages that come after `sequence_id`.
    fn arrive(arrived: &mut Arrived, count: usize, now: Instant) -> Vec<bool> {
        let taken = (0..count).map(|_| arrived.take(&cancel("1"), now).unwrap());
        taken.collect()
    }

    fn go_to(arrived: &mut Arrived, sequence_id: i64, now: Instant) -> Result<bool, ProtocolError> {
        arrived.take(&HubMessage::Sequence { sequence_id }, now)
    }

    #[test]
    fn sr_09_both_ends_of_the_range_are_checked() {
        let now = Instant::now();
        for (came, sequence_id, is_taken) in [
            (0, 1, true),
            (0, 2, false),
            (3, 4, true),
            (3, 1, true),
            (3, 5, false),
            (3, i64::MAX, false),
            (3, 0, false),
            (3, -5, false),
            (3, i64::MIN, false),
        ] {
            let mut arrived = Arrived::new();
            arrive(&mut arrived, came, now);
            let taken = go_to(&mut arrived, sequence_id, now);
            assert_eq!(taken.is_ok(), is_taken, "{sequence_id} after {came}");
        }
    }

    #[test]
    fn sr_10_what_came_before_is_dropped() {
        let now = Instant::now();
        let mut arrived = Arrived::new();
        assert_eq!(arrive(&mut arrived, 3, now), [true; 3]);
        go_to(&mut arrived, 2, now).unwrap();
        assert_eq!(arrive(&mut arrived, 3, now), [false, false, true]);
        // SR-11: without a Sequence the count goes on.
        assert_eq!(arrive(&mut arrived, 1, now), [true]);
        // A second Sequence is as good as the first.
        go_to(&mut arrived, 5, now).unwrap();
        assert_eq!(arrive(&mut arrived, 2, now), [false, true]);
    }

    #[test]
    fn sr_05_an_ack_a_second_when_something_came() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut arrived = Arrived::new();
        assert_eq!(arrived.take(&HubMessage::Ping, now), Ok(true));
        assert_eq!(arrived.ack_at(), None);
        arrive(&mut arrived, 2, now);
        arrive(&mut arrived, 1, at(900));
        assert_eq!(arrived.ack_at(), Some(at(1000)));
        assert_eq!(arrived.ack(at(999)), None);
        let ack = |sequence_id| Some(HubMessage::Ack { sequence_id });
        assert_eq!(arrived.ack(at(1000)), ack(3));
        assert_eq!(arrived.ack(at(9000)), None);
        // The Ack was lost with its socket: what comes again is acknowledged again.
        go_to(&mut arrived, 2, at(9000)).unwrap();
        arrive(&mut arrived, 1, at(9000));
        assert_eq!(arrived.ack(at(10_000)), ack(3));
    }

    #[test]
    fn sr_09_what_was_acknowledged_need_not_come_again() {
        let now = Instant::now();
        let mut arrived = Arrived::new();
        arrive(&mut arrived, 10, now);
        go_to(&mut arrived, 5, now).unwrap();
        assert_eq!(arrive(&mut arrived, 2, now), [false; 2]);
        // The Ack of all ten arrived, and the socket was lost again.
        assert!(go_to(&mut arrived, 12, now).is_err());
        go_to(&mut arrived, 11, now).unwrap();
        assert_eq!(arrive(&mut arrived, 1, now), [true]);
    }
}
