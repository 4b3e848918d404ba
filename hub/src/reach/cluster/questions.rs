//! Questions to the other servers that wait for their answers.

use std::{collections::HashMap, time::Duration};

use raw_ws::sync::Mutex;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use crate::identity::connection_id::ConnectionToken;

use super::{
    Cluster,
    notes::{Note, Question},
};

/// How long a question waits for those who have not answered.
const PATIENCE: Duration = Duration::from_secs(1);

/// Those of one server.
#[derive(Default)]
pub(super) struct Questions(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    last_id: u64,
    answers: HashMap<u64, mpsc::UnboundedSender<Vec<String>>>,
}

/// What the others have answered.
pub(crate) struct Answers {
    /// One of each server that has.
    pub(crate) answers: Vec<Vec<String>>,
    /// How many have not: they are slow, or know no questions, as servers of ASP.NET Core.
    pub(crate) silent: usize,
}

/// A question that waits; forgotten when dropped.
struct Asked<'a> {
    id: u64,
    answers: mpsc::UnboundedReceiver<Vec<String>>,
    questions: &'a Questions,
}

impl Cluster {
    /// Asks all other servers.
    pub(crate) async fn ask(&self, question: Question) -> Answers {
        let deadline = Instant::now() + PATIENCE;
        let mut asked = self.questions.begin();
        self.write_to_all(&Note::Question {
            from: self.name().to_owned(),
            id: asked.id,
            question,
        });
        // How many there are, and how many of them can answer; this one is among both.
        let count = async {
            let link = self.link();
            let (all, ours) = (
                link.subscribers(&self.channels.groups),
                link.subscribers(&self.channels.notes),
            );
            Some((all.await?, ours.await?))
        };
        let counted = timeout_at(deadline, count).await.ok().flatten();
        let others = |count: u64| {
            usize::try_from(count)
                .unwrap_or(usize::MAX)
                .saturating_sub(1)
        };
        let (all, can_answer) = match counted {
            Some((all, ours)) => (others(all.max(ours)), others(ours)),
            // It cannot be known, or the backplane is away: those who were there last.
            None => (self.others(), self.others()),
        };
        let mut answers = Vec::new();
        while answers.len() < can_answer
            && let Ok(Some(answer)) = timeout_at(deadline, asked.answers.recv()).await
        {
            answers.push(answer);
        }
        let silent = all.saturating_sub(answers.len());
        let is_blind = counted.is_none() && !self.is_ready();
        Answers {
            answers,
            silent: if is_blind { silent.max(1) } else { silent },
        }
    }

    /// Asks the server of this name for a connection that it has given out a token for. `None` when it does
    /// not answer, or is not there.
    pub(crate) async fn claim(
        &self,
        server: &str,
        path: &str,
        token: &ConnectionToken,
    ) -> Option<Vec<String>> {
        let deadline = Instant::now() + PATIENCE;
        let mut asked = self.questions.begin();
        let claim = Note::Claim {
            from: self.name().to_owned(),
            id: asked.id,
            path: path.to_owned(),
            token: token.clone(),
        };
        self.write_to(server, &claim);
        timeout_at(deadline, asked.answers.recv()).await.ok()?
    }

    /// Another server has answered. A server answers once.
    pub(crate) fn replied(&self, id: u64, answer: Vec<String>) {
        if let Some(waiting) = self.questions.0.lock().answers.get(&id) {
            // Who asked may wait no longer.
            let _ = waiting.send(answer);
        }
    }
}

impl Questions {
    fn begin(&self) -> Asked<'_> {
        let (sender, answers) = mpsc::unbounded_channel();
        let mut waiting = self.0.lock();
        waiting.last_id += 1;
        let id = waiting.last_id;
        waiting.answers.insert(id, sender);
        Asked {
            id,
            answers,
            questions: self,
        }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.questions.0.lock().answers.remove(&self.id);
    }
}
