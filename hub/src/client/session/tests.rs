use super::*;
use crate::protocol::{
    Names,
    message::{Completion, Invocation},
};

fn terms(stateful: Option<usize>) -> Terms {
    Terms {
        encoding: Encoding {
            protocol: Protocol::Json,
            names: Names::AsDeclared,
        },
        handshake_timeout: Duration::from_secs(15),
        keep_alive: Some(Duration::from_secs(15)),
        server_timeout: Some(Duration::from_secs(30)),
        max_message_size: 1000,
        stateful,
    }
}

fn say(session: &mut Session, text: &str, now: Instant) {
    let text = text.replace('|', "\u{1e}");
    session.receive(Bytes::from(text), now);
}

/// All that is to be written, each record's end shown as `|`.
fn written(session: &mut Session) -> String {
    let mut all = String::new();
    while let Some(bytes) = session.outgoing(usize::MAX) {
        all += std::str::from_utf8(&bytes).unwrap();
    }
    all.replace('\u{1e}', "|")
}

fn heard(session: &mut Session, now: Instant) -> Vec<Heard> {
    std::iter::from_fn(|| session.next(now).unwrap()).collect()
}

fn open(stateful: Option<usize>, now: Instant) -> Session {
    let mut session = Session::new(terms(stateful), now);
    written(&mut session);
    say(&mut session, "{}|", now);
    assert_eq!(heard(&mut session, now), [Heard::Opened]);
    session
}

fn cancel(id: &str) -> HubMessage {
    HubMessage::CancelInvocation {
        invocation_id: id.into(),
    }
}

fn told(target: &str) -> Heard {
    Heard::Message(HubMessage::Invocation(Invocation {
        invocation_id: None,
        target: target.into(),
        arguments: Bytes::from("[]"),
        stream_ids: Vec::new(),
    }))
}

fn call(target: &str) -> String {
    format!(r#"{{"type":1,"target":"{target}","arguments":[]}}|"#)
}

#[test]
fn h_01_it_begins_with_the_hub_handshake() {
    let now = Instant::now();
    for (stateful, version) in [(None, 1), (Some(1000), 2)] {
        let mut session = Session::new(terms(stateful), now);
        let request = format!(r#"{{"protocol":"json","version":{version}}}|"#);
        assert_eq!(written(&mut session), request);
        // What stands behind the answer belongs to what follows.
        say(&mut session, &format!("{{}}|{}", call("Told")), now);
        assert_eq!(heard(&mut session, now), [Heard::Opened, told("Told")]);
    }
}

#[test]
fn h_02_a_refusal_is_told_with_its_text() {
    let now = Instant::now();
    let mut session = Session::new(terms(None), now);
    say(&mut session, r#"{"error":"no such protocol"}|"#, now);
    let refused = Fault::Refused("no such protocol".into());
    assert_eq!(session.next(now), Err(refused));
}

#[test]
fn wherever_what_comes_is_cut_the_same_is_heard() {
    let now = Instant::now();
    let stream = format!("{{}}|{}{{\"type\":6}}|{}", call("One"), call("Two"));
    for at in 0..stream.len() {
        let mut session = Session::new(terms(None), now);
        let mut all = Vec::new();
        for part in [&stream[..at], &stream[at..]] {
            say(&mut session, part, now);
            all.extend(heard(&mut session, now));
        }
        assert_eq!(
            all,
            [Heard::Opened, told("One"), told("Two")],
            "cut at {at}"
        );
    }
}

#[test]
fn a_message_that_is_too_long_ends_it() {
    let now = Instant::now();
    let mut session = open(None, now);
    say(&mut session, &"x".repeat(1001), now);
    assert!(matches!(session.next(now), Err(Fault::Protocol(_))));
}

#[test]
fn k_09_it_pings_and_is_patient_for_so_long() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let mut session = Session::new(terms(None), now);
    assert_eq!(session.deadline(), Some(at(15)));
    assert_eq!(session.tick(at(15)), Err(Fault::NoHandshake));

    let mut session = open(None, now);
    assert_eq!(session.deadline(), Some(at(15)));
    assert_eq!(session.tick(at(15)), Ok(()));
    assert_eq!(written(&mut session), r#"{"type":6}|"#);
    assert_eq!(session.deadline(), Some(at(30)));
    // Whatever comes is a sign of life.
    say(&mut session, r#"{"ty"#, at(20));
    assert_eq!(session.tick(at(49)), Ok(()));
    assert_eq!(session.tick(at(50)), Err(Fault::Silent));
    // While nothing is read, nothing can be heard.
    session.rests();
    assert_eq!(session.tick(at(500)), Ok(()));
    session.listens(at(500));
    assert_eq!(session.tick(at(529)), Ok(()));
    assert_eq!(session.tick(at(530)), Err(Fault::Silent));
}

#[test]
fn lp_15_polls_need_no_pings() {
    let now = Instant::now();
    let terms = Terms {
        keep_alive: None,
        server_timeout: None,
        ..terms(None)
    };
    let mut session = Session::new(terms, now);
    say(&mut session, "{}|", now);
    assert_eq!(heard(&mut session, now), [Heard::Opened]);
    assert_eq!(session.deadline(), None);
}

#[test]
fn sr_22_who_counts_says_so_at_once() {
    let now = Instant::now();
    let mut session = open(Some(1000), now);
    assert_eq!(written(&mut session), r#"{"type":6}|"#);
    assert!(session.can_resume());
    assert!(!open(None, now).can_resume());
}

#[test]
fn sr_05_what_came_is_acknowledged_after_a_second() {
    let now = Instant::now();
    let mut session = open(Some(1000), now);
    written(&mut session);
    say(&mut session, &[call("One"), call("Two")].concat(), now);
    heard(&mut session, now);
    let second = now + Duration::from_secs(1);
    assert_eq!(session.deadline(), Some(second));
    session.tick(second).unwrap();
    assert_eq!(written(&mut session), r#"{"type":8,"sequenceId":2}|"#);
}

#[test]
fn sr_05_much_is_acknowledged_at_once() {
    let now = Instant::now();
    let mut session = open(Some(1000), now);
    written(&mut session);
    let long = call(&"x".repeat(900));
    let mut acknowledged = String::new();
    for _ in 0..40 {
        say(&mut session, &long, now);
        heard(&mut session, now);
        acknowledged += &written(&mut session);
    }
    // Before the one that made it so much was counted.
    assert_eq!(acknowledged, r#"{"type":8,"sequenceId":34}|"#);
}

#[test]
fn sr_20_what_is_unacknowledged_leaves_again_behind_its_sequence() {
    let now = Instant::now();
    let mut session = open(Some(1000), now);
    written(&mut session);
    for id in ["1", "2", "3"] {
        session.send(&cancel(id));
    }
    assert!(written(&mut session).contains(r#""3""#));
    say(&mut session, r#"{"type":8,"sequenceId":1}|"#, now);
    assert_eq!(heard(&mut session, now), []);

    session.lost();
    assert_eq!(session.deadline(), None);
    session.send(&cancel("4"));
    assert_eq!(session.outgoing(usize::MAX), None);
    session.resume(now);
    let again = [
        r#"{"type":9,"sequenceId":2}|"#,
        r#"{"type":5,"invocationId":"2"}|"#,
        r#"{"type":5,"invocationId":"3"}|"#,
        r#"{"type":5,"invocationId":"4"}|"#,
    ];
    assert_eq!(written(&mut session), again.concat());
}

#[test]
fn sr_10_what_comes_again_is_not_heard_twice() {
    let now = Instant::now();
    let mut session = open(Some(1000), now);
    say(
        &mut session,
        &[call("One"), call("Two"), r#"{"type":1,"#.into()].concat(),
        now,
    );
    assert_eq!(heard(&mut session, now), [told("One"), told("Two")]);
    session.lost();
    session.resume(now);
    // What was meant for the old socket, whole or not, comes again.
    say(&mut session, &call("Early"), now);
    assert_eq!(heard(&mut session, now), []);
    let again = [
        r#"{"type":9,"sequenceId":2}|"#.into(),
        call("Two"),
        call("Three"),
    ];
    say(&mut session, &again.concat(), now);
    assert_eq!(heard(&mut session, now), [Heard::Resumed, told("Three")]);
}

#[test]
fn sr_09_a_sequence_that_skips_something_ends_it() {
    let now = Instant::now();
    let mut session = open(Some(1000), now);
    session.lost();
    session.resume(now);
    say(&mut session, r#"{"type":9,"sequenceId":2}|"#, now);
    assert!(matches!(session.next(now), Err(Fault::Protocol(_))));
}

#[test]
fn sr_04_no_more_leaves_than_may_be_unacknowledged() {
    let now = Instant::now();
    let mut session = open(Some(50), now);
    written(&mut session);
    for id in ["1", "2", "3"] {
        session.send(&cancel(id));
    }
    // The one that crosses the limit leaves.
    assert_eq!(written(&mut session).matches('|').count(), 2);
    assert!(session.queued() > 0);
    say(&mut session, r#"{"type":8,"sequenceId":1}|"#, now);
    heard(&mut session, now);
    assert_eq!(written(&mut session).matches('|').count(), 1);
    assert_eq!(session.queued(), 0);
}

#[test]
fn a_call_is_written_once_as_a_call_or_as_one_for_a_stream() {
    let now = Instant::now();
    let mut session = open(None, now);
    let call = Call {
        invocation_id: Some("7"),
        target: "Do",
        arguments: b"[1]",
        stream_ids: &["8".into()],
    };
    session.call(call, false);
    session.call(call, true);
    let [plain, streamed] = [1, 4].map(|kind| {
        format!(
            r#"{{"type":{kind},"invocationId":"7","target":"Do","arguments":[1],"streamIds":["8"]}}|"#
        )
    });
    assert_eq!(written(&mut session), plain + &streamed);
}

#[test]
fn cl_14_a_close_says_whether_to_come_back() {
    let now = Instant::now();
    for (text, error, allow_reconnect) in [
        (r#"{"type":7}|"#, None, false),
        (
            r#"{"type":7,"error":"x","allowReconnect":true}|"#,
            Some("x"),
            true,
        ),
    ] {
        let mut session = open(None, now);
        say(&mut session, text, now);
        let close = Heard::Close {
            error: error.map(ByteString::from),
            allow_reconnect,
        };
        assert_eq!(heard(&mut session, now), [close]);
    }
}

#[test]
fn st_01_items_and_ends_of_streams_are_passed_on() {
    let now = Instant::now();
    let mut session = open(None, now);
    say(
        &mut session,
        r#"{"type":2,"invocationId":"1","item":5}|{"type":3,"invocationId":"1"}|"#,
        now,
    );
    let item = HubMessage::StreamItem {
        invocation_id: "1".into(),
        item: Bytes::from("5"),
    };
    let end = HubMessage::Completion {
        invocation_id: "1".into(),
        completion: Completion::Void,
    };
    assert_eq!(
        heard(&mut session, now),
        [Heard::Message(item), Heard::Message(end)]
    );
}
