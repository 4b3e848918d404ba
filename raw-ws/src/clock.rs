//! Tokio's clock, which tests can stop, and a deadline on it.
//!
//! It imports nothing of this crate. Not a part of the API: `hub` is built on it too.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Instant,
};

use tokio::{
    task::unconstrained,
    time::{Sleep, sleep_until},
};

/// The time.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Rings at a deadline that moves often and is met seldom: putting it off costs nothing until the
/// old one is reached.
#[derive(Debug, Default)]
pub struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
    /// The timer has been polled with the task's waker, and has neither fired nor been moved since.
    is_armed: bool,
}

impl Alarm {
    /// Whether the deadline has come; wakes the task then. `None` never comes.
    pub fn poll(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        self.disarm();
        self.poll_armed(cx, deadline)
    }

    /// The same for a task that had the same waker when it polled last, or has said otherwise by
    /// [`disarm`](Self::disarm): the timer is only polled where it has to be.
    pub fn poll_armed(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        let deadline = tokio::time::Instant::from_std(deadline);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
            self.is_armed = false;
        }
        if self.is_armed && !timer.is_elapsed() {
            return Poll::Pending;
        }
        // Of a task whose budget is used up the timer would not take the waker.
        while pin!(unconstrained(timer.as_mut())).poll(cx).is_ready() {
            if timer.deadline() >= deadline {
                self.is_armed = false;
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        self.is_armed = true;
        Poll::Pending
    }

    /// The task has another waker from here on.
    pub fn disarm(&mut self) {
        self.is_armed = false;
    }

    /// Frees the timer. It is made anew where something needs it.
    pub fn rest(&mut self) {
        *self = Self::default();
    }
}
