//! The stream of bytes under a WebSocket, whatever server it came from: TCP, TLS, or any other.
//!
//! It may import the `clock`. Begin with [`upgraded`], what an HTTP request leaves behind;
//! the next floor is [`outbound`](crate::outbound), which writes to it.

pub(crate) mod farewell;
pub(crate) mod tcp;
pub(crate) mod upgraded;
