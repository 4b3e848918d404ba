//! Bugs put back in, each of which some seed must find.
