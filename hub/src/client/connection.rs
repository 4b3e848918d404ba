//! One connection's life, from when it is made until it is over: the file to read first.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::StatusCode;
use raw_ws::clock::{Alarm, now};
use tokio::time::{sleep, timeout};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{
    connect::{Connector, Link, Made, Name, Route},
    error::ClientError,
    event::Event,
    retry::{Attempt, RetryPolicy},
    shared::{Said, Shared},
    socket::{Ended, Socket},
};
use crate::protocol::message::HubMessage;

/// How long what was said before a goodbye may take to leave.
const GOODBYE: Duration = Duration::from_secs(5);

/// The first try for another socket is made at once; what the next waits is doubled with each, from
/// this up to the other.
const SECOND_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(1);

/// What runs a connection.
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) connector: Connector,
    pub(super) retry: Option<Box<dyn RetryPolicy>>,
    /// How long a lost socket may be replaced.
    pub(super) resume_within: Duration,
}

/// Why a connection leaves its socket.
enum Parting {
    /// Somebody here wants it.
    Stopped,
    /// The socket is: another one may go on with the connection (SR-12). Without an error where it
    /// ended as sockets should; the server tells then whether the connection is over too.
    Lost(Option<ClientError>),
    /// The connection has ended; whether the server lets this client come back by itself (CL-14).
    Ended {
        error: Option<ClientError>,
        may_return: bool,
    },
}

/// Why there is no socket to go on with.
enum Gone {
    Stopped,
    For(Option<ClientError>),
}

impl Connection {
    /// Goes on until it is stopped, or nothing brings it back.
    pub(super) async fn run(self, mut link: Link) {
        let error = loop {
            let parting = self.converse(&mut link).await;
            link = match self.go_on(link, parting).await {
                Ok(link) => link,
                Err(error) => break error,
            };
        };
        self.shared.end(error);
    }

    /// Sends and receives for as long as the socket lasts.
    async fn converse(&self, link: &mut Link) -> Parting {
        let mut turn = Turn {
            shared: &self.shared,
            link,
            stop: Box::pin(self.shared.stop.clone().cancelled_owned()),
            alarm: Alarm::default(),
            reading: Reading::Goes,
            has_given_way: false,
            patience: self.connector.server_timeout,
        };
        // What came behind the hub handshake is there already.
        match turn.hear(Bytes::new()) {
            Some(parting) => parting,
            None => poll_fn(|cx| turn.poll(cx)).await,
        }
    }

    /// What follows: the connection with another socket, or another connection.
    ///
    /// # Errors
    /// That none does, and why.
    async fn go_on(&self, link: Link, parting: Parting) -> Result<Link, Option<ClientError>> {
        let Link { socket, route } = link;
        let why = match parting {
            Parting::Stopped => {
                self.say_goodbye(socket).await;
                return Err(None);
            }
            Parting::Lost(why) if self.can_resume() => {
                // The server is not to take it for a goodbye (SR-14).
                drop(socket);
                match self.resume(route, why).await {
                    Ok(link) => return Ok(link),
                    Err(Gone::Stopped) => return Err(None),
                    Err(Gone::For(why)) => why,
                }
            }
            Parting::Lost(why) => why,
            Parting::Ended { error, may_return } => {
                let _ = timeout(GOODBYE, socket.close()).await;
                if !may_return {
                    return Err(error);
                }
                error
            }
        };
        self.reconnect(why).await
    }

    fn can_resume(&self) -> bool {
        self.shared.session(|session| session.can_resume()) == Some(true)
    }

    /// The same connection, with another socket (SR-07, SR-20).
    async fn resume(&self, route: Route, why: Option<ClientError>) -> Result<Link, Gone> {
        self.shared.away();
        let name = route.name.clone();
        let until = now() + self.resume_within;
        let mut delay = Duration::ZERO;
        let mut error = why.clone().unwrap_or(ClientError::Closed(None));
        for attempt in 1.. {
            self.shared.events.tell(Event::Reconnecting {
                error,
                attempt,
                delay,
                is_stateful: true,
            });
            let try_it = self.try_resume(name.clone(), delay);
            error = match self.unless_stopped(try_it).await {
                None => return Err(Gone::Stopped),
                Some(Ok(socket)) => {
                    self.shared.resume(now());
                    return Ok(Link { socket, route });
                }
                Some(Err(error)) => error,
            };
            if is_over(&error) {
                // Of a socket that ended as it should, that is the goodbye.
                return Err(Gone::For(why));
            }
            if now() >= until {
                break;
            }
            delay = (delay * 2).clamp(SECOND_WAIT, LAST_WAIT);
        }
        Err(Gone::For(Some(error)))
    }

    async fn try_resume(&self, name: Name, delay: Duration) -> Result<Socket, ClientError> {
        sleep(delay).await;
        self.connector.replace(&name).await
    }

    /// Another connection, as its policy says (RC-01).
    async fn reconnect(&self, why: Option<ClientError>) -> Result<Link, Option<ClientError>> {
        let Some(retry) = &self.retry else {
            return Err(why);
        };
        let lost_at = now();
        let mut error = why.unwrap_or(ClientError::Closed(None));
        self.shared.lose(&error);
        for failed in 0.. {
            let attempt = Attempt {
                failed,
                away: now() - lost_at,
                error: &error,
            };
            let Some(delay) = retry.delay(&attempt) else {
                break;
            };
            self.shared.events.tell(Event::Reconnecting {
                error,
                attempt: failed + 1,
                delay,
                is_stateful: false,
            });
            let try_it = async {
                sleep(delay).await;
                self.shared.events.tell(Event::Connecting);
                self.connector.connect().await
            };
            error = match self.unless_stopped(try_it).await {
                None => return Err(None),
                Some(Ok(Made {
                    link,
                    session,
                    connection_id,
                    transport,
                })) => {
                    self.shared.open(session, connection_id, transport);
                    return Ok(link);
                }
                Some(Err(error)) => error,
            };
        }
        Err(Some(error))
    }

    /// `None` once somebody wants the end.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.shared.stop.run_until_cancelled(work).await
    }

    /// The server hears that this is no loss (CL-17).
    async fn say_goodbye(&self, mut socket: Socket) {
        self.shared.session(|session| {
            session.send(&HubMessage::Close {
                error: None,
                allow_reconnect: false,
            });
        });
        let written = poll_fn(|cx| {
            loop {
                match socket.poll_written(cx) {
                    Poll::Ready(Ok(())) => match self.shared.outgoing() {
                        Some(bytes) => socket.write(bytes),
                        None => return Poll::Ready(true),
                    },
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        if timeout(GOODBYE, written).await == Ok(true) {
            socket.close().await;
        }
    }
}

impl Drop for Connection {
    /// However its task ends, nobody waits for it any more.
    fn drop(&mut self) {
        if !self.shared.ended.is_cancelled() {
            let why = "the task that ran it was dropped".to_owned();
            self.shared.end(Some(ClientError::Closed(Some(why))));
        }
    }
}

/// Whether no further try for another socket can succeed: the connection is not there any more
/// (SR-14), or this client is not let in.
fn is_over(error: &ClientError) -> bool {
    match error {
        // Its last socket is still there, it came too often, or something on the way is not there.
        ClientError::Refused { status, .. } => {
            *status != StatusCode::CONFLICT
                && *status != StatusCode::TOO_MANY_REQUESTS
                && !status.is_server_error()
        }
        ClientError::Token(_) => true,
        _ => false,
    }
}

/// A connection and its socket.
struct Turn<'a> {
    shared: &'a Shared,
    link: &'a mut Link,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    alarm: Alarm,
    reading: Reading,
    /// Other tasks have their turn, and something to write waits for that.
    has_given_way: bool,
    /// How long answers may wait behind what nobody reads.
    patience: Duration,
}

/// Whether something is read of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Goes,
    /// As much as may waits to be read by handlers and streams; those who wait for an answer do so
    /// until then.
    RestsUntil(Instant),
    /// And they have been told.
    Rests,
}

impl Turn<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Parting> {
        self.shared.task.register(cx.waker());
        if self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Parting::Stopped);
        }
        // Other tasks have their turn before something is written: what they say until then leaves in
        // the same write, which costs more than all of it.
        self.has_given_way = !self.has_given_way && self.shared.may_have_more();
        if self.has_given_way {
            cx.waker().wake_by_ref();
        }
        loop {
            let mut is_idle = true;
            if self.reads(cx)
                && let Poll::Ready(read) = self.link.socket.poll_read(cx)
            {
                is_idle = false;
                let parting = match read {
                    Ok(bytes) => self.hear(bytes),
                    Err(ended) => Some(ended.into()),
                };
                if let Some(parting) = parting {
                    return Poll::Ready(parting);
                }
            }
            match self.link.socket.poll_written(cx) {
                Poll::Ready(Ok(())) if self.has_given_way => {}
                Poll::Ready(Ok(())) => {
                    if let Some(bytes) = self.shared.outgoing() {
                        self.link.socket.write(bytes);
                        is_idle = false;
                    }
                }
                Poll::Ready(Err(ended)) => return Poll::Ready(ended.into()),
                Poll::Pending => {}
            }
            if is_idle {
                match self.poll_clock(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Parting::Lost(Some(error))),
                    Poll::Pending => return Poll::Pending,
                }
            }
        }
    }

    fn hear(&self, bytes: Bytes) -> Option<Parting> {
        match self.shared.hear(bytes, now()) {
            Ok(None) => None,
            Ok(Some(Said::Resumed)) => {
                self.shared.events.tell(Event::Resumed);
                None
            }
            Ok(Some(Said::Close {
                error,
                allow_reconnect,
            })) => Some(Parting::Ended {
                error: error.map(|text| ClientError::Closed(Some(text.to_string()))),
                may_return: allow_reconnect,
            }),
            // What does not keep to the protocol would not do so by another socket either.
            Err(fault) => Some(Parting::Ended {
                error: Some(fault.into()),
                may_return: true,
            }),
        }
    }

    /// Whether there is room for what comes.
    fn reads(&mut self, cx: &mut Context<'_>) -> bool {
        let is_full = self.shared.unread.is_used_up(cx);
        match (is_full, self.reading) {
            (true, Reading::Goes) => {
                self.shared.session(|session| session.rests());
                self.reading = Reading::RestsUntil(now() + self.patience);
            }
            (false, Reading::RestsUntil(_) | Reading::Rests) => {
                self.shared.session(|session| session.listens(now()));
                self.reading = Reading::Goes;
            }
            (true, Reading::RestsUntil(_) | Reading::Rests) | (false, Reading::Goes) => {}
        }
        !is_full
    }

    /// Ready when the time has come for something, which may be the end of the socket.
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        while let Poll::Ready(refreshed) = self.link.route.refreshes.poll(cx) {
            self.shared.events.tell(match refreshed {
                Ok(()) => Event::Refreshed,
                Err(error) => Event::RefreshFailed { error },
            });
        }
        let rests_until = match self.reading {
            Reading::RestsUntil(at) => Some(at),
            Reading::Goes | Reading::Rests => None,
        };
        let deadline = self.shared.session(|session| session.deadline()).flatten();
        let deadline = [deadline, rests_until].into_iter().flatten().min();
        if self.alarm.poll(cx, deadline).is_pending() {
            return Poll::Pending;
        }
        let now = now();
        if rests_until.is_some_and(|at| now >= at) {
            self.reading = Reading::Rests;
            self.shared.fail_values(&ClientError::Unread);
        }
        let ticked = self.shared.session(|session| session.tick(now));
        Poll::Ready(ticked.unwrap_or(Ok(())).map_err(ClientError::from))
    }
}

impl From<Ended> for Parting {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Lost(error) => Self::Lost(Some(error)),
            Ended::Over => Self::Lost(None),
        }
    }
}
