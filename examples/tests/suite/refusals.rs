//! Who is refused, and what whoever runs the server can know of it: pages of other origins, over
//! the raw layer and over a hub.

use std::{
    io::Read as _,
    net::{Ipv4Addr, SocketAddr},
    process::{Command, Stdio},
};

use crate::{
    children::{Server, example},
    peers::Peer,
};

const PAGE: &str = "https://app.example";

#[tokio::test]
async fn a_page_behind_a_proxy_that_hides_the_host_is_told_of_in_log_and_metrics() {
    for (name, path, crate_name, option) in [
        (
            "raw_server",
            "/echo",
            "raw_ws",
            "Upgrade::origins(Origins::list",
        ),
        (
            "hub_server",
            "/chat",
            "hub",
            "HubOptions::origins(Origins::list",
        ),
    ] {
        let mut command = Command::new(example(name));
        command.env("NO_COLOR", "1").stderr(Stdio::piped());
        let mut server = Server::spawn(&mut command).0;
        let address: SocketAddr = server.address().parse().unwrap();
        for origin in [PAGE, PAGE, PAGE, "https://other.example"] {
            let more = format!("Origin: {origin}\r\n");
            let (_, answer) = Peer::upgrade(Ipv4Addr::LOCALHOST, address, path, &more).await;
            assert_eq!(answer.status, 403, "{name}");
        }
        let metrics = Peer::ask(address, "/metrics").await;
        let counted = "raw_ws_refused_total{reason=\"origin\"} 4";
        assert!(metrics.contains(counted), "{name}: {metrics}");

        let mut stderr = server.stderr();
        drop(server);
        let mut log = String::new();
        stderr.read_to_string(&mut log).unwrap();
        let told: Vec<_> = log.lines().filter(|line| line.contains(PAGE)).collect();
        assert_eq!(told.len(), 1, "{log}");
        for word in [
            "WARN",
            &format!("{crate_name}::events"),
            &format!("host=\"{address}\""),
            option,
            "trusted_proxies",
        ] {
            assert!(told[0].contains(word), "{word} is not in {}", told[0]);
        }
        assert_eq!(log.matches("other.example").count(), 1, "{log}");
    }
}
