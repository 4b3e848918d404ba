//! The polling load against a hub: alone, since it waits until the process is quiet.

use std::net::SocketAddr;

use bench::{
    load::{self, HubProtocol, Target},
    process::Process,
};
use hub::{Context, Hub, HubOptions, Transport};

use crate::{alone, serve};

fn hub(options: HubOptions) -> SocketAddr {
    serve(|| {
        Hub::with_options((), options)
            .method("Echo", async |_: Context, text: String| Ok(text))
            .router("/hub")
    })
}

#[test]
fn every_client_polls_is_answered_and_leaves() {
    let _process = alone();
    let this = Process::current().unwrap();
    let address = hub(HubOptions::new());
    let target = Target::web_socket(address, "/hub");
    for protocol in HubProtocol::ALL {
        let memory = load::polling(&target, 8, protocol, &this).unwrap();
        assert_eq!(memory.connections, 8);
        assert!(memory.before > 0);
    }
    // A hub that refuses is an error that says so.
    let address = hub(HubOptions::new().transports([Transport::WebSockets]));
    let target = Target::web_socket(address, "/hub");
    let error = load::polling(&target, 8, HubProtocol::Json, &this).unwrap_err();
    let expected = "not the answer hoped for: http/1.1 404";
    assert!(error.to_string().starts_with(expected), "{error}");
}
