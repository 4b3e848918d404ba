//! All scenarios at once, as far as they let each other be.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use tokio::task::JoinSet;

use super::run::replay;
use crate::{server::BaseUrl, transcript::Scenario};

/// How many run at a time: their windows of time hold on a machine that is not overloaded.
const AT_A_TIME: usize = 24;

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

pub(crate) type Outcome = (Arc<Scenario>, Result<(), String>);

/// Replays them all, the longest first; an exclusive one has its hub to itself.
pub(crate) async fn replay_all(base: &BaseUrl, scenarios: Vec<Arc<Scenario>>) -> Vec<Outcome> {
    let mut waiting = scenarios;
    waiting.sort_by_key(|scenario| (Reverse(scenario.weight()), scenario.name.clone()));
    let mut hubs: HashMap<String, Users> = HashMap::new();
    let mut running = JoinSet::new();
    let mut outcomes = Vec::new();
    loop {
        while running.len() < AT_A_TIME {
            let ready = waiting.iter().position(|scenario| {
                hubs.entry(scenario.hub.clone())
                    .or_default()
                    .admit(scenario.exclusive)
            });
            let Some(at) = ready else { break };
            let (base, scenario) = (base.clone(), waiting.remove(at));
            running.spawn(async move {
                let outcome = replay(&base, &scenario).await;
                (scenario, outcome)
            });
        }
        let Some(done) = running.join_next().await else {
            break;
        };
        let (scenario, outcome) = done.expect("a replay does not panic");
        if let Some(users) = hubs.get_mut(&scenario.hub) {
            users.release(scenario.exclusive);
        }
        outcomes.push((scenario, outcome));
    }
    outcomes.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
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
