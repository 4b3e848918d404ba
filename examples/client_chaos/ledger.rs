//! What was sent, what arrived, and whether the one follows from the other.

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use examples::say;

use crate::{Kind, Way};

pub(crate) struct Ledger {
    /// Messages that each client sends and gets, at least.
    pub(crate) goal: u64,
    /// Between the messages of each kind.
    pub(crate) pause: Duration,
    pub(crate) kinds: Vec<Kind>,
    messages: AtomicU64,
    resumes: AtomicU64,
    cuts: Mutex<Vec<Way>>,
    lost: AtomicU64,
    doubled: AtomicU64,
    faults: Mutex<Vec<String>>,
}

impl Ledger {
    pub(crate) fn new(goal: u64, pause: Duration, kinds: Vec<Kind>) -> Self {
        Self {
            goal,
            pause,
            kinds,
            messages: AtomicU64::new(0),
            resumes: AtomicU64::new(0),
            cuts: Mutex::default(),
            lost: AtomicU64::new(0),
            doubled: AtomicU64::new(0),
            faults: Mutex::default(),
        }
    }

    /// A message arrived, at either end.
    pub(crate) fn received(&self) {
        self.messages.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn resumed(&self) {
        self.resumes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn cut(&self, way: Way) {
        self.cuts.lock().expect("no panic before").push(way);
    }

    /// Something that cannot be.
    pub(crate) fn fault(&self, what: String) {
        self.faults.lock().expect("no panic before").push(what);
    }

    pub(crate) fn progress(&self, cuts: u64) -> String {
        let done = self.cuts.lock().expect("no panic before").len();
        let messages = self.messages.load(Ordering::Relaxed);
        format!("{done} of {cuts} cuts, {messages} messages")
    }

    pub(crate) fn report(&self, took: Duration) -> ExitCode {
        let cuts = self.cuts.lock().expect("no panic before");
        let of = |way| cuts.iter().filter(|cut| **cut == way).count();
        say!(
            "{} cuts: {} by RST, {} by FIN, {} black holes, {} torn; {} resumed",
            cuts.len(),
            of(Way::Reset),
            of(Way::End),
            of(Way::Hole),
            of(Way::Torn),
            self.resumes.load(Ordering::Relaxed),
        );
        let faults = self.faults.lock().expect("no panic before");
        for fault in faults.iter().take(20) {
            say!("{fault}");
        }
        let lost = self.lost.load(Ordering::Relaxed);
        let doubled = self.doubled.load(Ordering::Relaxed);
        say!(
            "{} messages in {:.1} s: {lost} lost, {doubled} doubled or out of order, {} other faults",
            self.messages.load(Ordering::Relaxed),
            took.as_secs_f64(),
            faults.len(),
        );
        ExitCode::from(u8::from(lost + doubled + faults.len() as u64 > 0))
    }
}

/// The numbers that come next, from 0.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    of: &'static str,
    next: u64,
}

impl Expected {
    pub(crate) fn new(of: &'static str) -> Self {
        Self { of, next: 0 }
    }

    /// One has come.
    pub(crate) fn came(&mut self, number: u64, ledger: &Ledger) {
        let expected = self.next;
        if number > expected {
            ledger
                .lost
                .fetch_add(number.saturating_sub(expected), Ordering::Relaxed);
            ledger.fault(format!(
                "{}: {number} came, and {expected} was next",
                self.of
            ));
        }
        if number < expected {
            ledger.doubled.fetch_add(1, Ordering::Relaxed);
            ledger.fault(format!(
                "{}: {number} came again, and {expected} was next",
                self.of
            ));
            return;
        }
        self.next = number.wrapping_add(1);
    }

    /// Whether so many have come.
    pub(crate) fn has(&self, count: u64) -> bool {
        self.next >= count
    }

    /// All have.
    pub(crate) fn is_at(&self, end: u64, ledger: &Ledger) {
        if self.next != end {
            ledger
                .lost
                .fetch_add(end.abs_diff(self.next), Ordering::Relaxed);
            ledger.fault(format!("{}: {} came of {end}", self.of, self.next));
        }
    }
}
