//! What becomes of a connection that is lost: a server that counts, two clients, and between them a
//! network that you cut. The one client asks for stateful reconnect, and misses no number; the other
//! makes a new connection, joins its group again, and sees what it missed.
//!
//! Run it: `cargo run --release --example reconnect`

use std::time::Duration;

use clap::Parser;
use examples::{
    Error,
    cut::{Cut, Proxy},
    say, typed_lines,
};
use hub::{
    Context, Hub, HubHandle, HubOptions,
    client::{Backoff, Event, Events, HubConnection},
};
use tokio::{
    net::TcpListener,
    sync::mpsc,
    time::{interval, sleep},
};

/// A server that counts, two clients, and a network that you cut between them
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Milliseconds from one number to the next
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    every: u64,
    /// Ends after so many numbers
    #[arg(long, value_name = "N")]
    until: Option<u64>,
    /// Cuts the network by itself, each so many numbers
    #[arg(long, value_name = "N")]
    cut_every: Option<u64>,
}

/// How long the network is away when it is cut.
const AWAY: Duration = Duration::from_secs(2);

const GROUP: &str = "who counts along";

const HELP: &str = "Type c and Enter to cut the network, h for a hole that swallows everything in \
                    silence, Ctrl-D to end.";

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let network = Proxy::before(listener.local_addr()?).await?;
    let hub = Hub::with_options((), HubOptions::new().allow_stateful_reconnects(true))
        .method("Join", async |cx: Context| cx.groups().join(GROUP));
    let counter = hub.handle();
    tokio::spawn(raw_ws::serve(listener, hub.router("/counter")).into_future());

    let url = format!("http://{}/counter", network.address());
    let stateful = client("stateful", &url, true).await?;
    let ordinary = client("ordinary", &url, false).await?;
    say!("{HELP}");
    let mut last = 0;
    tokio::select! {
        counted = count(&counter, &options, &network, &mut last) => counted?,
        () = listen_to_keys(&network, options.until) => {}
    }
    // What is under way arrives.
    sleep(AWAY + Duration::from_secs(1)).await;
    for client in [stateful, ordinary] {
        client.hub.stop().await;
        let (name, came) = client.counted.await?;
        say!("{name}: {came} of {last} numbers came");
    }
    Ok(())
}

struct Client {
    hub: HubConnection,
    counted: tokio::task::JoinHandle<(&'static str, u64)>,
}

async fn client(name: &'static str, url: &str, is_stateful: bool) -> Result<Client, Error> {
    let (numbers, counted) = mpsc::unbounded_channel();
    let builder = HubConnection::builder(url)
        .automatic_reconnect(Backoff::default().most(Duration::from_millis(500)))
        .server_timeout(Duration::from_secs(5)) // notices a hole sooner
        .on("Counted", move |number: u64| {
            let _ = numbers.send(number);
            std::future::ready(())
        });
    let builder = if is_stateful {
        builder.stateful_reconnect()
    } else {
        builder
    };
    let hub = builder.connect().await?;
    let events = hub.events();
    let () = hub.invoke("Join", ()).await?;
    let counted = tokio::spawn(count_along(name, events, counted));
    tokio::spawn(join_again(hub.events(), hub.clone()));
    Ok(Client { hub, counted })
}

/// Another connection is in no group: it joins again. One that is resumed is still in it.
async fn join_again(mut events: Events, hub: HubConnection) {
    while let Some(event) = events.next().await {
        if let Event::Connected { .. } = event
            && let Err(error) = hub.invoke::<()>("Join", ()).await
        {
            say!("it could not join again: {error}");
        }
    }
}

/// Tells what comes and what does not.
async fn count_along(
    name: &'static str,
    mut events: Events,
    mut numbers: mpsc::UnboundedReceiver<u64>,
) -> (&'static str, u64) {
    let (mut next, mut came) = (None, 0);
    loop {
        tokio::select! {
            biased;
            number = numbers.recv() => {
                let Some(number) = number else { break };
                let expected = next.unwrap_or(number);
                if number > expected {
                    say!("{name}: missed {expected} to {}", number - 1);
                }
                say!("{name}: {number}");
                next = Some(number + 1);
                came += 1;
            }
            event = events.next() => match event {
                Some(Event::Reconnecting { error, attempt: 1, .. }) => say!("{name}: lost ({error})"),
                Some(Event::Resumed) => say!("{name}: resumed, the same connection"),
                Some(Event::Connected { .. }) => say!("{name}: a new connection"),
                Some(Event::Disconnected { .. }) | None => break,
                Some(_) => {}
            }
        }
    }
    (name, came)
}

async fn count(
    counter: &HubHandle,
    options: &Options,
    network: &Proxy,
    last: &mut u64,
) -> Result<(), Error> {
    let mut ticks = interval(Duration::from_millis(options.every));
    for number in 1.. {
        ticks.tick().await;
        let sent = counter.group(GROUP).send("Counted", (number,));
        sent.map_err(|error| error.to_string())?;
        *last = number;
        if options.until == Some(number) {
            break;
        }
        if options
            .cut_every
            .is_some_and(|every| number.is_multiple_of(every))
        {
            cut(network, Cut::Reset);
        }
    }
    // Whoever is away is to come back.
    while network.is_down() {
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn listen_to_keys(network: &Proxy, until: Option<u64>) {
    let mut lines = typed_lines();
    while let Some(line) = lines.recv().await {
        match line.trim() {
            "c" => cut(network, Cut::Reset),
            "h" => cut(network, Cut::Hole),
            _ => say!("{HELP}"),
        }
    }
    if until.is_some() {
        std::future::pending().await // nobody types, and it knows where to end
    }
}

/// Cuts what goes through, and refuses what comes for a while.
fn cut(network: &Proxy, how: Cut) {
    say!("the network is cut for {AWAY:?}");
    network.cut(how);
    network.down_for(AWAY);
}
