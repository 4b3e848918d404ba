use super::*;

#[test]
fn or_01_or_03_one_at_a_time_in_order() {
    let mut pair = json(HubOptions::new());
    pair.say(&[call("1", "A"), call("2", "B"), call("3", "C")]);
    assert_eq!(pair.log(), ["run A as 0", "hold B as 1"]);
    pair.finish(0, null(Protocol::Json));
    assert_eq!(pair.log(), ["start 1", "hold C as 2"]);
    pair.finish(1, null(Protocol::Json));
    assert_eq!(pair.log(), ["start 2"]);
    pair.finish(2, null(Protocol::Json));
    assert_eq!(pair.received(), ["result 1", "result 2", "result 3"]);
}

#[test]
fn or_02_as_many_at_a_time_as_there_are_slots() {
    let mut pair = json(HubOptions::new().maximum_parallel_invocations_per_client(3));
    pair.say(&[
        call("1", "A"),
        call("2", "B"),
        call("3", "C"),
        call("4", "D"),
        call("5", "E"),
    ]);
    let running = ["run A as 0", "run B as 1", "run C as 2", "hold D as 3"];
    assert_eq!(pair.log(), running);
    pair.finish(1, null(Protocol::Json));
    assert_eq!(pair.log(), ["start 3", "hold E as 4"]);
    pair.finish(3, null(Protocol::Json));
    pair.finish(4, null(Protocol::Json));
    pair.finish(2, null(Protocol::Json));
    pair.finish(0, null(Protocol::Json));
    assert_eq!(
        pair.received(),
        ["result 2", "result 4", "result 5", "result 3", "result 1"]
    );
}

#[test]
fn or_02_no_slot_at_all_is_one_slot() {
    let mut pair = json(HubOptions::new().maximum_parallel_invocations_per_client(0));
    pair.say(&[call("1", "A"), call("2", "B")]);
    assert_eq!(pair.log(), ["run A as 0", "hold B as 1"]);
}

#[test]
fn or_02_nothing_behind_a_waiting_call_happens_before_it() {
    let mut pair = json(HubOptions::new());
    pair.say(&[
        stream("s", "S"),
        call("1", "A"),
        call("2", "B"),
        cancel("s"),
        completion("r", Completion::Void),
        stream("t", "T"),
    ]);
    assert_eq!(pair.log(), ["run S as 0", "run A as 1", "hold B as 2"]);
    assert_eq!(pair.received(), [""; 0]);
    pair.finish(1, null(Protocol::Json));
    assert_eq!(
        pair.log(),
        ["start 2", "cancel 0", "result r", "run T as 3"]
    );
    assert_eq!(pair.received(), ["result 1", "done s"]);
}

#[test]
fn or_04_streams_and_uploads_take_no_slot() {
    let mut pair = json(HubOptions::new());
    pair.say(&[
        call("1", "A"),
        stream("2", "S"),
        upload("3", "U", &["u"]),
        stream("4", "S"),
    ]);
    let all_run = ["run A as 0", "run S as 1", "run U as 2", "run S as 3"];
    assert_eq!(pair.log(), all_run);
}

#[test]
fn or_05_cancels_items_and_answers_pass_a_running_call() {
    let mut pair = json(HubOptions::new());
    pair.say(&[call("1", "A"), upload("2", "U", &["u"]), stream("3", "S")]);
    pair.log();
    pair.say(&[
        item("u", b"1"),
        completion("u", Completion::Void),
        cancel("3"),
        completion("r", Completion::Void),
        HubMessage::Ping,
    ]);
    assert_eq!(
        pair.log(),
        ["item 1 for 1.0", "end of 1.0 None", "cancel 2", "result r"]
    );
}

#[test]
fn cr_07_a_call_that_waits_for_its_client_gives_its_slot_back_for_good() {
    let mut pair = json(HubOptions::new());
    pair.say(&[call("1", "Asks"), call("2", "B"), call("3", "C")]);
    pair.log();
    pair.release_slot(0);
    assert_eq!(pair.log(), ["start 1", "hold C as 2"]);
    // Given back once, by whoever had it.
    pair.release_slot(0);
    pair.finish(0, null(Protocol::Json));
    assert_eq!(pair.log(), [""; 0]);
    pair.finish(1, null(Protocol::Json));
    assert_eq!(pair.log(), ["start 2"]);
}

#[test]
fn in_03_without_an_id_nobody_is_told() {
    let mut pair = json(HubOptions::new());
    pair.say(&[call("", "A"), call("", "B")]);
    pair.finish(0, null(Protocol::Json));
    pair.finish(1, Completion::Error("no".into()));
    assert_eq!(pair.received(), [""; 0]);
}

#[test]
fn in_15_ids_of_plain_calls_may_be_used_again() {
    let mut pair = json(HubOptions::new().maximum_parallel_invocations_per_client(2));
    pair.say(&[call("1", "A"), call("1", "B")]);
    pair.finish(1, null(Protocol::Json));
    pair.finish(0, Completion::Error("no".into()));
    assert_eq!(pair.received(), ["result 1", "error 1 no"]);
}

#[test]
fn st_05_the_id_of_a_running_stream_may_not_and_the_first_goes_on() {
    let mut pair = json(HubOptions::new());
    pair.say(&[stream("1", "A"), stream("1", "B"), cancel("1")]);
    assert_eq!(
        pair.log(),
        ["run A as 0", "refuse B IdInUse(\"1\")", "cancel 0"]
    );
    pair.say(&[stream("1", "C")]);
    assert_eq!(pair.log(), ["run C as 1"], "the id is free again");
    assert_eq!(pair.received(), ["error 1 refused", "done 1"]);
}

#[test]
fn st_06_st_07_cancel() {
    let mut pair = json(HubOptions::new());
    pair.say(&[stream("1", "S"), call("2", "A"), cancel("3")]);
    pair.say(&[cancel("1"), cancel("1"), cancel("2"), cancel("2")]);
    assert_eq!(
        pair.log(),
        [
            "run S as 0",
            "run A as 1",
            "cancel 0",
            "cancel 1",
            "cancel 1"
        ]
    );
    pair.finish(1, null(Protocol::Json));
    pair.say(&[cancel("2")]);
    assert_eq!(pair.log(), [""; 0]);
    assert_eq!(pair.received(), ["done 1", "result 2"]);
}

#[test]
fn st_01_items_then_one_completion() {
    for protocol in Protocol::ALL {
        let mut pair = Pair::open(HubOptions::new(), protocol);
        pair.say(&[stream("1", "S")]);
        for _ in 0..3 {
            let value = Bytes::from_static(protocol.nothing());
            pair.server
                .machine
                .session()
                .item(&pair.server.running[0], value);
            pair.flush();
        }
        pair.finish(0, Completion::Void);
        assert_eq!(pair.received(), ["item 1", "item 1", "item 1", "done 1"]);
    }
}

#[test]
fn row_124_streams_at_the_limit_and_one_past_it() {
    let mut pair = json(HubOptions::new().maximum_streams_per_client(2));
    pair.say(&[stream("1", "S"), stream("2", "S"), stream("3", "S")]);
    let log = ["run S as 0", "run S as 1", "refuse S TooManyStreams"];
    assert_eq!(pair.log(), log);
    pair.say(&[cancel("1"), stream("3", "S")]);
    assert_eq!(pair.log(), ["cancel 0", "run S as 2"]);
}

#[test]
fn row_123_what_waits_is_bounded_and_pings_are_heard() {
    let limit = 4 * 1024;
    let mut pair = json(HubOptions::new().application_max_buffer_size(limit));
    let calls: Vec<_> = (0..20).map(|id| call(&id.to_string(), "Never")).collect();
    for _ in 0..1_000 {
        pair.say(&calls);
    }
    let chunk = pair.encode(&calls).len() + calls.len() * MESSAGE_OVERHEAD;
    let session = pair.server.machine.session();
    assert!(session.room(false) == 0);
    assert!(session.backlog_bytes < limit + chunk);
    assert!(pair.server.unread.len() > 900, "the rest was not taken");
}

#[test]
fn row_123_a_fault_that_waits_is_kept_once() {
    let mut pair = json(HubOptions::new());
    pair.say(&[call("1", "A"), call("2", "B")]);
    pair.deliver(b"what?\x1e");
    for _ in 0..100 {
        pair.say(&[HubMessage::Ping]);
    }
    assert_eq!(pair.server.machine.session().backlog.len(), 1);
    pair.finish(0, null(Protocol::Json));
    assert!(matches!(pair.server.end, Some(End::Protocol(_))));
    assert_eq!(
        pair.received(),
        [
            "result 1",
            "close Some(\"Connection closed with an error.\") true"
        ]
    );
}
