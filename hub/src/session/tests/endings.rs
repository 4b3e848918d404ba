use super::*;
use crate::error::HubError;

/// Section 17: what the client is told, plain and in detail.
#[test]
fn cl_01_to_cl_08_the_last_word() {
    let generic = "Connection closed with an error.";
    let silent = "OperationCanceledException: Client hasn't sent a message/ping within the configured ClientTimeoutInterval.";
    let refused = |error: HubError| End::not_let_in(&error);
    let fault = End::Protocol(ProtocolError::invalid("no"));
    for (end, details, allow_reconnect) in [
        (
            refused(HubError::hidden("IOException", "no")),
            Some("IOException: no"),
            false,
        ),
        (fault, Some("InvalidDataException: no"), true),
        (End::Timeout, Some(silent), true),
        (End::ClientClosed(None), None, false),
        (End::ClientClosed(Some("no".into())), None, false),
        (End::Aborted, None, false),
        (End::Expired, None, true),
        (End::Shutdown, None, true),
        (End::ClientLeft, None, true),
    ] {
        for protocol in Protocol::ALL {
            let mut pair = Pair::open(HubOptions::new(), protocol);
            pair.end(end.clone());
            let error = details.map(|_| generic);
            let close = format!("close {error:?} {allow_reconnect}");
            assert_eq!(pair.received(), [close], "{end:?}");

            let mut pair = Pair::open(detailed(), protocol);
            pair.end(end.clone());
            let error = details.map(|details| format!("{generic} {details}"));
            let close = format!("close {error:?} {allow_reconnect}");
            assert_eq!(pair.received(), [close], "{end:?}");
        }
    }
    // An error that is meant for the client is shown without detailed errors.
    let mut pair = json(HubOptions::new());
    pair.end(refused(HubError::new("no")));
    let close = format!("close Some(\"{generic} HubException: no\") false");
    assert_eq!(pair.received(), [close]);
}

#[test]
fn the_bytes_of_close_as_dotnet_writes_them() {
    for (end, text) in [
        (End::Aborted, r#"{"type":7}"#),
        (End::Shutdown, r#"{"type":7,"allowReconnect":true}"#),
        (
            End::Timeout,
            r#"{"type":7,"error":"Connection closed with an error.","allowReconnect":true}"#,
        ),
    ] {
        let mut pair = json(HubOptions::new());
        pair.server.machine.session().end(end);
        let sent = pair.server.machine.session().outgoing().1.to_vec();
        assert_eq!(
            String::from_utf8(sent).unwrap(),
            format!("{text}\u{1e}"),
            "CL"
        );
    }
}

#[test]
fn cl_03_the_client_says_so() {
    for error in [None, Some(ByteString::from("why"))] {
        let mut pair = json(HubOptions::new());
        let close = HubMessage::Close {
            error: error.clone(),
            allow_reconnect: true,
        };
        pair.say(&[close, call("1", "A")]);
        assert_eq!(pair.server.end, Some(End::ClientClosed(error)));
        assert_eq!(pair.received(), ["close None false"]);
        assert_eq!(pair.log(), [""; 0]);
    }
}

#[test]
fn cl_07_f_04_the_client_just_leaves() {
    let mut pair = json(HubOptions::new());
    pair.hang_up();
    assert_eq!(pair.server.end, Some(End::ClientLeft));

    let mut pair = json(detailed());
    pair.deliver(b"{");
    pair.hang_up();
    let fault = "Connection terminated while reading a message.";
    assert_eq!(
        pair.server.end,
        Some(End::Protocol(ProtocolError::invalid(fault)))
    );
}

#[test]
fn cl_12_nothing_is_said_or_heard_after_close() {
    let mut pair = json(HubOptions::new());
    pair.say(&[stream("1", "S"), call("2", "A"), call("3", "B")]);
    pair.end(End::Aborted);
    pair.received();
    let stream = pair.server.running.remove(0);
    pair.server
        .machine
        .session()
        .item(&stream, Bytes::from_static(b"1"));
    pair.server
        .machine
        .session()
        .complete(stream, Completion::Void);
    pair.say(&[call("4", "C"), HubMessage::Ping]);
    pair.finish(1, null(Protocol::Json));
    pair.live(Duration::from_secs(100));
    pair.hang_up();
    assert_eq!(pair.received(), [""; 0]);
}

#[test]
fn cl_02_what_came_before_a_fault_still_happens() {
    let mut pair = json(detailed());
    let mut bytes = pair.encode(&[call("1", "A")]);
    bytes.extend_from_slice(b"{\"type\":\x1e");
    bytes.extend(pair.encode(&[call("2", "B")]));
    pair.deliver(&bytes);
    assert_eq!(pair.log(), ["run A as 0"]);
    assert!(matches!(pair.server.end, Some(End::Protocol(_))));
}
