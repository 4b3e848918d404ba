//! The end of a connection that speaks HTTP: half-closed, and read until the client has closed too
//! (RFC 9112 section 9.6). Bytes left unread at a close turn it into a reset, and a reset takes the
//! answer with it that a client has not read while it was still sending.

use std::{
    future::Future,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::ReadBuf,
    time::{Instant, Sleep, sleep},
};

use crate::stream::upgraded::ByteStream;

/// How long, and how much, a client may still send; and how long it may be silent.
const LINGER_FOR: Duration = Duration::from_secs(30);
const LINGER_AT_MOST: usize = 64 * 1024 * 1024;
const SILENT_FOR: Duration = Duration::from_secs(2);

/// Reads at a time, before others get their turn.
const READS: usize = 16;

/// How far a connection is with its end.
#[derive(Default)]
pub(super) enum Linger {
    /// It is in use.
    #[default]
    NotYet,
    /// Half-closed: the client may still be sending.
    Reading {
        silence: Pin<Box<Sleep>>,
        until: Instant,
        left: usize,
    },
    /// Both ends have closed, or enough has been read.
    Over,
}

impl Linger {
    /// The client will send nothing more.
    pub(super) fn has_ended(&mut self) {
        *self = Self::Over;
    }

    /// Half-closes, then reads on.
    pub(super) fn poll_close(
        &mut self,
        mut stream: Pin<&mut dyn ByteStream>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if let Self::NotYet = self {
            ready!(stream.as_mut().poll_shutdown(cx))?;
            *self = Self::Reading {
                silence: Box::pin(sleep(SILENT_FOR)),
                until: Instant::now() + LINGER_FOR,
                left: LINGER_AT_MOST,
            };
        }
        let Self::Reading {
            silence,
            until,
            left,
        } = self
        else {
            return stream.poll_shutdown(cx);
        };
        for reads in 0.. {
            if reads > 0 {
                silence
                    .as_mut()
                    .reset((Instant::now() + SILENT_FOR).min(*until));
            }
            if reads == READS {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let mut space = [MaybeUninit::uninit(); 8 * 1024];
            let mut discarded = ReadBuf::uninit(&mut space);
            let Poll::Ready(read) = stream.as_mut().poll_read(cx, &mut discarded) else {
                ready!(silence.as_mut().poll(cx));
                break;
            };
            *left = left.saturating_sub(discarded.filled().len());
            if read.is_err() || discarded.filled().is_empty() || *left == 0 {
                break;
            }
        }
        *self = Self::Over;
        Poll::Ready(Ok(()))
    }
}
