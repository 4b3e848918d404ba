use super::*;

const SECOND: Duration = Duration::from_secs(1);
const TOO_SILENT: &str = "close Some(\"Connection closed with an error.\") true";

#[test]
fn h_08_a_handshake_that_takes_too_long_is_refused() {
    let mut pair = Pair::new(HubOptions::new(), Protocol::Json);
    pair.live(15 * SECOND - Duration::from_millis(1));
    assert!(!pair.server.is_refused());
    pair.live(Duration::from_millis(1));
    assert!(pair.server.is_refused());
    assert_eq!(
        pair.client.handshake.as_deref(),
        Some(r#"{"error":"Handshake was canceled."}"#)
    );
}

#[test]
fn k_01_pings_go_out_from_the_handshake_on_whatever_else_happens() {
    let mut pair = json(HubOptions::new());
    pair.live(15 * SECOND - Duration::from_millis(1));
    pair.say(&[call("1", "Quick")]);
    pair.finish(0, null(Protocol::Json));
    assert_eq!(pair.received(), ["result 1"]);
    pair.live(Duration::from_millis(1));
    assert_eq!(pair.received(), ["ping"]);
    pair.live(150 * SECOND);
    assert_eq!(pair.received(), ["ping"; 10]);
}

#[test]
fn k_01_one_ping_for_however_many_were_missed() {
    let mut pair = json(HubOptions::new());
    pair.wait(100 * SECOND);
    assert_eq!(pair.received(), ["ping"]);
    pair.live(15 * SECOND);
    assert_eq!(pair.received(), ["ping"]);
}

#[test]
fn lp_15_a_transport_that_needs_no_pings_gets_none() {
    let now = Instant::now();
    let terms = Terms {
        pings: Pings::Needless,
        ..TERMS
    };
    let mut handshake = Handshake::new(Arc::new(HubOptions::new()), terms, now);
    handshake.handle_input(Bytes::from_static(
        b"{\"protocol\":\"json\",\"version\":1}\x1e",
    ));
    let Some(Ok(mut session)) = handshake.poll(now) else {
        panic!("not agreed");
    };
    session.go_on(now);
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn k_05_a_client_that_never_pings_may_be_silent() {
    let mut pair = json(HubOptions::new());
    pair.say(&[call("", "Quick")]);
    pair.live(3_600 * SECOND);
    assert_eq!(pair.server.end, None);
}

#[test]
fn k_05_k_07_one_that_has_pinged_may_not() {
    for protocol in Protocol::ALL {
        let mut pair = Pair::open(HubOptions::new(), protocol);
        pair.live(100 * SECOND);
        pair.say(&[HubMessage::Ping]);
        pair.received();
        pair.live(30 * SECOND - Duration::from_millis(1));
        assert_eq!(pair.server.end, None);
        pair.received();
        pair.live(Duration::from_millis(1));
        assert_eq!(pair.server.end, Some(End::Timeout));
        assert_eq!(pair.received(), [TOO_SILENT]);
    }
}

#[test]
fn k_06_any_whole_message_is_a_sign_of_life_and_half_a_one_is_not() {
    let mut pair = json(HubOptions::new());
    pair.say(&[HubMessage::Ping]);
    pair.live(29 * SECOND);
    pair.say(&[cancel("nobody")]);
    pair.live(29 * SECOND);
    pair.deliver(b"{\"type\":");
    pair.live(SECOND - Duration::from_millis(1));
    assert_eq!(pair.server.end, None);
    pair.live(Duration::from_millis(1));
    assert_eq!(pair.server.end, Some(End::Timeout));
}

#[test]
fn k_06_a_running_call_does_not_stop_the_clock_and_a_waiting_one_does() {
    let mut pair = json(HubOptions::new());
    pair.say(&[HubMessage::Ping, call("1", "Slow")]);
    pair.live(20 * SECOND);
    pair.say(&[call("2", "Waits")]);
    pair.live(100 * SECOND);
    assert_eq!(pair.server.end, None, "nothing was read: nobody was silent");
    pair.finish(0, null(Protocol::Json));
    pair.live(29 * SECOND);
    assert_eq!(pair.server.end, None);
    pair.live(SECOND);
    assert_eq!(pair.server.end, Some(End::Timeout), "call 2 runs");
}

#[test]
fn x_07_a_ping_behind_a_waiting_call_arms_the_clock() {
    let mut pair = json(HubOptions::new());
    pair.say(&[call("1", "Slow"), call("2", "Waits"), HubMessage::Ping]);
    pair.live(100 * SECOND);
    assert_eq!(pair.server.end, None);
    pair.finish(0, null(Protocol::Json));
    pair.live(30 * SECOND);
    assert_eq!(pair.server.end, Some(End::Timeout));
}

#[test]
fn a_deadline_that_has_passed_is_not_the_next_one() {
    let mut pair = json(HubOptions::new());
    pair.say(&[HubMessage::Ping]);
    while pair.server.end.is_none() {
        let at = pair.server.poll_timeout().unwrap();
        assert!(at > pair.now, "the driver would spin");
        pair.wait(at - pair.now);
    }
    assert_eq!(pair.server.poll_timeout(), None);
}
