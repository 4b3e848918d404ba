//! One run: a server, its clients, and what they did.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use hub::{Context, Hub, HubOptions};
use tokio::time::{sleep, timeout};

use super::{
    client::{Client, State},
    history::{History, Seen},
    random::Random,
    real::RealClient,
};
use crate::live::{Count, RS, Server, call};

const CLIENTS: usize = 3;

/// Sockets of each client that fail: over fifty in each run.
const FAULTS: u32 = 18;

const CALLS: u64 = 60;

/// Of each kind.
const NEWS: u64 = 60;

#[derive(Clone)]
struct Shared {
    history: Arc<Mutex<History>>,
    joined: Count,
}

type Cx = Context<Shared>;

/// Who the clients are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clients {
    /// Models of the JavaScript client.
    Models,
    /// The crate's own.
    Real,
}

pub(crate) fn run(seed: u64, clients: Clients) -> History {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(go_on(Random::new(seed), clients))
}

async fn go_on(mut random: Random, kind: Clients) -> History {
    let history = Arc::new(Mutex::new(History {
        clients: vec![Seen::default(); CLIENTS],
        published: 0,
    }));
    let shared = Shared {
        history: history.clone(),
        joined: Count::default(),
    };
    let server = Server::start(hub(shared.clone(), &mut random));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| match kind {
            Clients::Models => {
                let client = Client {
                    number,
                    server: server.clone(),
                    random: random.fork(),
                    history: history.clone(),
                    faults: FAULTS,
                    fails: Arc::default(),
                    calls: CALLS,
                    state: State::default(),
                };
                tokio::spawn(client.run())
            }
            Clients::Real => {
                let client = RealClient {
                    number,
                    server: server.clone(),
                    random: random.fork(),
                    history: history.clone(),
                    faults: FAULTS,
                    calls: CALLS,
                };
                tokio::spawn(client.run())
            }
        })
        .collect();
    // From here on everybody is certainly a member.
    while shared.joined.get() < CLIENTS {
        sleep(Duration::from_millis(1)).await;
    }
    for number in 0..NEWS {
        sleep(random.millis(300)).await;
        locked(&history).published = number + 1;
        let news = ("n".repeat(random.below(2000) as usize),);
        let everybody = server.handle.all().send("News", (number, &news.0));
        everybody.expect("it can be encoded");
        let group = server
            .handle
            .group("g")
            .send("GroupNews", (number, &news.0));
        group.expect("it can be encoded");
    }
    let all_arrives = async {
        while !locked(&history).is_whole() && !has_fault(&history) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    // What has not come by then is lost.
    let _ = timeout(Duration::from_secs(120), all_arrives).await;
    for client in clients {
        client.abort();
    }
    let liar = lie(&server, &mut random).await;
    let mut history = locked(&history);
    if let Some(fault) = liar {
        history.clients[0].faults.push(fault);
    }
    history.clone()
}

/// A client whose Sequence cannot be is answered or ended, never met with silence (row 182).
async fn lie(server: &Server, random: &mut Random) -> Option<String> {
    let target = "/hub/negotiate?negotiateVersion=1&useStatefulReconnect=true";
    let answer = server.request("POST", target).await;
    let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    let token = body["connectionToken"].as_str().expect("a token");
    let mut client = server.open_at(&format!("/hub?id={token}")).await;
    client.send(r#"{"protocol":"json","version":2}"#).await;
    client.expect(&["{}"]).await;
    let id = 5 - random.below(10) as i64;
    let sequence = format!("{{\"type\":9,\"sequenceId\":{id}}}{RS}");
    let call = call("1", "None", "[]");
    let _ = client.try_text(&format!("{sequence}{call}{RS}")).await;
    let next = timeout(Duration::from_secs(10), client.next()).await;
    match next {
        Ok(record) if id == 1 && record.contains("Method does not exist") => None,
        Ok(record) if id != 1 && record.contains("\"type\":7") => None,
        Ok(record) => Some(format!("Sequence {id} was answered with {record}")),
        Err(_) => Some(format!("Sequence {id} was met with silence")),
    }
}

fn hub(shared: Shared, random: &mut Random) -> Hub<Shared> {
    let options = HubOptions::new()
        .allow_stateful_reconnects(true)
        .enable_detailed_errors(true)
        // Sometimes smaller than what is under way.
        .stateful_reconnect_buffer_size(if random.once_in(3) { 3000 } else { 100_000 })
        .disconnect_timeout(Duration::from_secs(60))
        .client_timeout_interval(Duration::from_secs(600));
    Hub::with_options(shared, options)
        .method("Join", async |cx: Cx| {
            cx.groups().join("g")?;
            cx.state().joined.add();
            Ok(())
        })
        .method("Note", async |cx: Cx, client: usize, number: u64| {
            locked(&cx.state().history).clients[client]
                .noted
                .push(number);
            cx.caller().send("Told", (number,))?;
            Ok(())
        })
}

fn has_fault(history: &Mutex<History>) -> bool {
    let history = locked(history);
    history.clients.iter().any(|seen| !seen.faults.is_empty())
}

fn locked(history: &Mutex<History>) -> MutexGuard<'_, History> {
    history.lock().expect("nobody panicked")
}
