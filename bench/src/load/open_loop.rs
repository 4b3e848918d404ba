//! An open loop: a message leaves when it is due, whatever has come back of those before it.
//!
//! A closed loop asks a server that stalls nothing while it stalls, and so measures one slow answer where
//! users would have met many. Here each latency is counted from when the message was due: also where it
//! left later, because the server, or this load, did not keep up.

use std::{
    io,
    time::{Duration, Instant},
};

use super::{
    connections::{Connections, PATIENCE},
    measurement::{Measurement, Observer, Recorder, Window},
};

/// When each message is due.
struct Timetable {
    began: Instant,
    every: Duration,
    /// How many have left.
    left: u64,
}

/// Messages that leave before the load reads again.
const MOST_AT_ONCE: usize = 64;

impl Timetable {
    /// When the next one leaves.
    fn due(&self) -> Instant {
        let since = self.every.as_nanos() * u128::from(self.left);
        self.began + Duration::from_nanos(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

impl Connections {
    /// Sends `rate` messages a second, on the first `senders` connections by turns. Returns what
    /// happened in the measured part of `window`; the latencies are of those which were due in it,
    /// however late they are answered.
    ///
    /// # Errors
    ///
    /// When a connection fails, or the server answers nothing for 5 s.
    pub(super) fn measure_at(
        &mut self,
        rate: f64,
        senders: usize,
        window: Window,
        mut observer: Observer<'_>,
    ) -> io::Result<Measurement> {
        let began = Instant::now();
        let mut timetable = Timetable {
            began,
            every: Duration::from_secs_f64(1.0 / rate),
            left: 0,
        };
        let measured = began + window.warm_up;
        let end = measured + window.measured;
        self.run_to(measured, &mut timetable, senders, None, &mut observer)?;

        let mut recorder = Recorder::begin(&observer, self.bytes())?;
        let sent = timetable.left;
        self.run_to(
            end,
            &mut timetable,
            senders,
            Some((&mut recorder, measured)),
            &mut observer,
        )?;
        recorder.so_far(self.bytes())?;
        let unanswered = self.drain(&mut recorder, measured)?;
        recorder.open_loop(rate, timetable.left - sent, unanswered);
        Ok(recorder.into_measurement())
    }

    fn run_to(
        &mut self,
        end: Instant,
        timetable: &mut Timetable,
        senders: usize,
        mut recording: Option<(&mut Recorder, Instant)>,
        observer: &mut Observer<'_>,
    ) -> io::Result<()> {
        let mut under_way = self.in_flight() as u64;
        loop {
            let mut now = Instant::now();
            // Who is behind reads in between all the same: a server must not wait for its reader.
            for _ in 0..MOST_AT_ONCE {
                let due = timetable.due();
                if due > now || due >= end {
                    break;
                }
                let index = (timetable.left % senders as u64) as usize;
                self.send_as_of(index, due)?;
                timetable.left += 1;
                under_way += 1;
                now = Instant::now();
                if let Some((recorder, _)) = &mut recording {
                    recorder.late(now.duration_since(due));
                }
            }
            let next = timetable.due().min(end);
            if now >= end && next == end {
                return Ok(());
            }
            let wait = next.saturating_duration_since(now);
            let wait = observer.until_told().map_or(wait, |due| wait.min(due));
            // epoll sleeps for whole milliseconds; what is left of one is spent looking.
            let wait = Duration::from_millis(wait.as_millis() as u64);
            // With nothing under way nothing can come.
            let patience = if under_way > 0 {
                PATIENCE
            } else {
                Duration::MAX
            };
            self.turn(wait, patience, |_, came, connection, now| {
                under_way = under_way.saturating_sub(came.ends);
                let answered = connection.answered(came.ends);
                let Some((recorder, measured)) = &mut recording else {
                    answered.for_each(drop);
                    return 0;
                };
                recorder.count(came.messages);
                for due in answered.filter(|due| due >= measured) {
                    recorder.latency(now.duration_since(due));
                }
                0
            })?;
            if observer.is_to_be_told() {
                let so_far = match &mut recording {
                    Some((recorder, _)) => Some(recorder.so_far(self.bytes())?),
                    None => None,
                };
                observer.tell(so_far)?;
            }
        }
    }

    /// Waits for what is under way; gives how much of it was not answered.
    fn drain(&mut self, recorder: &mut Recorder, measured: Instant) -> io::Result<u64> {
        let mut under_way = self.in_flight();
        let mut last = Instant::now();
        while under_way > 0 && last.elapsed() < PATIENCE {
            self.turn(
                Duration::from_millis(100),
                Duration::MAX,
                |_, came, connection, now| {
                    for due in connection.answered(came.ends) {
                        under_way -= 1;
                        last = now;
                        if due >= measured {
                            recorder.latency(now.duration_since(due));
                        }
                    }
                    0
                },
            )?;
        }
        Ok(under_way as u64)
    }
}
