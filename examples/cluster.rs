//! Several servers of one hub, on one Redis: somebody on each, a message that crosses, who is where, and
//! what becomes of a server that ends. Then they go on serving, for clients of your own.
//!
//! Run it: `cargo run --release --example cluster` (`redis-server` must run; `--redis` says where)

use std::{future::ready, net::SocketAddr, time::Duration};

use clap::Parser;
use examples::{Error, allow_as_many_files_as_possible, say};
use hub::{
    Context, Hub, HubHandle, PresenceKind,
    backplane::{Backplane, Redis},
    client::HubConnection,
};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};

/// Several servers of one hub, on one Redis
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The Redis that they share
    #[arg(long, value_name = "URL", default_value = "redis://127.0.0.1:6379")]
    redis: String,
    /// How many servers
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=9))]
    servers: u16,
    /// End when it has been shown, instead of serving on
    #[arg(long)]
    once: bool,
}

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The hub: the same on every server. All it takes to be one with the others is the last line.
fn chat(backplane: impl Backplane) -> Hub {
    Hub::new(())
        .method("Join", async |cx: Context, room: String| {
            cx.groups().join_and_wait(&room).await
        })
        .method("Say", async |cx: Context, room: String, text: String| {
            cx.group(&room).send("Said", (text,))
        })
        .user_identifier(|request| {
            let (_, user) = request.uri.query()?.split_once("user=")?;
            Some(user.split('&').next()?.to_owned())
        })
        .presence(Duration::from_secs(2))
        .backplane(backplane)
}

/// One of the servers, which are processes elsewhere: here each has its own connections to Redis.
struct Server {
    address: SocketAddr,
    hub: HubHandle,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn start(redis: &str, prefix: &str) -> Result<Self, Error> {
        let redis = Redis::connect(redis).await?;
        let hub = chat(redis.channel_prefix(prefix));
        let handle = hub.handle();
        let listener = raw_ws::listen("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let app = hub.router("/chat");
        let serving = tokio::spawn(async move { raw_ws::serve(listener, app).await });
        Ok(Self {
            address,
            hub: handle,
            serving,
        })
    }
}

/// A client of one of them, and what it is told.
struct Somebody {
    name: &'static str,
    connection: HubConnection,
    said: mpsc::UnboundedReceiver<String>,
}

impl Somebody {
    async fn enter(name: &'static str, server: &Server) -> Result<Self, Error> {
        let (tell, said) = mpsc::unbounded_channel();
        let connection =
            HubConnection::builder(format!("http://{}/chat?user={name}", server.address))
                .on("Said", move |text: String| {
                    // Nobody listens any more at the end.
                    let _ = tell.send(text);
                    ready(())
                })
                .connect()
                .await?;
        connection.invoke::<()>("Join", ("lobby",)).await?;
        Ok(Self {
            name,
            connection,
            said,
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    allow_as_many_files_as_possible();
    // A hub of its own for each run: another on the same Redis hears nothing of it.
    let prefix = format!("Cluster.Example.{}", std::process::id());
    let mut servers = Vec::new();
    for number in 1..=options.servers {
        let server = Server::start(&options.redis, &prefix).await?;
        say!("server {number}: http://{}/chat", server.address);
        servers.push(server);
    }

    let names = [
        "ann", "bob", "cyd", "dan", "eve", "fay", "gus", "hal", "ida",
    ];
    let mut people = Vec::new();
    for (name, server) in names.into_iter().zip(&servers) {
        people.push(Somebody::enter(name, server).await?);
        say!("{name} is in the lobby, by http://{}", server.address);
    }

    say!("\nann says hello to the lobby:");
    let hello = ("lobby", "hello from ann");
    people[0].connection.invoke::<()>("Say", hello).await?;
    for somebody in &mut people {
        let said = timeout(PATIENCE, somebody.said.recv()).await?;
        say!("  {} hears: {}", somebody.name, said.unwrap_or_default());
    }

    let last = servers[servers.len() - 1].hub.clone();
    let members = last.servers().members("lobby").await;
    say!(
        "\nthe last server is asked who is in the lobby: {} connections, by {} servers, {}",
        members.value.len(),
        members.servers,
        if members.is_partial() {
            "perhaps more"
        } else {
            "and no more"
        }
    );
    let mut events = last.presence().ok_or("presence was asked for")?.events();

    say!("\nthe first server ends:");
    let first = servers.remove(0);
    first.serving.abort();
    drop(first.hub);
    people[0].connection.stop().await;
    while let Ok(Some(Ok(event))) = timeout(PATIENCE, events.next()).await {
        if event.kind == PresenceKind::Left {
            say!(
                "  {} has left {}, and every other server knows",
                event.who,
                event.group
            );
            break;
        }
    }
    let members = last.servers().members("lobby").await;
    say!(
        "  {} connections are left in the lobby",
        members.value.len()
    );

    if !options.once {
        say!("\nthe others serve on; Ctrl-C ends them. Restart Redis, and see what they do:");
        tokio::select! {
            () = talk(&mut people[1..]) => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    }
    Ok(())
}

/// One of them says something now and then, and the last says what it hears.
async fn talk(people: &mut [Somebody]) {
    let speaker = people[0].connection.clone();
    let Some(listener) = people.last_mut() else {
        return;
    };
    for number in 1.. {
        let text = format!("message {number}");
        if let Err(error) = speaker.invoke::<()>("Say", ("lobby", text)).await {
            say!("  the speaker is told: {error}");
        }
        match timeout(Duration::from_secs(1), listener.said.recv()).await {
            Ok(Some(text)) => say!("  {} hears: {text}", listener.name),
            _ => say!("  {} hears nothing", listener.name),
        }
        sleep(Duration::from_secs(1)).await;
    }
}
