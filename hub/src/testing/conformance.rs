//! What every backplane must hold, as checks that any of them can be put to.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{TestClient, TestServer};
use crate::{
    backplanes::Backplane,
    error::Result,
    methods::{context::Context, handle::HubHandle, hub::Hub},
    options::HubOptions,
    protocol::Protocol,
};

/// How long one check may take: a message that never comes ends it.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long what is asked of somebody who is not there is waited for.
const DEADLINE: Duration = Duration::from_secs(2);

/// Puts a [backplane](crate::backplane::Backplane) to all that a hub wants of one: sends to all, groups,
/// users and connections, exclusions, client results across servers, membership changed from another
/// server, the order of each channel, questions to all servers, and that nothing is left of who has gone.
///
/// `server` is called for each server of a check, and gives its end of the backplane: with the channel
/// prefix that it is given, which is another one for each check.
///
/// ```
/// use hub::backplane::{InProcess, conformance};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let mut between = (String::new(), InProcess::new());
/// conformance(async |prefix: &str| {
///     if between.0 != prefix {
///         between = (prefix.to_owned(), InProcess::new());
///     }
///     between.1.clone()
/// })
/// .await;
/// # });
/// ```
///
/// # Panics
/// When it does not hold one of them, with the name of the check.
pub async fn conformance<B: Backplane>(mut server: impl AsyncFnMut(&str) -> B) {
    let mut name = String::from("hub");
    let mut random = [0; 4];
    getrandom::fill(&mut random).expect("the operating system gives random bytes");
    random
        .iter()
        .for_each(|byte| name += &format!("{byte:02x}"));
    macro_rules! run {
        ($($check:ident),* $(,)?) => {$(
            let prefix = format!("{name}-{}", stringify!($check));
            let servers = [
                Server::start(server(&prefix).await).await,
                Server::start(server(&prefix).await).await,
            ];
            settle(&servers).await;
            within(stringify!($check), $check(servers)).await;
        )*};
    }
    run! {
        all_reaches_everybody_once,
        some_are_left_out,
        one_and_several_connections,
        groups_and_who_is_left_out_of_them,
        users,
        a_client_of_another_server_is_asked,
        a_client_that_nobody_has_is_not_waited_for,
        membership_is_changed_from_another_server,
        each_channel_keeps_its_order,
        every_server_is_asked,
        nothing_is_left_of_who_has_gone,
    }
}

async fn within(check: &str, run: impl Future<Output = ()>) {
    let done = timeout(PATIENCE, run).await;
    assert!(done.is_ok(), "{check}: something never came");
}

/// A hub that is one server of it.
struct Server {
    server: TestServer,
    hub: HubHandle,
}

impl Server {
    async fn start(backplane: impl Backplane) -> Self {
        let options = HubOptions::new().client_result_timeout(DEADLINE);
        let hub = Hub::with_options((), options)
            .user_identifier(|request| {
                let user = request.uri.query()?.strip_prefix("user=")?;
                Some(user.split('&').next()?.to_owned())
            })
            .method("Arrive", async |_: Context| Ok(()))
            .method("Join", async |cx: Context, group: String| {
                cx.groups().join_and_wait(&group).await
            })
            .method("Leave", async |cx: Context, group: String| {
                cx.groups().leave(&group);
                Ok(())
            })
            .method("Tell", async |cx: Context, text: String| {
                cx.all().send("Told", (text,))
            })
            .backplane(backplane);
        let handle = hub.handle();
        let server = TestServer::new(hub.router("/hub"));
        Self {
            server,
            hub: handle,
        }
    }

    /// A client that speaks JSON, of a user of that name.
    async fn json(&self, user: &str) -> TestClient {
        self.client(Protocol::Json, user).await
    }

    /// One that speaks the last of the protocols.
    async fn other(&self, user: &str) -> TestClient {
        let last = Protocol::ALL[Protocol::ALL.len() - 1];
        self.client(last, user).await
    }

    /// One that has called a method: others reach it by then.
    async fn client(&self, protocol: Protocol, user: &str) -> TestClient {
        let path = format!("/hub?user={user}");
        let mut client = self.server.connect_in(protocol, &path).await;
        client.invoke::<()>("Arrive", ()).await.unwrap();
        client
    }
}

/// Until both see each other.
async fn settle(servers: &[Server; 2]) {
    let begun = Instant::now();
    for server in servers {
        loop {
            let online = server.hub.servers().connections().await;
            if online.servers == 2 && !online.is_partial() {
                break;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "the servers do not find each other"
            );
            sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn told(client: &mut TestClient) -> String {
    client.receive::<(String,)>("Told").await.0
}

async fn all_reaches_everybody_once([one, other]: [Server; 2]) {
    let mut clients = [
        one.json("a").await,
        one.other("b").await,
        other.json("c").await,
        other.other("d").await,
    ];
    for (from, text) in [(&one, "first"), (&other, "second"), (&one, "second")] {
        let sent = from.hub.all().send("Told", (text,));
        assert!(sent.is_ok(), "{sent:?}");
        for client in &mut clients {
            assert_eq!(told(client).await, text);
        }
    }
    // Nothing came twice: the next is the next.
    let told_by_a_client: Result<()> = clients[2].invoke("Tell", ("last",)).await;
    assert!(told_by_a_client.is_ok());
    for client in &mut clients {
        assert_eq!(told(client).await, "last");
    }
}

async fn some_are_left_out([one, other]: [Server; 2]) {
    let mut here = one.json("a").await;
    let mut there = other.other("b").await;
    let mut left_out = other.json("c").await;
    let ids = [left_out.connection_id(), "nobody"];
    one.hub.all_except(ids).send("Told", ("some",)).unwrap();
    one.hub.all().send("Told", ("all",)).unwrap();
    for client in [&mut here, &mut there] {
        assert_eq!(told(client).await, "some");
        assert_eq!(told(client).await, "all");
    }
    assert_eq!(told(&mut left_out).await, "all");
}

async fn one_and_several_connections([one, other]: [Server; 2]) {
    let mut here = one.json("a").await;
    let mut there = other.other("b").await;
    let [a, b] = [&here, &there].map(|client| client.connection_id().to_owned());
    for from in [&one, &other] {
        from.hub.client(&a).send("Told", ("one",)).unwrap();
        assert_eq!(told(&mut here).await, "one");
        from.hub.client(&b).send("Told", ("one",)).unwrap();
        assert_eq!(told(&mut there).await, "one");
        let ids = [&*a, &*b, "nobody", &*b];
        from.hub.clients_of(ids).send("Told", ("several",)).unwrap();
        from.hub.clients_of(ids).send("Told", ("last",)).unwrap();
        for client in [&mut here, &mut there] {
            assert_eq!(told(client).await, "several");
            assert_eq!(told(client).await, "last");
        }
    }
}

async fn groups_and_who_is_left_out_of_them([one, other]: [Server; 2]) {
    let mut here = one.json("a").await;
    let mut there = other.other("b").await;
    let mut outside = other.json("c").await;
    for client in [&mut here, &mut there] {
        client.invoke::<()>("Join", ("g",)).await.unwrap();
    }
    let but_here = [here.connection_id().to_owned()];
    one.hub.group("g").send("Told", ("group",)).unwrap();
    one.hub
        .group_except("g", &but_here)
        .send("Told", ("but one",))
        .unwrap();
    other
        .hub
        .groups_of(["g", "h"])
        .send("Told", ("groups",))
        .unwrap();
    for text in ["group", "groups"] {
        assert_eq!(told(&mut here).await, text);
    }
    // Of two servers, each in its order.
    let mut got = [
        told(&mut there).await,
        told(&mut there).await,
        told(&mut there).await,
    ];
    got.sort_unstable();
    assert_eq!(got, ["but one", "group", "groups"]);
    one.hub
        .client(outside.connection_id())
        .send("Told", ("outside",))
        .unwrap();
    assert_eq!(told(&mut outside).await, "outside");
}

async fn users([one, other]: [Server; 2]) {
    let mut here = one.json("ann").await;
    let mut there = other.other("ann").await;
    let mut bob = other.json("bob").await;
    one.hub.user("ann").send("Told", ("ann",)).unwrap();
    one.hub
        .users(["bob", "", "ann"])
        .send("Told", ("both",))
        .unwrap();
    for client in [&mut here, &mut there] {
        assert_eq!(told(client).await, "ann");
        assert_eq!(told(client).await, "both");
    }
    assert_eq!(told(&mut bob).await, "both");
}

async fn a_client_of_another_server_is_asked([one, other]: [Server; 2]) {
    for mut client in [other.json("a").await, other.other("b").await] {
        let asked = one.hub.client(client.connection_id());
        let answers = async {
            let answer = |(question,): (String,)| format!("{question}!");
            client.answer("Ask", answer).await;
            client
        };
        let (answer, client) = tokio::join!(asked.invoke::<String>("Ask", ("well",)), answers);
        assert_eq!(answer.unwrap(), "well!");
        let leaves = async {
            sleep(Duration::from_millis(50)).await;
            client.leave().await;
        };
        let (answer, ()) = tokio::join!(asked.invoke::<String>("Ask", ("well",)), leaves);
        let error = answer.unwrap_err().to_string();
        assert!(
            error.contains("isconnected") || error.contains("does not exist"),
            "{error}"
        );
    }
}

async fn a_client_that_nobody_has_is_not_waited_for([one, _other]: [Server; 2]) {
    let nobody = one.hub.client("nobody");
    let answer = nobody.invoke::<String>("Ask", ("well",)).await;
    let error = answer.unwrap_err().to_string();
    // A backplane that cannot count lets the deadline pass.
    let known = ["does not exist", "canceled"];
    assert!(known.iter().any(|text| error.contains(text)), "{error}");
}

async fn membership_is_changed_from_another_server([one, other]: [Server; 2]) {
    let mut there = other.json("a").await;
    let id = there.connection_id().to_owned();
    one.hub.groups().add_and_wait(&id, "g").await.unwrap();
    assert_eq!(other.hub.groups().of(&id), ["g"]);
    one.hub.group("g").send("Told", ("in",)).unwrap();
    assert_eq!(told(&mut there).await, "in");
    one.hub.groups().remove_and_wait(&id, "g").await.unwrap();
    assert_eq!(other.hub.groups().of(&id), [""; 0]);
    one.hub.group("g").send("Told", ("out",)).unwrap();
    // Without waiting it is done too, a little later.
    one.hub.groups().add(&id, "h").unwrap();
    while other.hub.groups().of(&id) != ["h"] {
        sleep(Duration::from_millis(5)).await;
    }
    one.hub.client(&id).send("Told", ("last",)).unwrap();
    assert_eq!(told(&mut there).await, "last");
    let unknown = one.hub.groups().add_and_wait("nobody", "g").await;
    assert!(unknown.is_err(), "nobody was put into a group");
}

async fn each_channel_keeps_its_order([one, other]: [Server; 2]) {
    const COUNT: usize = 500;
    let mut here = one.json("a").await;
    let mut there = other.other("b").await;
    for number in 0..COUNT {
        for (from, name) in [(&one, "one"), (&other, "other")] {
            from.hub
                .all()
                .send("Told", (format!("{name} {number}"),))
                .unwrap();
        }
        if number % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for client in [&mut here, &mut there] {
        let mut next = [0; 2];
        for _ in 0..2 * COUNT {
            let told = told(client).await;
            let (name, number) = told.split_once(' ').unwrap();
            let next = &mut next[usize::from(name == "other")];
            assert_eq!(number, next.to_string(), "of {name}");
            *next += 1;
        }
    }
}

async fn every_server_is_asked([one, other]: [Server; 2]) {
    let mut here = one.json("ann").await;
    let mut there = other.other("ann").await;
    for client in [&mut here, &mut there] {
        client.invoke::<()>("Join", ("g",)).await.unwrap();
    }
    let mut both = [&here, &there].map(|client| client.connection_id().to_owned());
    both.sort_unstable();
    let servers = one.hub.servers();
    for everywhere in [
        servers.members("g").await,
        servers.connections_of_user("ann").await,
        servers.everybody().await,
    ] {
        assert_eq!((everywhere.servers, everywhere.silent), (2, 0));
        let mut ids: Vec<_> = everywhere.value.iter().map(|id| id.as_str()).collect();
        ids.sort_unstable();
        assert_eq!(ids, both);
    }
    assert_eq!(servers.connections().await.value, 2);
    assert_eq!(servers.members("h").await.value, []);
    while !servers.are_ready() {
        sleep(Duration::from_millis(10)).await;
    }
}

async fn nothing_is_left_of_who_has_gone([one, other]: [Server; 2]) {
    let mut there = other.json("ann").await;
    there.invoke::<()>("Join", ("g",)).await.unwrap();
    there.invoke::<()>("Join", ("h",)).await.unwrap();
    there.invoke::<()>("Leave", ("h",)).await.unwrap();
    let servers = one.hub.servers();
    assert_eq!(servers.members("h").await.value, []);
    assert_eq!(servers.members("g").await.value.len(), 1);
    there.leave().await;
    loop {
        let (members, online) = (servers.members("g").await, servers.connections().await);
        if members.value.is_empty() && online.value == 0 {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    // A whole server that ends is asked no longer.
    drop(other);
    loop {
        let online = servers.connections().await;
        if online.servers == 1 && !online.is_partial() {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
}
