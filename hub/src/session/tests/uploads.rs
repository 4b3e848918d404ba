use super::*;

#[test]
fn up_01_by_position_whatever_the_ids() {
    let mut pair = json(HubOptions::new());
    pair.say(&[
        upload("1", "U", &["x", "2", "y"]),
        item("y", b"1"),
        item("x", b"2"),
        item("2", b"3"),
    ]);
    assert_eq!(
        pair.log(),
        [
            "run U as 0",
            "item 1 for 0.2",
            "item 2 for 0.0",
            "item 3 for 0.1"
        ]
    );
}

#[test]
fn or_06_items_in_the_same_bytes_as_the_call_find_it() {
    for protocol in Protocol::ALL {
        let mut pair = Pair::open(HubOptions::new(), protocol);
        pair.say(&[
            upload("1", "U", &["x"]),
            item("x", b"1"),
            completion("x", Completion::Void),
        ]);
        assert_eq!(
            pair.log(),
            ["run U as 0", "item 1 for 0.0", "end of 0.0 None"]
        );
    }
}

#[test]
fn up_02_an_error_ends_an_upload_and_a_result_is_ignored() {
    let mut pair = json(HubOptions::new());
    pair.say(&[upload("1", "U", &["x", "y", "z"])]);
    // A server does not write an empty error (J-04).
    pair.deliver(b"{\"type\":3,\"invocationId\":\"x\",\"error\":\"\"}\x1e");
    pair.say(&[
        completion("y", Completion::Error("no".into())),
        completion("z", null(Protocol::Json)),
    ]);
    assert_eq!(
        pair.log(),
        [
            "run U as 0",
            "end of 0.0 Some(\"\")",
            "end of 0.1 Some(\"no\")",
            "end of 0.2 None"
        ]
    );
    assert_eq!(pair.received(), [""; 0]);
}

#[test]
fn up_05_up_07_what_belongs_to_nothing_is_ignored() {
    let mut pair = json(HubOptions::new());
    pair.say(&[item("x", b"1"), upload("1", "U", &["x"])]);
    pair.finish(0, null(Protocol::Json));
    pair.say(&[item("x", b"1"), HubMessage::Ping]);
    assert_eq!(pair.log(), ["run U as 0"]);
    assert_eq!(pair.server.end, None);
}

#[test]
fn up_09_without_an_id_too() {
    let mut pair = json(HubOptions::new());
    pair.say(&[upload("", "U", &["x"]), item("x", b"1")]);
    assert_eq!(pair.log(), ["run U as 0", "item 1 for 0.0"]);
    pair.finish(0, null(Protocol::Json));
    assert_eq!(pair.received(), [""; 0]);
}

#[test]
fn up_10_a_completion_is_for_an_upload_first_then_for_a_result() {
    let mut pair = json(HubOptions::new());
    let done = || completion("s1", Completion::Void);
    pair.say(&[upload("1", "U", &["s1"]), done(), done()]);
    assert_eq!(pair.log(), ["run U as 0", "end of 0.0 None", "result s1"]);
}

#[test]
fn row_126_x_01_an_id_in_use_is_refused_and_nothing_of_the_call_stays() {
    let mut pair = json(HubOptions::new());
    pair.say(&[
        upload("1", "U", &["7"]),
        upload("2", "V", &["8", "7"]),
        upload("3", "W", &["9", "9"]),
    ]);
    assert_eq!(
        pair.log(),
        [
            "run U as 0",
            "refuse V StreamIdInUse(\"7\")",
            "refuse W StreamIdInUse(\"9\")"
        ]
    );
    pair.say(&[
        item("7", b"1"),
        item("8", b"2"),
        item("9", b"3"),
        upload("4", "X", &["8", "9"]),
    ]);
    assert_eq!(pair.log(), ["item 1 for 0.0", "run X as 1"]);
    assert_eq!(pair.received(), ["error 2 refused", "error 3 refused"]);
}

#[test]
fn x_02_uploads_at_the_limit_and_one_past_it() {
    let mut pair = json(HubOptions::new().maximum_streams_per_client(3));
    pair.say(&[
        upload("1", "U", &["a", "b"]),
        upload("2", "V", &["c", "d"]),
        upload("3", "W", &["c"]),
        upload("4", "X", &["d"]),
    ]);
    assert_eq!(
        pair.log(),
        [
            "run U as 0",
            "refuse V TooManyStreams",
            "run W as 1",
            "refuse X TooManyStreams"
        ]
    );
}

#[test]
fn x_02_calls_whose_uploads_have_ended_still_count() {
    let mut pair = json(HubOptions::new().maximum_streams_per_client(2));
    for _ in 0..3 {
        let done = completion("a", Completion::Void);
        pair.say(&[upload("1", "U", &["a"]), done]);
    }
    let log = pair.log();
    assert_eq!(log[4..], ["refuse U TooManyStreams", "result a"]);
    assert_eq!(pair.server.running.len(), 2);
    pair.finish(0, null(Protocol::Json));
    pair.say(&[upload("1", "U", &["a"])]);
    assert_eq!(pair.log(), ["run U as 2"]);
}

#[test]
fn row_130_calls_that_gave_their_slot_back_still_count() {
    let mut pair = json(HubOptions::new().maximum_streams_per_client(2));
    for key in 0..2 {
        pair.say(&[call("1", "Asks")]);
        pair.release_slot(key);
    }
    pair.log();
    pair.say(&[call("2", "Asks")]);
    assert_eq!(pair.log(), ["refuse Asks TooManyStreams"]);
    pair.finish(0, null(Protocol::Json));
    pair.say(&[call("3", "Asks")]);
    assert_eq!(pair.log(), ["run Asks as 2"]);
}
