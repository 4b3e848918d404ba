//! The load against servers of a few lines.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use bench::{
    load::{self, Dialect, FloodLoad, HubProtocol, Observer, Target, Traffic, Window},
    peers,
    process::Process,
};

use crate::beside_others;

#[test]
fn every_echo_has_a_latency_and_costs_time() {
    let _process = beside_others();
    let target = Target::raw_tcp(serve(echo));
    let this = Process::current().unwrap();
    let measurement = load::echo(&target, LOAD, SHORT, Some(&this)).unwrap();
    assert!(measurement.messages > 0);
    assert_eq!(measurement.messages, measurement.latency.len());
    assert!(measurement.server_per_message() > Some(Duration::ZERO));
    assert!(measurement.latency_at(0.5) <= measurement.latency_at(0.99));
}

#[test]
fn connections_are_opened_one_behind_the_other() {
    let _process = beside_others();
    let hub = Target::web_socket(crate::serve(&peers::Hub), "/bench");
    let dialect = Dialect::Hub(HubProtocol::Json);
    let measured = load::connect(&hub, dialect, 3, SHORT, Observer::in_process()).unwrap();
    assert!(measured.messages > 3, "{measured}");
    assert_eq!(measured.messages, measured.latency.len());

    let nowhere = Target::web_socket(hub.address(), "/nowhere");
    let error = load::connect(&nowhere, dialect, 3, SHORT, None).unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
}

#[test]
fn every_message_of_the_quiet_has_a_latency_with_and_without_a_flood() {
    let _process = beside_others();
    let target = Target::raw_tcp(serve(echo));
    let load = FloodLoad {
        flooders: 2,
        quiet: 3,
        size: 20,
        dialect: Dialect::Messages,
    };
    let flood = load::flood(&target, load, SHORT).unwrap();
    assert!(!flood.alone.is_empty() && flood.alone.len().is_multiple_of(3));
    assert_eq!(flood.alone.len(), flood.beside.len());
    assert!(flood.flooded_per_second > 0.0);
}

#[test]
fn a_server_that_hangs_up_is_an_error() {
    let _process = beside_others();
    let target = Target::raw_tcp(serve(|mut stream| stream.read(&mut [0; 26]).map(drop)));
    let error = load::echo(&target, LOAD, SHORT, None).unwrap_err();
    let is_reset = error.kind() == io::ErrorKind::ConnectionReset;
    assert!(
        is_reset || error.to_string() == "the server closed the connection",
        "{error}"
    );
}

#[test]
fn a_refused_upgrade_is_reported_with_its_status() {
    let _process = beside_others();
    let address = serve(|mut stream| {
        let end_of_request = |line: &String| line.is_empty();
        BufReader::new(&stream)
            .lines()
            .map_while(Result::ok)
            .find(end_of_request);
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
    });
    let target = Target::web_socket(address, "/nowhere");
    let error = load::echo(&target, LOAD, SHORT, None).unwrap_err();
    let expected = format!(
        "connection 1 of 4: cannot connect to ws://{address}/nowhere: \
         the upgrade was refused with \"HTTP/1.1 404 Not Found\""
    );
    assert_eq!(error.to_string(), expected);
}

/// Runs `connection` on a thread for every connection, until the test's process ends.
pub(crate) fn serve(connection: fn(TcpStream) -> io::Result<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || connection(stream));
        }
    });
    address
}

pub(crate) fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read])?,
        }
    }
}

const LOAD: Traffic = Traffic {
    connections: 4,
    depth: 3,
    size: 20,
    dialect: Dialect::Messages,
};
const SHORT: Window = Window {
    warm_up: Duration::from_millis(20),
    measured: Duration::from_millis(100),
};
