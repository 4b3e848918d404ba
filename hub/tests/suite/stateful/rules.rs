//! Sequence ids, Acks and replay (SR-01 to SR-12, SR-14 to SR-23).

use super::support::{
    Peer, QUERY,
    Step::{self, *},
    millis, negotiate, options, start, table,
};
use crate::live::{Client, RS};

const ECHO_1: &str = r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[1]}"#;
const GOT_1: &str = r#"{"type":3,"invocationId":"1","result":1}"#;
const ECHO_2: &str = r#"{"type":1,"invocationId":"2","target":"Echo","arguments":[2]}"#;
const GOT_2: &str = r#"{"type":3,"invocationId":"2","result":2}"#;
const TELL_A: &str = r#"{"type":1,"target":"Tell","arguments":["a"]}"#;
const TOLD_A: &str = r#"{"type":1,"target":"Told","arguments":["a"]}"#;
const CLOSED: &str =
    r#"{"type":7,"error":"Connection closed with an error.","allowReconnect":true}"#;
const SECOND: std::time::Duration = millis(1100);

#[tokio::test(start_paused = true)]
async fn sr_02_sr_05_what_counts_and_what_it_is_told() {
    let rows: &[(&str, &[Step])] = &[
        (
            "SR-05",
            &[
                Says(ECHO_1),
                Hears(GOT_1),
                HearsNothing(millis(950)),
                Waits(millis(100)),
                HearsNow(r#"{"type":8,"sequenceId":1}"#),
                HearsNothing(millis(5000)),
            ],
        ),
        (
            "SR-02 ping, ack",
            &[
                Says(r#"{"type":6}"#),
                Says(r#"{"type":8,"sequenceId":0}"#),
                HearsNothing(millis(5000)),
            ],
        ),
        (
            "SR-02 unbound",
            &[
                Says(r#"{"type":1,"target":"None","arguments":[]}"#),
                Says(r#"{"type":1,"target":"Echo","arguments":["x"]}"#),
                Hears(r#"{"type":8,"sequenceId":2}"#),
            ],
        ),
        (
            "SR-02 unknown streams",
            &[
                Says(r#"{"type":2,"invocationId":"u","item":1}"#),
                Says(r#"{"type":3,"invocationId":"u"}"#),
                Says(r#"{"type":5,"invocationId":"u"}"#),
                Hears(r#"{"type":8,"sequenceId":3}"#),
            ],
        ),
        (
            "SR-02 a type that nobody knows",
            &[Says(r#"{"type":99}"#), HearsNothing(millis(5000))],
        ),
    ];
    table(options(), rows).await;
}

#[tokio::test(start_paused = true)]
async fn sr_06_to_sr_12_replay() {
    let rows: &[(&str, &[Step])] = &[
        (
            "SR-08 nothing yet",
            &[
                Drops,
                Returns,
                Hears(r#"{"type":9,"sequenceId":1}"#),
                HearsNothing(SECOND),
            ],
        ),
        (
            "SR-08 unacknowledged",
            &[
                Says(ECHO_1),
                Hears(GOT_1),
                Drops,
                Returns,
                Hears(r#"{"type":9,"sequenceId":1}"#),
                Hears(GOT_1),
                Drops,
                Returns,
                Hears(r#"{"type":9,"sequenceId":1}"#),
                Hears(GOT_1),
            ],
        ),
        (
            "SR-06 acknowledged",
            &[
                Says(ECHO_1),
                Hears(GOT_1),
                Says(ECHO_2),
                Hears(GOT_2),
                Says(r#"{"type":8,"sequenceId":1}"#),
                Waits(millis(10)),
                Drops,
                Returns,
                Hears(r#"{"type":9,"sequenceId":2}"#),
                Hears(GOT_2),
            ],
        ),
        (
            "SR-06 all of them",
            &[
                Says(ECHO_1),
                Hears(GOT_1),
                Says(r#"{"type":8,"sequenceId":1}"#),
                Waits(millis(10)),
                Drops,
                Returns,
                Hears(r#"{"type":9,"sequenceId":2}"#),
                HearsNothing(millis(500)),
            ],
        ),
        (
            "SR-09 SR-10 repeated",
            &[
                Says(TELL_A),
                Hears(TOLD_A),
                Says(r#"{"type":8,"sequenceId":1}"#),
                Waits(millis(10)),
                Drops,
                Returns,
                Hears(r#"{"type":9,"sequenceId":2}"#),
                Says(r#"{"type":9,"sequenceId":1}"#),
                Says(TELL_A),
                Says(ECHO_2),
                Hears(GOT_2),
                Hears(r#"{"type":8,"sequenceId":2}"#),
            ],
        ),
        (
            "SR-11 no Sequence",
            &[
                Says(ECHO_1),
                Hears(GOT_1),
                Drops,
                Returns,
                Hears(r#"{"type":9,"sequenceId":1}"#),
                Hears(GOT_1),
                Says(ECHO_2),
                Hears(GOT_2),
            ],
        ),
        (
            "SR-12 a call goes on",
            &[
                Says(r#"{"type":1,"invocationId":"h","target":"Hold","arguments":[5000]}"#),
                Waits(millis(10)),
                Drops,
                Waits(millis(6000)),
                Returns,
                Hears(r#"{"type":9,"sequenceId":1}"#),
                Hears(r#"{"type":3,"invocationId":"h","result":5000}"#),
            ],
        ),
        (
            "X-03 half a message goes with its socket",
            &[
                Says(ECHO_1),
                Hears(GOT_1),
                SaysHalf("{\"type\":1,\"target\":\"Ec"),
                Drops,
                Returns,
                Hears(r#"{"type":9,"sequenceId":1}"#),
                Hears(GOT_1),
                Says(r#"{"type":9,"sequenceId":2}"#),
                Says(ECHO_2),
                Hears(GOT_2),
            ],
        ),
        (
            "SR-12 its time is over",
            &[
                Says(ECHO_1),
                Hears(GOT_1),
                Drops,
                Waits(millis(15_100)),
                IsRefused(404),
            ],
        ),
        (
            "SR-12 just in time",
            &[
                Drops,
                Waits(millis(14_900)),
                Returns,
                Hears(r#"{"type":9,"sequenceId":1}"#),
            ],
        ),
    ];
    table(options(), rows).await;
}

#[tokio::test(start_paused = true)]
async fn sr_09_row_182_a_sequence_id_that_cannot_be() {
    let bad = [
        "2",
        "5",
        "0",
        "-5",
        "9223372036854775807",
        "-9223372036854775808",
    ];
    for id in bad {
        let (server, shared) = start(options());
        let mut peer = Peer::counting(&server).await;
        peer.says(&format!(r#"{{"type":9,"sequenceId":{id}}}"#))
            .await;
        peer.does(IsEnded(CLOSED)).await;
        shared.disconnected.reaches(1).await;
        peer.does(IsRefused(404)).await;
    }
    // The first may be said at any time, and again.
    let one = r#"{"type":9,"sequenceId":1}"#;
    let rows: &[(&str, &[Step])] =
        &[("SR-09", &[Says(one), Says(one), Says(ECHO_1), Hears(GOT_1)])];
    table(options(), rows).await;
}

#[tokio::test(start_paused = true)]
async fn sr_14_what_ends_a_connection_for_good() {
    let rows: &[(&str, &[Step])] = &[
        (
            "a Close frame",
            &[Leaves, Waits(millis(10)), IsRefused(404)],
        ),
        (
            "a Close message",
            &[
                Says(r#"{"type":7}"#),
                IsEnded(r#"{"type":7}"#),
                Waits(millis(10)),
                IsRefused(404),
            ],
        ),
        (
            "abort",
            &[
                Says(r#"{"type":1,"target":"Abort","arguments":[]}"#),
                IsEnded(r#"{"type":7}"#),
                Waits(millis(10)),
                IsRefused(404),
            ],
        ),
        (
            "a fault",
            &[
                Says("x"),
                IsEnded(CLOSED),
                Waits(millis(10)),
                IsRefused(404),
            ],
        ),
    ];
    table(options(), rows).await;
}

#[tokio::test(start_paused = true)]
async fn sr_01_sr_17_where_it_is_off() {
    for version in [1, 2] {
        let (server, shared) = start(options());
        let mut peer = if version == 1 {
            Peer::open(&server, 1).await
        } else {
            // Not asked for.
            let (_, token) = server.negotiate().await;
            let mut peer = Peer::before_handshake(&server, token).await;
            peer.says(r#"{"protocol":"json","version":2}"#).await;
            peer.hears("{}").await;
            peer
        };
        peer.says(r#"{"type":8,"sequenceId":9}"#).await;
        peer.says(r#"{"type":9,"sequenceId":9}"#).await;
        peer.says(ECHO_1).await;
        peer.hears(GOT_1).await;
        peer.does(HearsNothing(millis(5000))).await;
        peer.does(Drops).await;
        shared.disconnected.reaches(1).await;
        peer.does(IsRefused(404)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn sr_04_sr_19_a_full_buffer() {
    let fill = r#"{"type":1,"target":"Fill","arguments":[600]}"#;
    let told = format!(
        r#"{{"type":1,"target":"Told","arguments":["{}"]}}"#,
        "x".repeat(600)
    );
    let (server, _) = start(options().stateful_reconnect_buffer_size(1000));
    let mut peer = Peer::counting(&server).await;
    for _ in 0..3 {
        peer.says(fill).await;
    }
    peer.hears(&told).await;
    peer.hears(&told).await;
    // The Ack passes by what waits.
    peer.hears(r#"{"type":8,"sequenceId":3}"#).await;
    peer.does(HearsNothing(millis(3000))).await;
    peer.says(r#"{"type":8,"sequenceId":1}"#).await;
    peer.hears(&told).await;
    peer.says(ECHO_1).await;
    peer.does(HearsNothing(millis(500))).await;
    // SR-19
    peer.says(r#"{"type":1,"target":"Abort","arguments":[]}"#)
        .await;
    peer.hears(GOT_1).await;
    peer.does(IsEnded(r#"{"type":7}"#)).await;
}

#[tokio::test(start_paused = true)]
async fn x_07_acks_are_read_however_much_waits() {
    let (server, _) = start(options());
    let mut peer = Peer::counting(&server).await;
    let fill = r#"{"type":1,"target":"Fill","arguments":[20000]}"#;
    let told = format!(
        r#"{{"type":1,"target":"Told","arguments":["{}"]}}"#,
        "x".repeat(20_000)
    );
    for _ in 0..12 {
        peer.says(fill).await;
    }
    for count in 1..=12 {
        peer.hears(&told).await;
        peer.says(&format!(r#"{{"type":8,"sequenceId":{count}}}"#))
            .await;
    }
    peer.says(ECHO_1).await;
    peer.hears(GOT_1).await;
}

#[tokio::test(start_paused = true)]
async fn sr_12_sr_15_sr_18_the_hub_does_not_notice() {
    let (server, shared) = start(options());
    let mut peer = Peer::counting(&server).await;
    peer.says(r#"{"type":1,"target":"Join","arguments":["g"]}"#)
        .await;
    peer.says(r#"{"type":1,"target":"Watch","arguments":[]}"#)
        .await;
    peer.says(ECHO_1).await;
    peer.hears(GOT_1).await;
    peer.does(Drops).await;
    let clients = [server.handle.group("g"), server.handle.all()];
    for (number, clients) in clients.iter().enumerate() {
        clients.send("News", (number,)).unwrap();
    }
    assert_eq!(server.handle.connections(), 1);
    peer.does(Returns).await;
    peer.hears(r#"{"type":9,"sequenceId":1}"#).await;
    peer.hears(GOT_1).await;
    for number in 0..2 {
        peer.hears(&format!(
            r#"{{"type":1,"target":"News","arguments":[{number}]}}"#
        ))
        .await;
    }
    peer.hears(r#"{"type":1,"target":"Back","arguments":[]}"#)
        .await;
    peer.says(r#"{"type":1,"invocationId":"g","target":"Groups","arguments":[]}"#)
        .await;
    peer.hears(r#"{"type":3,"invocationId":"g","result":["g"]}"#)
        .await;
    assert_eq!((shared.connected.get(), shared.disconnected.get()), (1, 0));
    peer.does(Drops).await;
    peer.does(Waits(millis(14_900))).await;
    assert_eq!(shared.disconnected.get(), 0);
    shared.disconnected.reaches(0).await;
    peer.does(Waits(millis(200))).await;
    shared.disconnected.reaches(1).await;
    assert_eq!(server.handle.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn sr_22_what_is_sent_on_connect_waits_until_the_client_counts() {
    let (server, _) = start(options());
    let token = negotiate(&server, QUERY).await;
    let target = format!("/hub?id={token}&greet=1");
    let mut client = Client::connect(server.socket(), &target).await;
    client.send(r#"{"protocol":"json","version":2}"#).await;
    let hello = r#"{"type":1,"target":"Hello","arguments":[]}"#;
    // A client that reads both at once would not count the second.
    assert_eq!(
        client.heard().await,
        crate::live::Heard::Text(format!("{{}}{RS}"))
    );
    let early = tokio::time::timeout(millis(5000), client.heard()).await;
    assert!(early.is_err(), "{early:?}");
    client.send(r#"{"type":6}"#).await;
    client.expect(&[hello]).await;
    let mut peer = Peer {
        server: &server,
        token,
        client: Some(client),
    };
    peer.says(r#"{"type":8,"sequenceId":1}"#).await;
    peer.does(Waits(millis(10))).await;
    peer.does(Drops).await;
    peer.does(Returns).await;
    peer.hears(r#"{"type":9,"sequenceId":2}"#).await;
    peer.does(HearsNothing(millis(500))).await;
}

#[tokio::test(start_paused = true)]
async fn sr_22_a_client_that_says_nothing_is_not_kept_waiting_for_ever() {
    let (server, _) = start(options());
    let mut peer = Peer::open(&server, 2).await;
    server.connections(1).await;
    server.handle.all().send("News", ()).unwrap();
    peer.does(HearsNothing(millis(14_000))).await;
    peer.hears(r#"{"type":1,"target":"News","arguments":[]}"#)
        .await;
}

#[tokio::test(start_paused = true)]
async fn sr_23_a_socket_that_drops_before_the_handshake() {
    let (server, shared) = start(options());
    let token = negotiate(&server, QUERY).await;
    let mut peer = Peer::before_handshake(&server, token).await;
    peer.client.as_mut().unwrap().text("{\"protocol\":").await;
    peer.does(Drops).await;
    peer.does(Returns).await;
    peer.says(r#"{"protocol":"json","version":2}"#).await;
    peer.hears("{}").await;
    peer.says(ECHO_1).await;
    peer.hears(GOT_1).await;
    assert_eq!(shared.connected.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn sr_21_over_other_transports_there_are_acks_alone() {
    let (server, _) = start(options());
    let token = negotiate(&server, QUERY).await;
    let target = format!("/hub?id={token}");
    assert_eq!(server.request("GET", &target).await.status, 200);
    let mut peer = Peer {
        server: &server,
        token,
        client: None,
    };
    assert_eq!(peer.returns().await, Err(400)); // C-07
}
