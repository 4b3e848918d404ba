//! Many servers as one: the suite that every backplane is put to, and what happens while one is away.

use std::{
    collections::BTreeSet,
    env,
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

use axum::body::Body;
use http::{Request, StatusCode, header, request::Parts};
use hub::{
    Context, Hub, HubHandle, HubOptions, PresenceEvents, PresenceKind,
    backplane::{Gap, InProcess, Redis, RedisOptions, conformance},
    testing::{TestClient, TestServer},
};
use tokio::{
    runtime::Builder,
    sync::oneshot,
    time::{sleep, timeout},
};

use crate::{live::Client, redis::RedisServer};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn rd_04_a_backplane_in_one_process_conforms() {
    let mut between = (String::new(), InProcess::new());
    conformance(async |prefix: &str| {
        if between.0 != prefix {
            between = (prefix.to_owned(), InProcess::new());
        }
        between.1.clone()
    })
    .await;
}

/// A Redis, or none where this machine has none.
fn redis(options: &[&str]) -> Option<RedisServer> {
    let server = RedisServer::start(options);
    if server.is_none() {
        assert!(env::var_os("CI").is_none(), "redis-server is missing");
        eprintln!("SKIPPED: redis-server is missing");
    }
    server
}

async fn conforms(redis: &RedisServer) {
    conformance(async |prefix: &str| {
        let redis = Redis::connect(&redis.url()).await.unwrap();
        redis.channel_prefix(prefix)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rd_04_redis_conforms() {
    if let Some(redis) = redis(&[]) {
        conforms(&redis).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rd_04_a_redis_that_is_older_than_resp3_conforms() {
    if let Some(redis) = redis(&["--rename-command", "HELLO", ""]) {
        assert!(redis.ask("HELLO 3").unwrap().contains("unknown command"));
        conforms(&redis).await;
    }
}

/// A hub of its own connections to Redis, and what it was told of gaps.
struct Server {
    server: TestServer,
    hub: HubHandle,
    gaps: Arc<Mutex<Vec<Gap>>>,
}

impl Server {
    async fn start(url: &str, options: RedisOptions) -> Self {
        let redis = Redis::connect_with(url, options).await.unwrap();
        let gaps = Arc::<Mutex<Vec<Gap>>>::default();
        let told = gaps.clone();
        // What comes at once after a standstill is no sign of a slow client.
        let hub_options = HubOptions::new()
            .max_queued_bytes(64 * 1024 * 1024)
            .max_queued_messages(100_000);
        let hub = Hub::with_options((), hub_options)
            .user_identifier(user_in_query)
            .on_gap(move |gap| told.lock().unwrap().push(gap))
            .method("Arrive", async |_: Context| Ok(()))
            .backplane(redis.channel_prefix("Test.Hub"));
        let handle = hub.handle();
        let server = TestServer::new(hub.router("/hub"));
        Self {
            server,
            hub: handle,
            gaps,
        }
    }

    async fn client(&self) -> TestClient {
        let mut client = self.server.connect("/hub").await;
        client.invoke::<()>("Arrive", ()).await.unwrap();
        client
    }

    /// Until this server and another know of each other.
    async fn until_two(&self) {
        let begun = Instant::now();
        while self.hub.servers().connections().await.servers != 2 {
            assert!(
                begun.elapsed() < PATIENCE,
                "the servers do not find each other"
            );
        }
    }

    async fn until_ready(&self, is_ready: bool) {
        let begun = Instant::now();
        while self.hub.servers().are_ready() != is_ready {
            assert!(begun.elapsed() < PATIENCE, "it does not become {is_ready}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// What it has missed so far, by what it was told.
    fn missed(&self) -> u64 {
        let gaps = self.gaps.lock().unwrap();
        gaps.iter().map(|gap| gap.missed).sum()
    }
}

async fn told(client: &mut TestClient) -> u64 {
    client.receive::<(u64,)>("Told").await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn rd_10_while_redis_is_away_clients_of_one_server_go_on() {
    let Some(mut redis) = redis(&[]) else {
        return;
    };
    let options = RedisOptions::new().max_queued_messages(10);
    let one = Server::start(&redis.url(), options).await;
    let other = Server::start(&redis.url(), RedisOptions::new()).await;
    let (mut here, mut there) = (one.client().await, other.client().await);
    one.until_two().await;
    other.until_two().await;
    one.until_ready(true).await;
    one.hub.all().send("Told", (0,)).unwrap();
    assert_eq!((told(&mut here).await, told(&mut there).await), (0, 0));

    redis.kill();
    one.until_ready(false).await;
    // What is sent arrives here at once. It is kept for the others, up to the bound: then the sender
    // learns that they do not get it.
    let mut kept = Vec::new();
    let mut refused = 0;
    for number in 1..=20 {
        match one.hub.all().send("Told", (number,)) {
            Ok(()) => kept.push(number),
            Err(error) => {
                assert!(error.to_string().contains("takes no more"), "{error}");
                refused += 1;
            }
        }
        assert_eq!(told(&mut here).await, number);
    }
    assert!(refused >= 10, "{refused}");
    // Who comes now is let in, and asks nobody for long.
    let mut late = timeout(PATIENCE, one.client()).await.unwrap();
    let online = one.hub.servers().connections().await;
    assert_eq!(online.value, 2);
    assert!(online.is_partial());

    redis.start_again();
    one.until_ready(true).await;
    other.until_ready(true).await;
    // What was kept is published, once.
    one.hub.all().send("Told", (99,)).unwrap();
    let mut got = Vec::new();
    loop {
        match told(&mut there).await {
            99 => break,
            number => got.push(number),
        }
    }
    let lost = kept.iter().filter(|number| !got.contains(number)).count() as u64;
    assert_eq!(told(&mut here).await, 99);
    assert_eq!(told(&mut late).await, 99);
    let begun = Instant::now();
    while other.gaps.lock().unwrap().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "nobody tells of the gap");
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(other.missed(), lost, "{:?}", other.gaps);
    assert!(other.gaps.lock().unwrap()[0].is_complete);
}

/// Redis drops a subscriber that does not read: here, as its whole process stands still.
#[tokio::test(flavor = "multi_thread")]
async fn rd_10_a_server_that_redis_cuts_for_slowness_counts_what_it_has_missed() {
    let limit = ["--client-output-buffer-limit", "pubsub", "64kb", "0", "0"];
    let Some(redis) = redis(&limit) else { return };
    let redis = Arc::new(redis);
    let one = Server::start(&redis.url(), RedisOptions::new()).await;
    // A runtime of one thread, which can be stopped.
    let (start, started) = oneshot::channel();
    let (stop, stopped) = mpsc::channel::<mpsc::Receiver<()>>();
    let of_other = redis.url();
    let thread = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let other = runtime.block_on(Server::start(&of_other, RedisOptions::new()));
        assert!(start.send(other).is_ok());
        loop {
            runtime.block_on(async { sleep(Duration::from_millis(5)).await });
            match stopped.try_recv() {
                Ok(until) => drop(until.recv()),
                Err(mpsc::TryRecvError::Empty) => {}
                Err(mpsc::TryRecvError::Disconnected) => return,
            }
        }
    });
    let other = started.await.unwrap();
    other.until_two().await;
    let mut client = other.client().await;

    let subscribers = || {
        let clients = redis.ask("CLIENT LIST TYPE pubsub").unwrap();
        clients.matches(" addr=").count()
    };
    assert_eq!(subscribers(), 2);
    let (go_on, until) = mpsc::channel();
    stop.send(until).unwrap();
    // So much waits before a socket that nobody reads is full.
    let text = ".".repeat(12_000);
    let mut sent = 0;
    let begun = Instant::now();
    while subscribers() == 2 {
        for _ in 0..20 {
            one.hub.all().send("Told", (sent, &text)).unwrap();
            sent += 1;
        }
        sleep(Duration::from_millis(2)).await;
        assert!(begun.elapsed() < PATIENCE, "Redis does not cut it");
    }
    drop(go_on);
    while other.gaps.lock().unwrap().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "nobody tells of the gap");
        sleep(Duration::from_millis(10)).await;
    }
    one.hub.all().send("Told", (sent, &text)).unwrap();
    let mut lost = 0;
    for number in 0.. {
        let (told, _) = client.receive::<(u64, String)>("Told").await;
        assert!(told >= number + lost, "{told} came twice, or late");
        lost = told - number;
        if told == sent {
            break;
        }
    }
    assert!(lost > 0, "Redis has cut nothing off");
    assert_eq!(other.missed(), lost, "{:?}", other.gaps);
    drop((other, client, stop));
    thread.join().unwrap();
}

/// What the documentation of [`Redis`] says that a server may be confined to.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_no_more_than_publish_and_subscribe_is_enough() {
    let user = "--user app on >p@ss &Test.Hub* &__Test.Hub* \
                +hello +ping +publish +subscribe +unsubscribe +pubsub";
    let user: Vec<_> = user.split(' ').collect();
    let Some(redis) = redis(&user) else { return };
    // What is no letter in a URL is written with a percent sign.
    let url = format!("redis://app:p%40ss@{}", redis.address());
    let one = Server::start(&url, RedisOptions::new()).await;
    let other = Server::start(&url, RedisOptions::new()).await;
    let mut there = other.client().await;
    one.until_two().await;
    one.hub.all().send("Told", (7,)).unwrap();
    assert_eq!(told(&mut there).await, 7);
    let answer = one.hub.client("nobody").invoke::<()>("Ask", ()).await;
    assert!(answer.unwrap_err().to_string().contains("does not exist"));
    // Each publishes and subscribes as this user, and was denied nothing.
    let clients = redis.ask("CLIENT LIST").unwrap();
    assert_eq!(clients.matches(" user=app ").count(), 4, "{clients}");
    assert_eq!(redis.ask("ACL LOG").as_deref(), Some("*0\r\n"));
}

/// Redis lets it in, and refuses what it wants there: it is tried again, and less and less often.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_subscribe_does_not_keep_redis_busy() {
    let user = "--user app on nopass &* +hello +ping +publish +pubsub";
    let user: Vec<_> = user.split(' ').collect();
    let Some(redis) = redis(&user) else { return };
    let url = format!("redis://app:any@{}", redis.address());
    let one = Server::start(&url, RedisOptions::new()).await;
    sleep(Duration::from_secs(2)).await;
    assert!(!one.hub.servers().are_ready());
    let stats = redis.ask("INFO commandstats").unwrap();
    let refused = stats.split("cmdstat_subscribe:").nth(1).unwrap();
    let refused = refused.split("rejected_calls=").nth(1).unwrap();
    let (refused, _) = refused.split_once(',').unwrap();
    let tries: u32 = refused.parse().unwrap();
    // After 50 ms, 100, 200, 400, 800, each half as long at least.
    assert!((2..=8).contains(&tries), "{tries}");
}

/// The channels that somebody is subscribed to.
fn channels(redis: &RedisServer) -> BTreeSet<String> {
    let answer = redis.ask("PUBSUB CHANNELS").unwrap();
    let names = answer.lines().filter(|line| !line.starts_with(['*', '$']));
    names.map(ToOwned::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rd_01_what_is_subscribed_to_for_a_client_is_given_up_with_it() {
    let Some(redis) = redis(&[]) else { return };
    let one = Server::start(&redis.url(), RedisOptions::new()).await;
    one.until_ready(true).await;
    let of_server = channels(&redis);
    let until = async |more: &[&str]| {
        let names = more.iter().map(|name| format!("Test.Hub:{name}"));
        let wanted: BTreeSet<_> = names.chain(of_server.iter().cloned()).collect();
        let begun = Instant::now();
        while channels(&redis) != wanted {
            assert!(begun.elapsed() < PATIENCE, "{:?}", channels(&redis));
            sleep(Duration::from_millis(5)).await;
        }
    };
    let client = one.server.connect("/hub?user=ann").await;
    let id = client.connection_id().to_owned();
    let connection = format!("connection:{id}");
    until(&[&connection, "user:ann"]).await;
    let groups = one.hub.groups();
    groups.add(&id, "lobby").unwrap();
    groups.add(&id, "hall").unwrap();
    until(&[&connection, "user:ann", "group:lobby", "group:hall"]).await;
    groups.remove(&id, "hall").unwrap();
    until(&[&connection, "user:ann", "group:lobby"]).await;
    client.leave().await;
    until(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_redis_is_said_at_once() {
    for (url, part) in [
        ("http://127.0.0.1:6379", "none of Redis"),
        (
            "redis+sentinel://127.0.0.1:26379",
            "Sentinels are not asked",
        ),
        ("redis://127.0.0.1:1", "start one with `redis-server`"),
    ] {
        let error = Redis::connect(url).await.unwrap_err().to_string();
        assert!(error.contains(part), "{url}: {error}");
    }
    if let Some(redis) = redis(&["--requirepass", "secret"]) {
        let error = Redis::connect(&redis.url()).await.unwrap_err().to_string();
        assert!(error.contains("password"), "{error}");
        let wrong = format!("redis://:wrong@{}", redis.address());
        let error = Redis::connect(&wrong).await.unwrap_err().to_string();
        assert!(error.contains("these credentials"), "{error}");
        assert!(!error.contains("wrong@"), "{error}");
        let right = format!("redis://:secret@{}", redis.address());
        let connected = Redis::connect(&right).await.unwrap();
        assert!(!format!("{connected:?}").contains("secret"));
    }
}

fn user_in_query(parts: &Parts) -> Option<String> {
    let (_, user) = parts.uri.query()?.split_once("user=")?;
    Some(user.split('&').next()?.to_owned())
}

/// Two servers in one process, each with its own user for a request.
async fn two() -> [(TestServer, HubHandle); 2] {
    let between = InProcess::new();
    let servers = [between.clone(), between].map(|between| {
        let hub: Hub = Hub::new(())
            .user_identifier(user_in_query)
            .method("Arrive", async |_: Context| Ok(()))
            .backplane(between);
        let handle = hub.handle();
        (TestServer::new(hub.router("/hub")), handle)
    });
    for (_, handle) in &servers {
        while handle.servers().connections().await.servers < 2 {}
    }
    servers
}

/// The connection's id and its token.
async fn negotiated(server: &TestServer, user: &str) -> (String, String) {
    let request = Request::post(format!("/hub/negotiate?negotiateVersion=1&user={user}"));
    let answer = server.request(request.body(Body::empty()).unwrap()).await;
    let body = axum::body::to_bytes(answer.into_body(), 10_000).await;
    let answer: serde_json::Value = serde_json::from_slice(&body.unwrap()).unwrap();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("connectionId"), text("connectionToken"))
}

fn upgrade(token: &str, user: &str) -> Request<Body> {
    let request = Request::get(format!("/hub?id={token}&user={user}"))
        .header(header::HOST, "hub")
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
    request.body(Body::empty()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn rd_10_a_websocket_may_come_to_another_server_than_it_was_negotiated_with() {
    let [(one, here), (other, there)] = two().await;
    let (id, token) = negotiated(&one, "ann").await;
    // Another user's request does not get it, wherever it comes to.
    let answer = other.request(upgrade(&token, "bob")).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let path = format!("/hub?id={token}&user=ann");
    let mut client = Client::connect(other.socket(), &path).await;
    client.shake_hands().await;
    client.call("1", "Arrive", "[]").await;
    assert!(client.next().await.contains("\"type\":3"));
    assert_eq!((here.connections(), there.connections()), (0, 1));
    // It has the id that its client was told, for all servers.
    here.client(id).send("Hello", ()).unwrap();
    assert!(client.next().await.contains("Hello"));
    // The token is good once.
    for server in [&one, &other] {
        let answer = server.request(upgrade(&token, "ann")).await;
        assert!(answer.status().is_client_error(), "{}", answer.status());
    }
    // Where its connection lives on the server that it names, that is the one to go to.
    let (_, token) = negotiated(&one, "ann").await;
    let path = format!("/hub?id={token}&user=ann");
    let mut client = Client::connect(one.socket(), &path).await;
    client.shake_hands().await;
    let answer = other.request(upgrade(&token, "ann")).await;
    assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST);
    client.call("2", "Arrive", "[]").await;
    assert!(client.next().await.contains("\"type\":3"));
    // One that nobody has given out is nobody's, whichever server it names.
    let (_, real) = negotiated(&one, "ann").await;
    let (_, server) = real.split_once('.').unwrap();
    let guessed = format!("AAAAAAAAAAAAAAAAAAAAAA.{server}");
    let answer = other.request(upgrade(&guessed, "ann")).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn rd_09_whom_nobody_has_is_not_waited_for() {
    let [(_one, here), _other] = two().await;
    let begun = tokio::time::Instant::now();
    let answer = here.client("nobody").invoke::<()>("Ask", ()).await;
    assert!(answer.unwrap_err().to_string().contains("does not exist"));
    // Longer than a message takes, and shorter than anybody waits for an answer.
    assert!(begun.elapsed() < Duration::from_millis(500));
}

/// What is said of a group next: who, and whether they have joined.
async fn next(events: &mut PresenceEvents) -> (String, PresenceKind) {
    let event = timeout(PATIENCE, events.next()).await.expect("an event");
    let event = event.expect("the hub is there").expect("in time");
    assert_eq!(&*event.group, "lobby");
    (event.who.to_string(), event.kind)
}

#[tokio::test(start_paused = true)]
async fn who_is_present_is_known_to_all_servers_and_a_reconnect_is_no_leaving() {
    use PresenceKind::{Joined, Left};
    let between = InProcess::new();
    let start = || {
        let hub: Hub = Hub::new(())
            .user_identifier(user_in_query)
            .method("Enter", async |cx: Context| cx.groups().join("lobby"))
            .method("Go", async |cx: Context| {
                cx.groups().leave("lobby");
                Ok(())
            })
            .presence(Duration::from_secs(3))
            .backplane(between.clone());
        let handle = hub.handle();
        (TestServer::new(hub.router("/hub")), handle)
    };
    let (one, here) = start();
    let enter = async |server: &TestServer, user: &str| {
        let mut client = server.connect(&format!("/hub?user={user}")).await;
        client.invoke::<()>("Enter", ()).await.unwrap();
        client
    };
    let ann = enter(&one, "ann").await;
    // A server that comes later learns who is there already.
    let (other, there) = start();
    let mut events = there.presence().unwrap().events();
    assert_eq!(next(&mut events).await, ("ann".into(), Joined));
    let mut bob = enter(&other, "bob").await;
    assert_eq!(next(&mut events).await, ("bob".into(), Joined));
    let mut events = here.presence().unwrap().events();
    while here.presence().unwrap().members("lobby").len() < 2 {
        sleep(Duration::from_millis(10)).await;
    }

    // Ann's socket is lost, and she comes back, to the other server: she was never away.
    ann.leave().await;
    sleep(Duration::from_secs(2)).await;
    let ann = enter(&other, "ann").await;
    bob.invoke::<()>("Go", ()).await.unwrap();
    let mut got = vec![next(&mut events).await];
    if got[0].1 == Joined {
        got.push(next(&mut events).await);
    }
    assert_eq!(got.last(), Some(&("bob".into(), Left)));
    let members = here.presence().unwrap().members("lobby");
    assert_eq!(
        members.iter().map(|who| &**who).collect::<Vec<_>>(),
        ["ann"]
    );

    // Her server is gone without a word: she has left a few seconds later.
    drop((other, there, ann, bob));
    let begun = tokio::time::Instant::now();
    assert_eq!(next(&mut events).await, ("ann".into(), Left));
    let took = begun.elapsed();
    assert!(took <= Duration::from_secs(5), "{took:?}");
}
