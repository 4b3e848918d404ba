//! Rows 1 to 22: TCP.

use std::{net::Ipv4Addr, time::Duration};

use raw_ws::{Config, ServeConfig};
use tokio::{net::TcpSocket, time::Instant};

use crate::support::*;

const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn head_timeout() -> (Duration, ServeConfig) {
    let after = Duration::from_millis(300);
    (after, ServeConfig::new().head_timeout(after))
}

#[tokio::test]
async fn row_01_silent_sockets_are_closed_at_the_head_deadline() {
    let (deadline, serve) = head_timeout();
    timely(Setup::serve(serve), async |server| {
        let begun = Instant::now();
        let mut silent = Vec::new();
        for _ in 0..50 {
            silent.push(Peer::connect_from(STRANGER, server.address).await);
        }
        for mut peer in silent {
            assert_eq!(peer.ends().await, (End::Fin, vec![]));
        }
        at_deadline(begun, deadline);
    })
    .await;
}

#[tokio::test]
async fn row_02_the_head_deadline_is_for_the_whole_head_not_for_a_byte() {
    let (deadline, serve) = head_timeout();
    timely(Setup::serve(serve), async |server| {
        let begun = Instant::now();
        let mut peer = Peer::connect(server).await;
        // A byte each 20 ms would take four seconds.
        for byte in upgrade_request("/echo").as_bytes().chunks(1) {
            peer.send(byte).await;
            let read = tokio::time::timeout(Duration::from_millis(20), peer.ends()).await;
            if let Ok((end, answer)) = read {
                assert_eq!(end, End::Fin);
                assert_eq!(&answer[..12], b"HTTP/1.1 408", "{}", answer.escape_ascii());
                break;
            }
        }
        at_deadline(begun, deadline);
    })
    .await;
}

#[tokio::test]
async fn row_03_bytes_that_are_not_http_get_400() {
    let client_hello = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\x9e\x0b\xd1\xc1\xa9\x0c\x1f";
    let mut inputs = vec![client_hello.to_vec(), b"\0\0\0\0\r\n\r\n".to_vec()];
    let mut random = Random(3);
    inputs.extend((0..20).map(|_| [vec![0xFF], random.bytes(200)].concat()));
    unharmed(Setup::default(), async |server| {
        for input in inputs {
            let mut peer = Peer::connect(server).await;
            peer.send(&input).await;
            assert_eq!(peer.answer().await.status, 400, "{}", input.escape_ascii());
            peer.ends().await;
        }
    })
    .await;
}

#[tokio::test]
async fn row_04_two_thousand_resets_straight_after_connect_leave_nothing() {
    unharmed(Setup::default(), async |server| {
        for _ in 0..2_000 {
            Peer::connect_from(STRANGER, server.address).await.reset();
        }
        let mut peer = Peer::connect(server).await;
        peer.upgrade("/echo").await;
    })
    .await;
}

#[tokio::test]
async fn row_05_a_reset_in_the_middle_of_a_frame_ends_the_session() {
    unharmed(Setup::default(), async |server| {
        let mut peer = Peer::upgraded(server, "/topic").await;
        assert_eq!(peer.frame().await.1, b"subscribed");
        assert_eq!(server.topics.subscribers("all"), 1);
        peer.send(&text_frame("only half of this")[..9]).await;
        peer.reset();
        server.until_alone().await;
        assert_eq!(server.topics.subscribers("all"), 0);
        assert_eq!(server.seen.now().messages, 0);
    })
    .await;
}

#[tokio::test]
async fn row_06_a_half_close_is_answered_and_ends_the_session() {
    unharmed(Setup::default(), async |server| {
        let mut peer = Peer::upgraded(server, "/echo").await;
        peer.send(&text_frame("last words")).await;
        let socket = socket2::SockRef::from(&peer.stream);
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(peer.frame().await.1, b"last words");
        assert_eq!(peer.ends().await, (End::Fin, vec![]));
        server.until_alone().await;
    })
    .await;
}

#[tokio::test]
async fn row_09_out_of_descriptors_the_server_rests_and_comes_back() {
    // The limit is the whole process's: it is lowered in a child, which serves.
    const PORT: &str = "HOSTILE_SERVES_ON";
    if let Ok(path) = std::env::var(PORT) {
        return serve_with_few_descriptors(&path).await;
    }
    let path = std::env::temp_dir().join(format!("hostile-{}", std::process::id()));
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "tcp::row_09_out_of_descriptors_the_server_rests_and_comes_back",
        ])
        .env(PORT, &path)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let address = soon("the child", async {
        loop {
            if let Ok(text) = std::fs::read_to_string(&path)
                && let Ok(address) = text.parse()
            {
                break address;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let _ = std::fs::remove_file(&path);

    let mut neighbour = Peer::upgraded_from(Ipv4Addr::new(127, 0, 0, 99), address, "/echo").await;
    let mut greedy = Vec::new();
    for _ in 0..80 {
        let mut peer = Peer::connect_from(STRANGER, address).await;
        peer.send(upgrade_request("/echo").as_bytes()).await;
        greedy.push(peer);
    }
    // 64 descriptors: the first forty come in for sure, the last forty cannot.
    for peer in &mut greedy[..40] {
        assert_eq!(peer.answer().await.status, 101);
    }
    let (begun, before) = (Instant::now(), cpu_ticks(child.id()));
    for _ in 0..50 {
        neighbour.send(&text_frame("still there?")).await;
        assert_eq!(neighbour.frame().await.1, b"still there?");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Ticks of 10 ms: twenty percent of the time, however slowly it went.
    let used = cpu_ticks(child.id()) - before;
    let allowed = begun.elapsed().as_millis() / 50;
    assert!(
        u128::from(used) <= allowed,
        "the accept loop spins: {used} ticks"
    );

    let mut waiting = greedy.split_off(40);
    drop(greedy);
    for peer in &mut waiting {
        assert_eq!(peer.answer().await.status, 101);
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

async fn serve_with_few_descriptors(path: &str) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let server = Server::start(Setup::default()).await;
    tokio::task::yield_now().await; // the server looks at the limit when it starts
    let maximum = getrlimit(Resource::Nofile).maximum;
    let few = Rlimit {
        current: Some(64),
        maximum,
    };
    setrlimit(Resource::Nofile, few).unwrap();
    let text = server.address.to_string();
    std::fs::write(format!("{path}.part"), text).unwrap();
    std::fs::rename(format!("{path}.part"), path).unwrap();
    // Until the parent ends it, or is gone.
    tokio::time::sleep(Duration::from_secs(60)).await;
}

/// What a process has used of the processor, in ticks of 10 ms.
fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1;
    let ticks = |at: usize| fields.split(' ').nth(at).unwrap().parse::<u64>().unwrap();
    ticks(11) + ticks(12)
}

#[tokio::test]
async fn row_10_a_burst_of_connects_is_served_or_refused_and_nobody_hangs() {
    unharmed(Setup::default(), async |server| {
        let mut all = tokio::task::JoinSet::new();
        for n in 0..1_000_u32 {
            let (to, from) = (server.address, Ipv4Addr::new(127, 0, 1, (n % 50) as u8 + 1));
            all.spawn(async move {
                let mut peer = Peer::connect_from(from, to).await;
                peer.send(b"GET /get HTTP/1.1\r\nHost: ok.example\r\nConnection: close\r\n\r\n")
                    .await;
                peer.answer().await.status
            });
        }
        let statuses = soon("all answers", all.join_all()).await;
        assert!(
            statuses
                .iter()
                .all(|status| matches!(status, 200 | 429 | 503))
        );
        assert!(statuses.contains(&200));
    })
    .await;
}

#[tokio::test]
async fn row_11_a_peer_that_never_reads_is_cut_and_publishing_never_waits() {
    let ws = Config::new().progress_timeout(Duration::from_millis(300));
    timely(Setup::ws(ws), async |server| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(2_048).unwrap();
        let mut deaf = Peer::on(socket, STRANGER, server.address).await;
        deaf.upgrade("/topic").await;
        let mut reading = Peer::upgraded(server, "/topic").await;
        for peer in [&mut deaf, &mut reading] {
            assert_eq!(peer.frame().await.1, b"subscribed");
        }

        // Far more than all buffers of the kernel take.
        let news = raw_ws::PreparedMessage::new(vec![7; 16 * 1024]);
        let mut slowest = Duration::ZERO;
        for _ in 0..4_000 {
            let begun = Instant::now();
            server.topics.publish("all", &news);
            slowest = slowest.max(begun.elapsed());
            assert_eq!(reading.frame().await.1.len(), 16 * 1024);
        }
        assert!(slowest < LATE, "{slowest:?}");
        server.seen.until("the cut", |seen| seen.ended == 1).await;
        assert_eq!(server.topics.subscribers("all"), 1);
    })
    .await;
}

#[tokio::test]
async fn row_11_a_queue_that_stands_still_is_cut_at_the_progress_deadline() {
    let deadline = Duration::from_millis(300);
    let ws = Config::new()
        .progress_timeout(deadline)
        .max_queued_bytes(64 << 20);
    timely(Setup::ws(ws), async |server| {
        let mut deaf = Peer::upgraded(server, "/topic").await;
        assert_eq!(deaf.frame().await.1, b"subscribed");
        // Within the queue's bounds, so only time can tell.
        let news = raw_ws::PreparedMessage::new(vec![7; 1 << 20]);
        let begun = Instant::now();
        for _ in 0..32 {
            assert_eq!(server.topics.publish("all", &news), 1);
        }
        server.seen.until("the cut", |seen| seen.ended == 1).await;
        at_deadline(begun, deadline);
        assert_eq!(server.topics.subscribers("all"), 0);
    })
    .await;
}

/// As row 71: reading must not keep the server from looking at the clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_11_a_peer_that_floods_and_never_reads_is_cut_at_the_progress_deadline() {
    let deadline = Duration::from_millis(300);
    let ws = Config::new()
        .progress_timeout(deadline)
        .max_queued_bytes(64 << 20);
    timely(Setup::ws(ws), async |server| {
        let mut deaf = Peer::upgraded(server, "/topic").await;
        assert_eq!(deaf.frame().await.1, b"subscribed");
        let news = raw_ws::PreparedMessage::new(vec![7; 1 << 20]);
        let begun = Instant::now();
        for _ in 0..32 {
            assert_eq!(server.topics.publish("all", &news), 1);
        }
        deaf.shout(&frame(Op::BINARY, b"").repeat(100_000)).await;
        at_deadline(begun, deadline);
        server.seen.until("the cut", |seen| seen.ended == 1).await;
    })
    .await;
}

/// A session that has a bit of everything, and what the server says to it.
fn session() -> (Vec<u8>, Vec<(Op, Vec<u8>)>) {
    let long = "x".repeat(200);
    let sent = [
        upgrade_request("/echo").into_bytes(),
        text_frame("h\u{e9}llo"),
        frame(Op::PING, b"ping"),
        frame(Op::TEXT_BEGINS, "\u{20ac}".as_bytes().split_at(1).0),
        frame(Op::PONG, b""),
        frame(Op::GOES_OUT, "\u{20ac}".as_bytes().split_at(1).1),
        frame(Op::BINARY, long.as_bytes()),
        close_frame(3000, "bye"),
    ]
    .concat();
    let answers = vec![
        (Op::TEXT, "h\u{e9}llo".into()),
        (Op::PONG, b"ping".to_vec()),
        (Op::TEXT, "\u{20ac}".into()),
        (Op::BINARY, long.into_bytes()),
    ];
    (sent, answers)
}

async fn answers_session(peer: &mut Peer, answers: &[(Op, Vec<u8>)]) {
    assert_eq!(peer.answer().await.status, 101);
    for answer in answers {
        assert_eq!(peer.frame().await, *answer);
    }
    peer.closes_with(3000).await;
}

#[tokio::test]
async fn row_12_a_session_byte_by_byte_gets_the_answers_of_the_whole() {
    unharmed(Setup::default(), async |server| {
        let (sent, answers) = session();
        let mut peer = Peer::connect(server).await;
        peer.dribble(&sent).await;
        answers_session(&mut peer, &answers).await;
    })
    .await;
}

#[tokio::test]
async fn row_13_a_session_in_one_segment_loses_no_byte_after_the_upgrade() {
    unharmed(Setup::default(), async |server| {
        let (sent, answers) = session();
        let mut peer = Peer::connect(server).await;
        peer.send(&sent).await;
        answers_session(&mut peer, &answers).await;
    })
    .await;
}

#[tokio::test]
async fn row_13_a_handshake_split_at_any_byte_is_the_same_handshake() {
    unharmed(Setup::default(), async |server| {
        let (sent, answers) = session();
        let past_handshake = upgrade_request("/echo").len() + 12;
        let mut all = tokio::task::JoinSet::new();
        for at in 1..past_handshake {
            let (sent, answers, to) = (sent.clone(), answers.clone(), server.address);
            let from = Ipv4Addr::new(127, 0, 1, (at % 100) as u8 + 1);
            all.spawn(async move {
                let mut peer = Peer::connect_from(from, to).await;
                peer.send(&sent[..at]).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                peer.send(&sent[at..]).await;
                answers_session(&mut peer, &answers).await;
            });
        }
        soon("all splits", all.join_all()).await;
    })
    .await;
}

#[tokio::test]
async fn row_17_a_slow_reader_gets_everything_in_order() {
    let ws = Config::new().max_message_size(64 * 1024);
    unharmed(Setup::ws(ws), async |server| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(2_048).unwrap();
        let mut peer = Peer::on(socket, STRANGER, server.address).await;
        peer.upgrade("/echo").await;
        // Answers are made faster than they are read, and must wait in the server's turn.
        let messages: Vec<Vec<u8>> = (0..16).map(|n| vec![n; 60_000]).collect();
        let all: Vec<u8> = messages.iter().flat_map(|m| frame(Op::BINARY, m)).collect();
        let (read, mut write) = peer.stream.into_split();
        let writing = tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut write, &all)
                .await
                .unwrap();
            write
        });
        let mut peer = Peer::over(tokio::io::join(read, tokio::io::sink()));
        for message in messages {
            assert_eq!(peer.frame().await, (Op::BINARY, message));
        }
        soon("the writer", writing).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn row_21_random_chunks_with_random_pauses_get_the_answers_of_the_whole() {
    unharmed(Setup::default(), async |server| {
        let (sent, answers) = session();
        let mut all = tokio::task::JoinSet::new();
        for seed in 0..40 {
            let (sent, answers, to) = (sent.clone(), answers.clone(), server.address);
            all.spawn(async move {
                let mut random = Random(seed);
                let mut peer = Peer::connect_from(STRANGER, to).await;
                let mut rest = &sent[..];
                while !rest.is_empty() {
                    let (chunk, behind) = rest.split_at(1 + random.below(rest.len().min(60)));
                    peer.send(chunk).await;
                    let pause = Duration::from_millis(random.below(15) as u64);
                    tokio::time::sleep(pause).await;
                    rest = behind;
                }
                answers_session(&mut peer, &answers).await;
            });
        }
        soon("all seeds", all.join_all()).await;
    })
    .await;
}

#[tokio::test]
async fn row_22_a_session_cut_after_any_byte_ends_cleanly() {
    unharmed(Setup::default(), async |server| {
        let (sent, _) = session();
        for cut in 0..=sent.len() {
            for by_reset in [false, true] {
                let mut peer = Peer::connect_from(STRANGER, server.address).await;
                peer.send(&sent[..cut]).await;
                if by_reset {
                    peer.reset();
                    continue;
                }
                let socket = socket2::SockRef::from(&peer.stream);
                socket.shutdown(std::net::Shutdown::Write).unwrap();
                assert_eq!(peer.ends().await.0, End::Fin, "cut after {cut}");
            }
        }
        server.until_alone().await;
    })
    .await;
}
