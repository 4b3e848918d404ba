//! Rooms depend downwards only.

use crate::layers::{Circle, Layers};

/// As in `src/lib.rs`.
const LAYERS: Layers = Layers {
    root: env!("CARGO_MANIFEST_DIR"),
    rooms: &[
        &["clock", "setters", "sync", "vocabulary"],
        &["deflate", "events", "extensions", "stream"],
        &["proto"],
        &["outbound"],
        &["socket"],
        &["upgrade"],
        &["serve", "wire"],
    ],
    circles: &[Circle {
        room: "vocabulary",
        from: "close",
        to: "error",
        why: "an error has a close code, and a close code can be misused",
    }],
    machines: &["vocabulary", "deflate", "proto"],
    plain_data: &[],
};

#[test]
fn rooms_depend_downwards_only() {
    assert_eq!(LAYERS.upward(), [""; 0]);
    assert_eq!(LAYERS.missing(), [""; 0]);
}

#[test]
fn no_two_files_of_a_room_need_each_other_without_a_reason() {
    assert_eq!(LAYERS.circles(), [""; 0]);
    assert_eq!(LAYERS.needless_excuses(), [""; 0]);
}

#[test]
fn the_machines_name_no_socket_no_task_no_clock_and_no_random_source() {
    assert_eq!(LAYERS.impure(), [""; 0]);
}

#[test]
fn upward_and_root_imports_are_caught() {
    for (room, source, offence) in [
        (
            "vocabulary",
            "use crate::proto::Connection;",
            "vocabulary -> crate::proto",
        ),
        (
            "proto",
            "use crate::{vocabulary::error::Result, socket::{WebSocket, Settings}};",
            "proto -> crate::socket",
        ),
        (
            "proto",
            "use crate::{\n    deflate::Deflate as D,\n    tests::{self, Pair},\n};",
            "proto -> crate::tests",
        ),
        ("socket", "use crate::Config;", "socket -> crate::Config"),
        (
            "outbound",
            "let x = crate::serve::serve(y);",
            "outbound -> crate::serve",
        ),
    ] {
        assert_eq!(LAYERS.offences(room, source), [offence], "{source}");
    }
    for (room, source) in [
        ("wire", "use crate::{socket::WebSocket}; // crate::Nowhere"),
        (
            "vocabulary",
            "#[cfg(test)]\nmod tests {\n    use crate::wire::Packet;\n}",
        ),
        ("wire", "macro_rules! m { () => { $crate::Packet } }"),
    ] {
        assert_eq!(LAYERS.offences(room, source), [""; 0], "{source}");
    }
}

#[test]
fn circles_and_needless_excuses_are_caught() {
    let without = Layers {
        circles: &[],
        ..LAYERS
    };
    assert_eq!(
        without.circles(),
        ["vocabulary::close", "vocabulary::error"]
    );
    let needless = Layers {
        circles: &[Circle {
            room: "vocabulary",
            from: "mask",
            to: "error",
            why: "none",
        }],
        ..LAYERS
    };
    assert_eq!(needless.needless_excuses(), ["mask -> error"]);
}

#[test]
fn clocks_and_sockets_in_a_machine_are_caught() {
    assert_eq!(
        LAYERS.impurities("proto", "let now = Instant::now();"),
        ["proto names Instant::now"]
    );
    assert_eq!(
        LAYERS.impurities("deflate", "use tokio::time;"),
        ["deflate names tokio"]
    );
    assert_eq!(LAYERS.impurities("proto", "// tokio"), [""; 0]);
    assert_eq!(LAYERS.impurities("socket", "use tokio::time;"), [""; 0]);
}
