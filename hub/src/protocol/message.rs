//! The nine messages of the hub protocol, as data.

use bytes::Bytes;
use bytestring::ByteString;

/// A message of the hub protocol, as both ends see it (HubProtocol.md; spec J-03, J-04, M-01,
/// M-02). Values (arguments, items, results) stay in the encoding of the message's protocol until
/// somebody knows their type.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HubMessage {
    /// Type 1: a call. Without an `invocation_id` nobody answers it.
    Invocation(Invocation),
    /// Type 2: an item of a stream, in either direction.
    StreamItem {
        /// The stream: the id of the invocation that asked for it, or a stream id of an upload.
        invocation_id: ByteString,
        /// The encoded item.
        item: Bytes,
    },
    /// Type 3: the end of an invocation or of a stream.
    Completion {
        /// What has ended.
        invocation_id: ByteString,
        /// How it ended.
        completion: Completion,
    },
    /// Type 4: a call that is answered with a stream. Always has an `invocation_id`.
    StreamInvocation(Invocation),
    /// Type 5: the caller wants no more of a stream.
    CancelInvocation {
        /// The invocation that asked for the stream.
        invocation_id: ByteString,
    },
    /// Type 6: a sign of life.
    Ping,
    /// Type 7: the connection ends.
    Close {
        /// Why, if something failed. An empty text is an error too (J-04).
        error: Option<ByteString>,
        /// Whether the client may try again by itself.
        allow_reconnect: bool,
    },
    /// Type 8: everything up to this sequence id has arrived.
    Ack {
        /// The highest sequence id received.
        sequence_id: i64,
    },
    /// Type 9: the sequence id of the next message, after a reconnect.
    Sequence {
        /// The sequence id.
        sequence_id: i64,
    },
}

impl HubMessage {
    pub(crate) const PING: u8 = 6;
    pub(crate) const CLOSE: u8 = 7;
    pub(crate) const ACK: u8 = 8;
    pub(crate) const SEQUENCE: u8 = 9;

    /// Whether it has a sequence id where both ends count (SR-02).
    pub(crate) fn is_counted(&self) -> bool {
        match self {
            Self::Invocation(_)
            | Self::StreamItem { .. }
            | Self::Completion { .. }
            | Self::StreamInvocation(_)
            | Self::CancelInvocation { .. } => true,
            Self::Ping | Self::Close { .. } | Self::Ack { .. } | Self::Sequence { .. } => false,
        }
    }
}

/// A call of a method (types 1 and 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The name by which the caller knows this call; never empty.
    pub invocation_id: Option<ByteString>,
    /// The method.
    pub target: ByteString,
    /// The encoded array of arguments. In MessagePack it may be malformed (M-07): that is found
    /// when it is bound, and fails the call alone.
    pub arguments: Bytes,
    /// The streams that the caller will send, in the order of the method's stream parameters.
    pub stream_ids: Vec<ByteString>,
}

/// A call as it is written: parts of an [`Invocation`], or of one that exists nowhere else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) invocation_id: Option<&'a str>,
    pub(crate) target: &'a str,
    pub(crate) arguments: &'a [u8],
    pub(crate) stream_ids: &'a [ByteString],
}

impl Invocation {
    pub(crate) fn parts(&self) -> Call<'_> {
        Call {
            invocation_id: self.invocation_id.as_deref(),
            target: &self.target,
            arguments: &self.arguments,
            stream_ids: &self.stream_ids,
        }
    }
}

#[cfg(feature = "client")]
impl Call<'_> {
    pub(crate) fn to_invocation(self) -> Invocation {
        Invocation {
            invocation_id: self.invocation_id.map(ByteString::from),
            target: self.target.into(),
            arguments: Bytes::copy_from_slice(self.arguments),
            stream_ids: self.stream_ids.to_vec(),
        }
    }
}

/// How an invocation or a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completion {
    /// With an encoded result.
    Result(Bytes),
    /// Without a result: a stream that has ended (ST-01), or a client that returned nothing.
    Void,
    /// With an error.
    Error(ByteString),
}
