//! Rooms depend downwards only.

use crate::layers::{Circle, Layers};

/// As in `src/lib.rs`.
const LAYERS: Layers = Layers {
    root: env!("CARGO_MANIFEST_DIR"),
    rooms: &[
        &["error", "protocol"],
        &["counted", "inbox", "values"],
        &["identity"],
        &["events", "jwt", "options"],
        &["backplanes"],
        &["session"],
        &["reach", "transport"],
        &["methods"],
        &["connection"],
        &["client", "endpoint"],
        &["testing"],
    ],
    circles: &[Circle {
        room: "methods",
        from: "context",
        to: "hub",
        why: "a call's context is one reference to all that its hub shares, whose method table \
              takes contexts; split in two it cost every call more references to count",
    }],
    // `values` are users' values; one of them reads the clock when it is asked to.
    machines: &["protocol", "counted", "options", "session"],
    // Data and a lock: neither a socket nor a task. With types of its own for them, the hub would
    // have the same things twice.
    plain_data: &[
        "use raw_ws::CloseCode;",
        "use raw_ws::Origins;",
        "use raw_ws::sync::RwLock;",
        "raw_ws::__setters!",
    ],
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
fn the_machine_names_no_socket_no_task_no_clock_and_no_random_source() {
    assert_eq!(LAYERS.impure(), [""; 0]);
    // What is excused excuses nothing else.
    let more = LAYERS.impurities("options", "use raw_ws::{Origins, WebSocket};");
    assert_eq!(more, ["options names raw_ws"]);
}
