use super::*;

/// The answer to a first record, and whether the connection is over.
fn answer(options: HubOptions, record: &str) -> (String, bool) {
    let mut pair = Pair::new(options, Protocol::Json);
    pair.deliver(format!("{record}\u{1e}").as_bytes());
    let is_over = pair.server.is_refused();
    (pair.client.handshake.unwrap_or_default(), is_over)
}

#[test]
fn h_02_h_05_h_06_what_is_agreed_on() {
    for record in [
        r#"{"protocol":"json","version":1}"#,
        r#"{"protocol":"json","version":2}"#,
        r#"{"protocol":"json","version":0}"#,
        r#"{"protocol":"json","version":-1}"#,
        r#"{"protocol":"JSON","version":1}"#,
        r#"{"protocol":"messagepack","version":1}"#,
        r#"{"protocol":"MessagePack","version":2}"#,
        r#"{"version":1,"unknown":{"a":[]},"protocol":"xml","protocol":"json"}"#,
    ] {
        assert_eq!(
            answer(HubOptions::new(), record),
            ("{}".into(), false),
            "{record}"
        );
    }
}

#[test]
fn h_04_h_05_h_06_what_is_refused() {
    let generic = "An unexpected error occurred during connection handshake.";
    for (record, error) in [
        ("", generic),
        ("x", generic),
        ("[]", generic),
        ("null", generic),
        ("{}", generic),
        (r#"{"protocol":"json"}"#, generic),
        (r#"{"version":1}"#, generic),
        (r#"{"type":6}"#, generic),
        (r#"{"protocol":1,"version":1}"#, generic),
        (r#"{"protocol":"json","version":"1"}"#, generic),
        (r#"{"protocol":"json","version":1.0}"#, generic),
        (
            r#"{"protocol":"xml","version":1}"#,
            "The protocol 'xml' is not supported.",
        ),
        (
            r#"{"protocol":"json","version":3}"#,
            "The server does not support version 3 of the 'json' protocol.",
        ),
        (
            r#"{"protocol":"MessagePack","version":2147483647}"#,
            "The server does not support version 2147483647 of the 'MessagePack' protocol.",
        ),
    ] {
        let expected = format!("{{\"error\":\"{error}\"}}").replace('\'', "\\u0027");
        let (answer, is_over) = answer(HubOptions::new(), record);
        assert_eq!(answer.replace('\'', "\\u0027"), expected, "{record}");
        assert!(is_over, "{record}");
    }
}

#[test]
fn h_05_only_protocols_that_are_offered() {
    let only_json = HubOptions::new().supported_protocols([Protocol::Json]);
    let (text, is_over) = answer(only_json, r#"{"protocol":"messagepack","version":1}"#);
    assert!(text.contains("is not supported."), "{text}");
    assert!(is_over);
}

#[test]
fn h_09_binary_needs_a_transport_for_it() {
    let now = Instant::now();
    let terms = Terms {
        carries: TransferFormat::Text,
        ..TERMS
    };
    let mut handshake = Handshake::new(Arc::new(HubOptions::new()), terms, now);
    handshake.handle_input(Bytes::from_static(
        b"{\"protocol\":\"messagepack\",\"version\":1}\x1e",
    ));
    assert!(matches!(handshake.poll(now), Some(Err(_))));
    let answer = String::from_utf8(handshake.outgoing().1.to_vec()).unwrap();
    assert!(
        answer.contains("The transport does not support 'Binary' transfer format."),
        "{answer}"
    );
}

#[test]
fn row_97_a_name_of_a_book_is_not_echoed() {
    let record = format!(r#"{{"protocol":"{}","version":1}}"#, "é".repeat(5_000));
    let (text, _) = answer(HubOptions::new(), &record);
    let name = "é".repeat(64);
    assert_eq!(
        text,
        format!("{{\"error\":\"The protocol '{name}' is not supported.\"}}")
    );
}

#[test]
fn h_08_one_that_is_too_long_is_told_like_one_that_is_too_late() {
    let options = || HubOptions::new().maximum_receive_message_size(64);
    let record = r#"{"protocol":"json","version":1}"#;
    let fits = format!("{record}{}", " ".repeat(63 - record.len()));
    assert_eq!(answer(options(), &fits).0, "{}");
    let (text, is_over) = answer(options(), &format!("{fits} "));
    assert_eq!(text, r#"{"error":"Handshake was canceled."}"#);
    assert!(is_over);
}

#[test]
fn h_11_a_client_that_leaves_before_is_told_nothing() {
    let mut pair = Pair::new(HubOptions::new(), Protocol::Json);
    pair.deliver(b"{\"proto");
    pair.hang_up();
    assert!(pair.server.is_refused());
    assert_eq!(pair.client.handshake, None);
    assert_eq!(pair.received(), [""; 0]);
}

#[test]
fn h_10_nothing_is_heard_or_said_after_a_refusal() {
    let mut pair = Pair::new(HubOptions::new(), Protocol::Json);
    pair.deliver(b"{}\x1e{\"type\":6}\x1e");
    assert!(pair.client.handshake.is_some());
    assert_eq!(pair.server.poll_timeout(), None);
    pair.live(Duration::from_secs(100));
    pair.hang_up();
    assert_eq!(pair.received(), [""; 0]);
    assert_eq!(pair.log(), [""; 0]);
}

#[test]
fn row_102_a_second_handshake_is_no_message() {
    let mut pair = json(HubOptions::new());
    pair.deliver(&pair.hello());
    assert!(matches!(pair.server.end, Some(End::Protocol(_))));
    assert_eq!(
        pair.received(),
        ["close Some(\"Connection closed with an error.\") true"]
    );
}
