//! Servers that are one through a real Redis, each a process of its own: ours alone, and with a real
//! ASP.NET Core server among them.

use std::{
    collections::HashMap,
    env, fs,
    future::ready,
    net::SocketAddr,
    path::Path,
    process::{Command, Output},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hub::client::{ConnectionState, HubConnection};
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use crate::{
    aspnetcore::servers::{backplane_check, theirs_on},
    children::{Server, example},
    lateness::{on_time, verdict},
    official::run,
    peers::free_address,
    redis::RedisServer,
    skip::skip,
    turns::alone,
};

/// Ends a test that hangs. Nothing passes because of it.
const GUARD: Duration = Duration::from_secs(60);

/// A Redis, or none where this machine has none.
fn redis(options: &[&str]) -> Option<RedisServer> {
    let server = RedisServer::start(options);
    if server.is_none() {
        skip("redis-server is missing");
    }
    server
}

fn ours(redis: &RedisServer) -> Server {
    let mut server = Command::new(example("spec_server"));
    // What methods fail with on purpose would fill the report.
    server
        .args(["--redis", &redis.url()])
        .env("RUST_LOG", "off");
    Server::spawn(&mut server).0
}

fn url(server: &Server) -> String {
    format!("http://{}", server.address())
}

/// The official JavaScript clients on each of these servers.
fn javascript(urls: &[String], at_least: u32) {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/javascript");
    if !suite.join("node_modules").exists() {
        return skip("npm ci has not been run in examples/tests/javascript");
    }
    let mut node = Command::new("node");
    node.arg(suite.join("cluster.mjs")).args(urls);
    run(node, at_least);
}

#[test]
fn three_servers_are_one_to_the_official_javascript_client() {
    let Some(redis) = redis(&[]) else { return };
    let servers = [ours(&redis), ours(&redis), ours(&redis)];
    javascript(&servers.each_ref().map(url), 150);
}

#[tokio::test]
async fn a_server_of_ours_and_a_real_one_are_one_to_the_official_javascript_client() {
    let Some(redis) = redis(&[]) else { return };
    let Some((_process, theirs)) = theirs_on(&redis.address()).await else {
        return;
    };
    let ours = ours(&redis);
    let both = [url(&ours), format!("http://{theirs}")];
    spawn_blocking(move || {
        javascript(&both, 85);
        let [ours, theirs] = both;
        javascript(&[theirs, ours], 85);
    })
    .await
    .unwrap();
}

/// The recorded conversations of two servers, some at a time: what a tester that is late has seen of
/// them counts for nothing.
const CASES: [&str; 6] = [
    "^(connect|disconnect|all|others|caller|other-hub)",
    "^client",
    "^group",
    "^(user|result)",
    "^hand-(?!answer)",
    "^hand-answer",
];

/// SR-22: a server of ours sends nothing that is counted before its client has said something, which the
/// client of this one does not.
const HOLDS_BACK: &str = "^stateful-resume";

/// Runs the recordings against two servers.
async fn recorded(
    redis: &RedisServer,
    first: SocketAddr,
    second: SocketAddr,
    cases: &[&str],
) -> u32 {
    let mut passed = 0;
    for cases in cases {
        let check = async || -> Output {
            let mut python = Command::new("python3");
            python
                .arg(backplane_check())
                .arg("check")
                .args([first, second].map(|address| format!("http://{address}")))
                .args([&redis.address(), *cases]);
            spawn_blocking(move || python.output().unwrap())
                .await
                .unwrap()
        };
        let output = verdict("the recordings of Redis", Duration::from_millis(200), check);
        let output = output.await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        let (count, _) = text.lines().last().unwrap().split_once(" passed").unwrap();
        passed += count.parse::<u32>().unwrap();
    }
    passed
}

fn at(server: &Server) -> SocketAddr {
    server.address().parse().unwrap()
}

#[tokio::test]
async fn rd_04_two_servers_say_byte_for_byte_what_asp_net_cores_say() {
    let Some(redis) = redis(&[]) else { return };
    if !backplane_check().exists() {
        return skip("the recordings of Redis are missing");
    }
    let [one, other] = [ours(&redis), ours(&redis)];
    // All 53 but the one that holds back.
    assert_eq!(recorded(&redis, at(&one), at(&other), &CASES).await, 52);
}

#[tokio::test]
async fn rd_04_a_server_of_ours_and_a_real_one_say_byte_for_byte_the_same() {
    let Some(redis) = redis(&[]) else { return };
    let Some((_process, theirs)) = theirs_on(&redis.address()).await else {
        return;
    };
    let ours = ours(&redis);
    let mixed = [
        "^(all|others|other-hub)",
        "^clients?-?(elsewhere)?$",
        "^group(-except|s|-add|-remove|$)",
        "^(user|result)",
    ];
    assert_eq!(recorded(&redis, at(&ours), theirs, &mixed).await, 24);
    assert_eq!(recorded(&redis, theirs, at(&ours), &mixed).await, 24);
    // Where the one that holds back is theirs.
    assert_eq!(recorded(&redis, theirs, at(&ours), &[HOLDS_BACK]).await, 1);
}

/// How often each number has come, and when first.
type Got = HashMap<u64, (u32, Instant)>;

/// A client that keeps what it receives.
struct Listener {
    connection: HubConnection,
    got: watch::Receiver<Got>,
}

impl Listener {
    async fn connect(server: &Server) -> Self {
        let (keep, got) = watch::channel(Got::new());
        let connection = HubConnection::builder(format!("{}/spec", url(server)))
            .on("Received", move |text: String| {
                let number = text.parse().unwrap();
                keep.send_modify(|got| {
                    got.entry(number).or_insert_with(|| (0, Instant::now())).0 += 1;
                });
                ready(())
            })
            .connect()
            .await
            .unwrap();
        connection
            .invoke::<()>("JoinGroup", ("ledger",))
            .await
            .unwrap();
        Self { connection, got }
    }

    fn got(&self) -> Got {
        self.got.borrow().clone()
    }

    /// Waits until a number from this one on has come: when the first of them did.
    async fn from(&self, number: u64) -> Instant {
        let mut got = self.got.clone();
        let first = |got: &Got| {
            let since = got.iter().filter(|(known, _)| **known >= number);
            since.map(|(_, (_, at))| *at).min()
        };
        let come = timeout(GUARD, got.wait_for(|got| first(got).is_some())).await;
        let state = self.connection.state();
        let come = come.unwrap_or_else(|_| panic!("nothing comes from {number} on: {state:?}"));
        first(&come.unwrap()).unwrap()
    }

    /// Waits until this number has come.
    async fn until(&self, number: u64) {
        let mut got = self.got.clone();
        let come = timeout(GUARD, got.wait_for(|got| got.contains_key(&number))).await;
        let state = self.connection.state();
        assert!(come.is_ok(), "{number} does not come: {state:?}");
    }
}

/// What a metric of a server says of the hub.
async fn metric(server: &Server, name: &str) -> u64 {
    let text = examples::http().get(format!("{}/metrics", url(server)));
    let text = text.send().await.unwrap().text().await.unwrap();
    let name = format!("{name}{{hub=\"Peer.SpecHub\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&name));
    value.expect("it is there from the start").parse().unwrap()
}

async fn is_ready(server: &Server) -> bool {
    let answer = examples::http().get(format!("{}/readyz", url(server)));
    answer.send().await.unwrap().status().is_success()
}

async fn until_ready(server: &Server, wanted: bool) {
    let begun = Instant::now();
    while is_ready(server).await != wanted {
        assert!(
            begun.elapsed() < GUARD,
            "readiness does not become {wanted}"
        );
        sleep(Duration::from_millis(10)).await;
    }
}

/// What the messages of a run were.
#[derive(Default)]
struct Sent {
    accepted: Vec<u64>,
    refused: u64,
}

/// Whether a server is to have missed something.
#[derive(PartialEq, Eq)]
enum Expect {
    Gap,
    Nothing,
}

/// Sends numbered messages from one server to a group that has members on both, while something happens
/// to what is between, and draws up the account: what was accepted and has not arrived is what is
/// reported as missed, nothing arrives twice, nobody is disconnected, and what is sent once it is over
/// arrives within two seconds.
async fn account(
    redis: &mut RedisServer,
    expect: Expect,
    happens: impl AsyncFnOnce(&mut RedisServer, &Server) -> Instant,
) {
    let [one, other] = [ours(redis), ours(redis)];
    until_ready(&one, true).await;
    until_ready(&other, true).await;
    let sender = Listener::connect(&one).await;
    let receivers = [
        Listener::connect(&other).await,
        Listener::connect(&other).await,
    ];
    let stop = Arc::<Mutex<bool>>::default();
    let next = Arc::new(AtomicU64::new(0));
    let sending = {
        let (connection, stop) = (sender.connection.clone(), stop.clone());
        let next = next.clone();
        tokio::spawn(async move {
            let mut sent = Sent::default();
            while !*stop.lock().unwrap() {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let arguments = ("ledger", number.to_string());
                match connection.invoke::<()>("ToGroup", arguments).await {
                    Ok(()) => sent.accepted.push(number),
                    Err(_) => sent.refused += 1,
                }
                // At the same pace on every machine, and no more than a machine has for it that runs
                // other tests too.
                sleep(Duration::from_millis(2)).await;
            }
            sent
        })
    };
    receivers[0].until(100).await;
    let back = happens(redis, &other).await;
    // The first that arrives of those sent since.
    let sent_since = next.load(Ordering::Relaxed);
    let took = receivers[0].from(sent_since).await - back;
    until_ready(&one, true).await;
    until_ready(&other, true).await;
    *stop.lock().unwrap() = true;
    let sent = sending.await.unwrap();
    let last = *sent.accepted.last().unwrap();
    for receiver in &receivers {
        receiver.until(last).await;
    }
    // The gap is told of once all is known.
    let begun = Instant::now();
    while expect == Expect::Gap && metric(&other, "hub_backplane_gaps").await == 0 {
        assert!(begun.elapsed() < GUARD, "nobody tells of the gap");
        sleep(Duration::from_millis(20)).await;
    }
    let missed = metric(&other, "hub_backplane_missed").await;
    for receiver in &receivers {
        let got = receiver.got();
        let lost = sent
            .accepted
            .iter()
            .filter(|number| !got.contains_key(number));
        assert_eq!(missed, lost.count() as u64, "reported, and lost");
        assert!(
            got.values().all(|(times, _)| *times == 1),
            "something came twice"
        );
        assert_eq!(receiver.connection.state(), ConnectionState::Connected);
    }
    // Those of the same server get all, whatever happens.
    let got = sender.got();
    assert_eq!(got.len() as u64, sent.accepted.len() as u64 + sent.refused);
    assert!(
        got.values().all(|(times, _)| *times == 1),
        "something came twice"
    );
    assert_eq!(sender.connection.state(), ConnectionState::Connected);
    assert_eq!(metric(&one, "hub_backplane_refused").await, sent.refused);
    println!(
        "{} messages, {missed} missed, {} refused; the next after {took:?}",
        sent.accepted.len(),
        sent.refused
    );
    assert!(took < Duration::from_secs(2), "it took {took:?}");
}

#[tokio::test]
async fn rd_10_redis_is_killed_and_comes_back() {
    let _turn = alone();
    on_time(async || {
        let Some(mut redis) = redis(&[]) else { return };
        account(&mut redis, Expect::Gap, async |redis, server| {
            redis.kill();
            until_ready(server, false).await;
            sleep(Duration::from_millis(700)).await;
            redis.start_again();
            Instant::now()
        })
        .await;
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn rd_10_redis_stands_still_for_10_s() {
    let _turn = alone();
    on_time(async || {
        let Some(mut redis) = redis(&[]) else { return };
        account(&mut redis, Expect::Nothing, async |redis, server| {
            redis.signal("STOP");
            let begun = Instant::now();
            until_ready(server, false).await;
            sleep(Duration::from_secs(10).saturating_sub(begun.elapsed())).await;
            redis.signal("CONT");
            Instant::now()
        })
        .await;
    })
    .await;
}

/// The example that shows it, as somebody runs it.
#[test]
fn the_example_shows_a_message_that_crosses() {
    let Some(redis) = redis(&[]) else { return };
    let run = |url: &str| {
        let mut cluster = Command::new(example("cluster"));
        cluster.args(["--once", "--redis", url]).output().unwrap()
    };
    let output = run(&redis.url());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    for line in [
        "  cyd hears: hello from ann",
        "3 connections, by 3 servers, and no more",
        "  ann has left lobby, and every other server knows",
        "  2 connections are left in the lobby",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // Without a Redis it says in a line how to start one.
    drop(redis);
    let output = run("redis://127.0.0.1:1");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        (output.status.code(), text.lines().count()),
        (Some(1), 1),
        "{text}"
    );
    assert!(text.contains("start one with `redis-server`"), "{text}");
}

/// What a server answers to a question about all of them.
async fn ask(server: &Server, path: &str) -> serde_json::Value {
    let answer = examples::http().get(format!("{}{path}", url(server)));
    let text = answer.send().await.unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap()
}

/// One that connects by TLS, and one that does not: they are one all the same.
#[tokio::test]
async fn redis_may_be_reached_by_tls() {
    let made = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let folder = env::temp_dir().join(format!("redis-tls-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.join(name));
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let [cert, key] = [&cert, &key].map(|path| path.to_str().unwrap());
    let port = free_address().port().to_string();
    let options = [
        ["--tls-port", &port],
        ["--tls-cert-file", cert],
        ["--tls-key-file", key],
        ["--tls-auth-clients", "no"],
    ];
    let Some(redis) = redis(options.as_flattened()) else {
        return;
    };
    let by_tls = || {
        let mut server = Command::new(example("spec_server"));
        server.args(["--redis", &format!("rediss://localhost:{port}")]);
        server.env("RUST_LOG", "off");
        server
    };
    let one = ours(&redis);
    // Certificates of one's own are trusted as OpenSSL's programs do.
    let (other, _) = Server::spawn(by_tls().env("SSL_CERT_FILE", cert));
    let begun = Instant::now();
    for server in [&one, &other] {
        while ask(server, "/cluster/online").await["servers"] != 2 {
            assert!(begun.elapsed() < GUARD, "they do not find each other");
            sleep(Duration::from_millis(10)).await;
        }
    }
    // Who does not trust it says so, and does not begin.
    let refused = by_tls().output().unwrap();
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success());
    assert!(text.contains("certificate"), "{text}");
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_that_is_killed_is_gone_from_groups_and_presence_within_5_s() {
    let _turn = alone();
    on_time(async || {
        let Some(redis) = redis(&[]) else { return };
        let [one, other, killed] = [ours(&redis), ours(&redis), ours(&redis)];
        let _here = Listener::connect(&one).await;
        let _there = Listener::connect(&killed).await;
        let begun = Instant::now();
        for server in [&one, &other] {
            while ask(server, "/cluster/present/ledger")
                .await
                .as_array()
                .unwrap()
                .len()
                < 2
            {
                assert!(begun.elapsed() < GUARD);
                sleep(Duration::from_millis(10)).await;
            }
            let members = ask(server, "/cluster/members/ledger").await;
            assert_eq!(members["value"].as_array().unwrap().len(), 2, "{members}");
            assert_eq!(members["silent"], 0);
        }
        killed.signal("KILL");
        let begun = Instant::now();
        for server in [&one, &other] {
            loop {
                let members = ask(server, "/cluster/members/ledger").await;
                let present = ask(server, "/cluster/present/ledger").await;
                let [members, present] = [&members["value"], &present];
                if [members, present].map(|who| who.as_array().unwrap().len()) == [1, 1] {
                    break;
                }
                let took = begun.elapsed();
                assert!(
                    took < Duration::from_secs(5),
                    "{took:?}: {members} {present}"
                );
                sleep(Duration::from_millis(20)).await;
            }
        }
        println!("gone after {:?}", begun.elapsed());
        let online = ask(&one, "/cluster/online").await;
        assert_eq!(online["silent"], 0, "{online}");
    })
    .await;
}
