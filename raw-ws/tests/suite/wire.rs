//! The binary protocol from outside: rows 81 to 94 of the catalogue of hostile inputs by their
//! numbers, and what `PROTOCOL.md` promises beside them.

mod client;
mod packets;
mod requests;
mod rows;
mod streams;
mod support;
mod topics;
