//! The polling load against a hub: alone, since it waits until the process is quiet.

use bench::{
    load::{self, Dialect, HubProtocol, Target, Work},
    peers::{self, Endpoint, Peer, Serving},
    process::Process,
};
use hub::{Hub, HubOptions, Transport};
use tokio::net::TcpListener;

use crate::{alone, serve};

/// Our hub, with one transport alone.
struct WebSocketsAlone;

impl Peer for WebSocketsAlone {
    fn name(&self) -> &'static str {
        "web-sockets-alone"
    }

    fn about(&self) -> &'static str {
        "a hub without long polling"
    }

    fn endpoint(&self, _: Work, _: Dialect) -> Option<Endpoint> {
        Some(Endpoint::WebSocket("/bench"))
    }

    fn serve(&self, listener: TcpListener) -> Serving {
        let options = HubOptions::new().transports([Transport::WebSockets]);
        let app = Hub::with_options((), options).router("/bench");
        Box::pin(async { raw_ws::serve(listener, app).await })
    }
}

#[test]
fn every_client_polls_is_answered_and_leaves() {
    let _process = alone();
    let this = Process::current().unwrap();
    let target = Target::web_socket(serve(&peers::Hub), "/bench");
    for protocol in HubProtocol::ALL {
        let memory = load::polling(&target, 8, protocol, &this).unwrap();
        assert_eq!(memory.connections, 8);
        assert!(memory.before > 0);
    }
    // A hub that refuses is an error that says so.
    let target = Target::web_socket(serve(&WebSocketsAlone), "/bench");
    let error = load::polling(&target, 8, HubProtocol::Json, &this).unwrap_err();
    let expected = "not the answer hoped for: http/1.1 404";
    assert!(error.to_string().starts_with(expected), "{error}");
}
