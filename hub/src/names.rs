//! How the members of user types are named on the wire.
