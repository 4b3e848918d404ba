//! Recorded conversations with ASP.NET Core, replayed over TCP with what `spec_server` serves, or with
//! the server that `SPEC_SERVER_URL` names: `hub/tests/transcripts/README.md` tells their format, and
//! how to choose some of them. In memory and in simulated time: `hub/tests/suite/transcripts.rs`.

use std::{
    cmp::Reverse,
    collections::HashMap,
    env,
    future::IntoFuture,
    path::{Path, PathBuf},
};

use axum::Router;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::net::TcpListener;

use crate::{
    lateness::{BOUND, verdict},
    replay::{Address, Differences, Skipped, chosen, replay},
    spec,
    transcript::{Scenario, all},
};

/// How many run at a time.
const AT_A_TIME: usize = 24;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hub/tests/transcripts")
}

/// Started here it shares this thread with the replayer: it is late when that is.
async fn server() -> Address {
    let url = match env::var("SPEC_SERVER_URL") {
        Ok(url) => url,
        Err(_) => {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let app = spec::endpoints::app(Router::new(), &[], &|hub, _| hub);
            tokio::spawn(raw_ws::serve(listener, app).into_future());
            url
        }
    };
    Address::parse(&url).expect("SPEC_SERVER_URL is http://HOST:PORT")
}

#[tokio::test]
async fn every_conversation_goes_over_tcp_as_recorded() {
    let server = server().await;
    let scenarios = all(&folder());
    let only = env::var("TRANSCRIPTS_ONLY").unwrap_or_default();
    let slow = env::var_os("TRANSCRIPTS_SLOW").is_some();
    // The server that was recorded has everything and differs in nothing.
    let (skipped, differences) = if env::var_os("TRANSCRIPTS_REFERENCE").is_some() {
        Default::default()
    } else {
        (Skipped::read(&folder()), Differences::read(&folder()))
    };

    let count = scenarios.len();
    let wanted =
        |s: &Scenario| chosen(&only, &s.name) && (slow || !s.slow) && skipped.reason(s).is_none();
    let replayed: Vec<_> = scenarios.into_iter().filter(wanted).collect();
    assert!(!replayed.is_empty(), "no scenario is chosen");
    println!("{} of {count} conversations", replayed.len());
    let mut failed = String::new();
    // What says when something happens is not disturbed by the work for all the others.
    let (timed, others): (Vec<_>, Vec<_>) = replayed.into_iter().partition(says_when);
    let mut outcomes = replay_all(&server, others).await;
    outcomes.extend(replay_all(&server, timed).await);
    for (scenario, outcome) in outcomes {
        if let Some(why) = differences.problem(&scenario.name, outcome) {
            failed.push_str(&scenario.failed(&why));
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

type Outcome = Result<(), String>;

fn says_when(scenario: &Scenario) -> bool {
    !scenario.weight().is_zero()
}

/// Where a scenario says when something happens, a run whose tester was late does not count.
async fn judge(server: &Address, scenario: &Scenario) -> Outcome {
    if !says_when(scenario) {
        return replay(server, scenario).await;
    }
    verdict(&scenario.name, BOUND, async || {
        replay(server, scenario).await
    })
    .await?
}

/// Who uses a hub.
#[derive(Debug, Default)]
struct Users {
    sharing: usize,
    alone: bool,
}

impl Users {
    fn admit(&mut self, alone: bool) -> bool {
        if self.alone || (alone && self.sharing > 0) {
            return false;
        }
        self.alone = alone;
        self.sharing += usize::from(!alone);
        true
    }

    fn release(&mut self, alone: bool) {
        if alone {
            self.alone = false;
        } else {
            self.sharing -= 1;
        }
    }
}

/// Replays them all, the longest first; an exclusive one has its hub to itself.
async fn replay_all(server: &Address, scenarios: Vec<Scenario>) -> Vec<(Scenario, Outcome)> {
    let mut waiting = scenarios;
    waiting.sort_by_key(|scenario| (Reverse(scenario.weight()), scenario.name.clone()));
    let mut hubs: HashMap<String, Users> = HashMap::new();
    let mut running = FuturesUnordered::new();
    let mut outcomes = Vec::new();
    loop {
        while running.len() < AT_A_TIME {
            let ready = waiting.iter().position(|scenario| {
                hubs.entry(scenario.hub.clone())
                    .or_default()
                    .admit(scenario.exclusive)
            });
            let Some(at) = ready else { break };
            let scenario = waiting.remove(at);
            running.push(async move {
                let outcome = judge(server, &scenario).await;
                (scenario, outcome)
            });
        }
        let Some((scenario, outcome)) = running.next().await else {
            break;
        };
        if let Some(users) = hubs.get_mut(&scenario.hub) {
            users.release(scenario.exclusive);
        }
        outcomes.push((scenario, outcome));
    }
    outcomes
}

#[test]
fn an_exclusive_scenario_has_its_hub_to_itself() {
    let mut users = Users::default();
    assert!(users.admit(false) && users.admit(false) && !users.admit(true));
    users.release(false);
    users.release(false);
    assert!(users.admit(true) && !users.admit(false) && !users.admit(true));
    users.release(true);
    assert!(users.admit(false));
}
