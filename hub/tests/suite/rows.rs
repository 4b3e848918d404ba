//! The README's table for people who know ASP.NET Core: complete, and its code compiles.

use std::{fs, path::Path};

use crate::mistakes::compile;

/// The rows of the README's table for people who know ASP.NET Core: the left side, and the code of the
/// right.
fn rows() -> Vec<(&'static str, Vec<&'static str>)> {
    let readme = include_str!("../../README.md");
    let (_, section) = readme.split_once("## From ASP.NET Core SignalR\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| {
        let (there, here) = line.strip_prefix('|')?.strip_suffix('|')?.split_once('|')?;
        Some((there.trim(), here.trim()))
    });
    // What is in brackets too is a link, which rustdoc looks after.
    let code = |text: &'static str| {
        let mut parts = text.split('`');
        let mut code = Vec::new();
        while let (Some(before), Some(span)) = (parts.next(), parts.next()) {
            if !before.ends_with('[') {
                code.push(span);
            }
        }
        code
    };
    rows.skip(1)
        .map(|(there, here)| (there, code(here)))
        .collect()
}

/// What is ASP.NET Core's, or a word, and no code of this crate.
const NO_CODE: [&str; 8] = [
    "Err",
    "?",
    "jwt",
    "testing",
    "redis",
    "null",
    "raw_ws",
    "raw_ws::ServeConfig::trusted_proxies",
];

#[test]
fn the_code_beside_each_member_of_aspnet_core_compiles() {
    let mut program = include_str!("rows/around.rs").to_owned();
    let mut count = 0;
    for (_, code) in rows() {
        for span in code.into_iter().filter(|span| !NO_CODE.contains(span)) {
            count += 1;
            program.push_str(&format!(
                "async fn row_{count}(given: Given) {{\n    let Given {{ cx, hub, handle, options, path, call, state, id, ids, seconds, deadline, redis }} = given;\n    let _ = {span};\n}}\n"
            ));
        }
    }
    assert!(count > 80, "{count}");
    program.push_str("fn main() {}\n");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rows.rs");
    fs::write(&file, program).unwrap();
    let errors: String = compile(&file)
        .iter()
        .filter_map(|message| message["rendered"].as_str())
        .collect();
    assert!(errors.is_empty(), "{errors}");
}

/// Every member of the types that hubs are written with, as of ASP.NET Core 10.
const MEMBERS: &[(&str, &[&str])] = &[
    (
        "Hub",
        &[
            "Clients",
            "Context",
            "Groups",
            "OnConnectedAsync",
            "OnDisconnectedAsync",
            "Dispose",
        ],
    ),
    (
        "HubCallerContext",
        &[
            "ConnectionId",
            "UserIdentifier",
            "User",
            "Items",
            "Features",
            "ConnectionAborted",
            "Abort()",
        ],
    ),
    (
        "IHubCallerClients",
        &[
            "All",
            "AllExcept(ids)",
            "Caller",
            "Others",
            "Client(id)",
            "Clients(ids)",
            "Group(name)",
            "Groups(names)",
            "GroupExcept(name, ids)",
            "OthersInGroup(name)",
            "User(id)",
            "Users(ids)",
        ],
    ),
    (
        "IGroupManager",
        &[
            "AddToGroupAsync(id, name)",
            "RemoveFromGroupAsync(id, name)",
        ],
    ),
    (
        "HubOptions",
        &[
            "HandshakeTimeout",
            "KeepAliveInterval",
            "ClientTimeoutInterval",
            "SupportedProtocols",
            "MaximumReceiveMessageSize",
            "EnableDetailedErrors",
            "StreamBufferCapacity",
            "MaximumParallelInvocationsPerClient",
            "DisableImplicitFromServicesParameters",
            "StatefulReconnectBufferSize",
        ],
    ),
    (
        "HttpConnectionDispatcherOptions",
        &[
            "Transports",
            "LongPolling.PollTimeout",
            "WebSockets.CloseTimeout",
            "WebSockets.SubProtocolSelector",
            "TransportMaxBufferSize",
            "ApplicationMaxBufferSize",
            "TransportSendTimeout",
            "AuthorizationData",
            "MinimumProtocolVersion",
            "CloseOnAuthenticationExpiration",
            "AllowStatefulReconnects",
        ],
    ),
    (
        "IHubFilter",
        &[
            "InvokeMethodAsync",
            "OnConnectedAsync",
            "OnDisconnectedAsync",
        ],
    ),
];

#[test]
fn every_member_of_aspnet_core_has_its_row() {
    let rows = rows();
    for (group, members) in MEMBERS {
        let heading = format!("**`{group}`**");
        let behind = rows
            .iter()
            .skip_while(|(there, _)| *there != heading)
            .skip(1);
        let of_group: Vec<&str> = behind
            .map(|(there, _)| *there)
            .take_while(|there| !there.starts_with("**"))
            .collect();
        for member in *members {
            let quoted = format!("`{member}`");
            let is_there = of_group.iter().any(|there| there.contains(&quoted));
            assert!(is_there, "{group}.{member} is in no row of {of_group:?}");
        }
    }
}
