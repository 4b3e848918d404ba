//! Ten thousand WebSockets from one address, all at once, to a server as it is started without a flag.

use std::{
    io::Read as _,
    net::{Ipv4Addr, SocketAddr},
    process::{Command, Stdio},
};

use futures_util::{StreamExt as _, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    children::{Server, example},
    deploy::Proxy,
    peers::Peer,
    skip::skip,
};

const MANY: usize = 10_000;

/// Opened at a time through nginx, whose listener has a queue of 511.
const THROUGH_NGINX: usize = 256;

/// Both in one test: together they need more files than a process may open.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_from_one_address_are_served_and_one_more_is_told() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // The server keeps a tenth for other files.
    if maximum.is_some_and(|maximum| maximum < 11_200) {
        return skip("ulimit -Hn is below 11,200");
    }
    let current = maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();

    let (server, address) = start(&[]);
    ten_thousand_and_one(server, address, MANY).await;

    let (server, address) = start(&["--trusted-proxies", "127.0.0.1"]);
    if let Some(proxy) = Proxy::nginx(address).await {
        ten_thousand_and_one(server, proxy.address, THROUGH_NGINX).await;
    }
}

fn start(options: &[&str]) -> (Server, SocketAddr) {
    // With the usual limit of open files, which the server raises.
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -Sn 1024; exec \"$0\" \"$@\""])
        .arg(example("raw_server"))
        .args(options)
        .stderr(Stdio::piped());
    let server = Server::spawn(&mut command).0;
    let address = server.address().parse().unwrap();
    (server, address)
}

async fn ten_thousand_and_one(mut server: Server, at: SocketAddr, at_a_time: usize) {
    let open = |_| Peer::upgrade(Ipv4Addr::LOCALHOST, at, "/echo", "");
    let opened = stream::iter(0..MANY).map(open).buffer_unordered(at_a_time);
    let mut held: Vec<Peer> = opened
        .map(|(peer, answer)| {
            assert_eq!(answer.status, 101, "{}", answer.text);
            peer
        })
        .collect()
        .await;
    for _ in 0..10 {
        let (_, answer) = Peer::upgrade(Ipv4Addr::LOCALHOST, at, "/echo", "").await;
        assert_eq!(answer.status, 503);
        let text = answer.text.to_ascii_lowercase();
        assert!(text.contains("retry-after: 5"), "{text}");
        assert!(text.contains("too many connections"), "{text}");
    }
    for peer in &mut held {
        peer.echoes().await;
    }
    // One that leaves makes room.
    held.pop();
    while Peer::upgrade(Ipv4Addr::LOCALHOST, at, "/echo", "")
        .await
        .1
        .status
        != 101
    {}

    let mut stderr = server.stderr();
    drop(server);
    let mut log = String::new();
    stderr.read_to_string(&mut log).unwrap();
    let told = log
        .matches("too many connections: from 10000 on they are refused")
        .count();
    assert_eq!(told, 1, "{log}");
    assert!(log.contains("ServeConfig::max_connections"), "{log}");
}
