//! Deadlines, in simulated time.

use super::*;
use crate::vocabulary::error::CapacityError;

fn server(config: Config) -> (End, Instant) {
    let now = Instant::now();
    (End::new(Role::Server, config, now), now)
}

fn capacity(result: Result<(), Error>) -> Option<CapacityError> {
    match result {
        Ok(()) => None,
        Err(Error::Capacity(error)) => Some(error),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_silent_peer_is_pinged_after_the_interval_and_given_up_after_the_timeout() {
    let (mut server, start) = server(
        Config::new()
            .keep_alive_interval(30 * SECOND)
            .keep_alive_timeout(15 * SECOND),
    );
    let ping_at = start + 30 * SECOND;
    assert_eq!(server.proto.poll_timeout(), Some(ping_at));
    let just_before = ping_at - Duration::from_nanos(1);
    server.proto.handle_timeout(just_before).unwrap();
    assert_eq!(server.transmit(), []);

    server.proto.handle_timeout(ping_at).unwrap();
    assert_eq!(server.transmit(), [0x89, 0]);
    let give_up_at = ping_at + 15 * SECOND;
    assert_eq!(server.proto.poll_timeout(), Some(give_up_at));
    let just_before = give_up_at - Duration::from_nanos(1);
    server.proto.handle_timeout(just_before).unwrap();
    assert_eq!(server.transmit(), [], "it is pinged once");

    let over = capacity(server.proto.handle_timeout(give_up_at));
    assert_eq!(over, Some(CapacityError::PeerSilent));
    assert_eq!(server.proto.state(), State::Closed);
    assert_eq!(server.proto.poll_timeout(), None);
    assert_eq!(server.transmit(), [], "nobody would read a Close");
}

/// The ping stands behind all that the peer has not read.
#[test]
fn who_has_much_to_read_gets_more_time_for_a_ping() {
    for (unread, more) in [(0, 0), (20_479, 0), (240 * 1024, 120), (u32::MAX, 2550)] {
        let (mut server, start) = server(Config::new());
        let ping_at = start + 15 * SECOND;
        server.proto.set_unread(unread);
        server.proto.handle_timeout(ping_at).unwrap();
        assert_eq!(server.transmit(), [0x89, 0]);
        // What is written behind it takes nothing from the time for the answer.
        server.proto.set_unread(1 << 20);
        let give_up_at = ping_at + (15 + more) * SECOND;
        assert_eq!(server.proto.poll_timeout(), Some(give_up_at));
        let heard = server.proto.times_heard();
        server.take(&masked(OpCode::Pong, true, b""), ping_at + SECOND);
        assert_ne!(server.proto.times_heard(), heard);
        assert_eq!(server.proto.poll_timeout(), Some(ping_at + 16 * SECOND));
        server.proto.stop_keep_alive();
        assert_eq!(server.proto.poll_timeout(), None);
    }
}

#[test]
fn who_is_written_to_is_asked_whether_it_reads() {
    let (mut server, start) = server(Config::new());
    server.proto.has_written_much(start + SECOND / 2);
    assert_eq!(server.transmit(), [], "it was there just now");

    let ping_at = start + SECOND;
    server.proto.set_unread(22 * 1024);
    server.proto.has_written_much(ping_at);
    assert_eq!(server.transmit(), [0x89, 0]);
    server.proto.has_written_much(ping_at + 5 * SECOND);
    assert_eq!(server.transmit(), [], "it is pinged once");

    // Its answer says that it has read what stood before the ping, and no more.
    server.take(&masked(OpCode::Pong, true, b""), ping_at + 9 * SECOND);
    assert_eq!(server.proto.still_unread(25 * 1024), 5 * 1024);
    // What it says by itself is taken for a sign that it reads.
    server.take(&masked(OpCode::Binary, true, b"."), ping_at + 10 * SECOND);
    assert_eq!(server.proto.still_unread(25 * 1024), 0);

    let ping_at = ping_at + 12 * SECOND;
    server.proto.set_unread(20 * 1024);
    server.proto.stop_keep_alive();
    server.proto.has_written_much(ping_at);
    assert_eq!(
        server.transmit(),
        [0x89, 0],
        "also where silence is no fault"
    );
    let give_up_at = ping_at + (10 + 10) * SECOND;
    assert_eq!(server.proto.poll_timeout(), Some(give_up_at));
    let over = capacity(server.proto.handle_timeout(give_up_at));
    assert_eq!(over, Some(CapacityError::SlowConsumer));
    assert_eq!(server.proto.state(), State::Closed);
}

#[test]
fn every_byte_is_a_sign_of_life_even_in_mid_frame() {
    let (mut server, start) = server(
        Config::new()
            .keep_alive_interval(30 * SECOND)
            .keep_alive_timeout(15 * SECOND)
            .message_timeout(3600 * SECOND),
    );
    let frame = masked(OpCode::Binary, true, &[0; 10]);
    let mut now = start;
    for byte in &frame {
        now += 30 * SECOND;
        server.proto.handle_timeout(now).unwrap();
        assert_eq!(server.transmit(), [0x89, 0]);
        now += 15 * SECOND - Duration::from_nanos(1);
        server.take(&[*byte], now);
        assert_eq!(server.proto.poll_timeout(), Some(now + 30 * SECOND));
    }
    assert_eq!(server.messages().len(), 1);
}

#[test]
fn two_ends_that_keep_alive_stay_open_for_days() {
    let mut pair = Pair::new(&Config::new());
    for _ in 0..10_000 {
        let deadlines = [&pair.client, &pair.server].map(|end| end.proto.poll_timeout().unwrap());
        pair.now = deadlines[0].min(deadlines[1]);
        pair.client.proto.handle_timeout(pair.now).unwrap();
        pair.server.proto.handle_timeout(pair.now).unwrap();
        pair.drive();
    }
    assert_eq!(pair.states(), (State::Open, State::Open));
}

#[test]
fn without_keep_alive_nothing_is_due() {
    let (mut server, start) = server(Config::new().keep_alive_interval(None));
    assert_eq!(server.proto.poll_timeout(), None);
    server.proto.handle_timeout(start + 3600 * SECOND).unwrap();
    server.proto.has_written_much(start + 3600 * SECOND);
    assert_eq!(server.transmit(), []);
}

#[test]
fn a_message_has_its_time_from_the_first_byte_to_the_last() {
    let config = Config::new()
        .message_timeout(30 * SECOND)
        .keep_alive_interval(None);
    let frame = masked(OpCode::Text, true, b"slow");
    for first_part in 1..frame.len() {
        let (mut server, start) = server(config.clone());
        let began = start + SECOND;
        server.take(&frame[..first_part], began);
        let deadline = began + 30 * SECOND;
        assert_eq!(server.proto.poll_timeout(), Some(deadline));
        // Further bytes are life, but no more time.
        let almost = deadline - Duration::from_nanos(1);
        server.take(&frame[first_part..frame.len() - 1], almost);
        server.proto.handle_timeout(almost).unwrap();
        assert_eq!(server.proto.state(), State::Open);

        let over = capacity(server.proto.handle_timeout(deadline));
        assert_eq!(over, Some(CapacityError::MessageTooSlow));
        assert_eq!(server.close_queued(), (1008, "message timeout".into()));
        assert_eq!(server.proto.state(), State::Closed);
    }
}

#[test]
fn fragments_and_pings_between_them_buy_no_time() {
    let (mut server, start) = server(Config::new().message_timeout(30 * SECOND));
    server.take(&masked(OpCode::Text, false, b"a"), start);
    for seconds in 1..30 {
        let now = start + seconds * SECOND;
        server.take(&masked(OpCode::Continuation, false, b"b"), now);
        server.take(&masked(OpCode::Ping, true, b""), now);
        server.proto.handle_timeout(now).unwrap();
    }
    let over = capacity(server.proto.handle_timeout(start + 30 * SECOND));
    assert_eq!(over, Some(CapacityError::MessageTooSlow));
}

#[test]
fn each_message_has_its_own_time() {
    let (mut server, start) = server(
        Config::new()
            .message_timeout(30 * SECOND)
            .keep_alive_interval(None),
    );
    let frame = masked(OpCode::Text, true, b"in two parts");
    let (head, tail) = frame.split_at(5);
    // Each read brings the end of one message and the beginning of the next.
    server.take(head, start);
    let mut now = start;
    for _ in 0..10 {
        now += 20 * SECOND;
        server.take(&[tail, head].concat(), now);
        assert_eq!(server.proto.poll_timeout(), Some(now + 30 * SECOND));
    }
    server.take(tail, now);
    assert_eq!(server.proto.poll_timeout(), None, "no message is under way");
    assert_eq!(server.messages().len(), 11);
}

#[test]
fn a_slow_ping_takes_nothing_from_the_time_of_the_message_behind_it() {
    let (mut server, start) = server(
        Config::new()
            .message_timeout(30 * SECOND)
            .keep_alive_interval(None),
    );
    let ping = masked(OpCode::Ping, true, b"slow");
    let frame = masked(OpCode::Text, true, b"text");
    server.take(&ping[..3], start);
    assert_eq!(server.proto.poll_timeout(), Some(start + 30 * SECOND));
    let later = start + 29 * SECOND;
    server.take(&[&ping[3..], &frame[..3]].concat(), later);
    assert_eq!(server.proto.poll_timeout(), Some(later + 30 * SECOND));
}

#[test]
fn a_close_that_nobody_answers_ends_after_the_close_timeout() {
    let (mut server, start) = server(Config::new().close_timeout(5 * SECOND));
    server.proto.close(None, start);
    let deadline = start + 5 * SECOND;
    assert_eq!(server.proto.poll_timeout(), Some(deadline));
    // Messages, and bytes that lead nowhere, do not prolong it.
    server.take(&masked(OpCode::Text, false, b"and"), start + 4 * SECOND);
    assert_eq!(server.proto.poll_timeout(), Some(deadline));
    server
        .proto
        .handle_timeout(deadline - Duration::from_nanos(1))
        .unwrap();
    assert_eq!(server.proto.state(), State::Closing);
    server.proto.handle_timeout(deadline).unwrap();
    assert_eq!(server.proto.state(), State::Closed);
    assert_eq!(server.proto.poll_timeout(), None);
}
