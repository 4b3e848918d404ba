//! What a WebSocket server costs, measured from outside: processor time per message, resident
//! memory per connection, and the latency a client sees.
//!
//! [`load`] is the client, `peers` (a feature) are the servers, [`server`] starts the program under
//! test, [`process`] reads what that program used, [`profile`] tells how it was built, [`results`] is
//! how it is kept and [`machine`] what it was measured on. The tools are the examples of this package:
//! `load` drives any server, `peer` is one of the servers, `compare` runs all of them and prints the
//! tables, `report` draws them.

#[cfg(feature = "peers")]
pub mod exchange;
#[cfg(feature = "peers")]
pub mod in_memory;
pub mod load;
pub mod machine;
#[cfg(feature = "peers")]
pub mod peers;
pub mod process;
pub mod profile;
pub mod results;
pub mod server;

/// Prints a line, as `println!` does; where nobody reads any more it is lost, and nothing else
/// happens: `println!` would panic.
#[macro_export]
macro_rules! say {
    ($($what:tt)*) => {{
        use ::std::io::Write as _;
        let _ = writeln!(::std::io::stdout(), $($what)*);
    }};
}

/// [`say!`] on standard error.
#[macro_export]
macro_rules! tell {
    ($($what:tt)*) => {{
        use ::std::io::Write as _;
        let _ = writeln!(::std::io::stderr(), $($what)*);
    }};
}
