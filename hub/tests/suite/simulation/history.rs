//! What was sent and what arrived, and whether the one follows from the other.

use std::{collections::HashSet, fmt};

/// What one client saw, and what the server saw of it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Calls made, and as the hub saw them.
    pub(crate) called: Vec<u64>,
    pub(crate) noted: Vec<u64>,
    /// Their answers.
    pub(crate) answered: Vec<u64>,
    /// What the hub told the caller in each call.
    pub(crate) told: Vec<u64>,
    /// What went to everybody.
    pub(crate) news: Vec<u64>,
    /// What went to the group.
    pub(crate) group_news: Vec<u64>,
    pub(crate) resumes: u64,
    /// What cannot be: a connection that was not resumed, a sequence id that skips something.
    pub(crate) faults: Vec<String>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) clients: Vec<Seen>,
    /// News published to everybody and to the group, numbered from 0.
    pub(crate) published: u64,
}

/// How what arrived differs from what was sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    pub(crate) lost: usize,
    pub(crate) duplicated: usize,
    pub(crate) reordered: usize,
    pub(crate) unexpected: usize,
}

impl Differences {
    pub(crate) fn of(sent: &[u64], arrived: &[u64]) -> Self {
        let sent_once: HashSet<u64> = sent.iter().copied().collect();
        let mut seen = HashSet::new();
        let mut highest = None;
        let mut differences = Self::default();
        for number in arrived {
            if !sent_once.contains(number) {
                differences.unexpected += 1;
            } else if !seen.insert(*number) {
                differences.duplicated += 1;
            } else if highest > Some(*number) {
                differences.reordered += 1;
            }
            highest = highest.max(Some(*number));
        }
        differences.lost = sent_once.difference(&seen).count();
        differences
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lost,
            duplicated,
            reordered,
            unexpected,
        } = self;
        write!(
            f,
            "{lost} lost, {duplicated} duplicated, {reordered} reordered, {unexpected} unexpected"
        )
    }
}

impl History {
    pub(crate) fn resumes(&self) -> u64 {
        self.clients.iter().map(|seen| seen.resumes).sum()
    }

    /// Nothing is lost, duplicated, reordered or unexpected.
    pub(crate) fn check(&self) -> Result<(), String> {
        let published: Vec<u64> = (0..self.published).collect();
        // What should not be explains what is missing.
        for (client, seen) in self.clients.iter().enumerate() {
            if let Some(fault) = seen.faults.first() {
                return Err(format!("client {client}: {fault}"));
            }
        }
        for (client, seen) in self.clients.iter().enumerate() {
            for (what, sent, arrived) in [
                ("calls", &seen.called, &seen.noted),
                ("answers", &seen.called, &seen.answered),
                ("messages to the caller", &seen.called, &seen.told),
                ("news", &published, &seen.news),
                ("news of the group", &published, &seen.group_news),
            ] {
                let differences = Differences::of(sent, arrived);
                if differences != Differences::default() {
                    return Err(format!("client {client}, {what}: {differences}"));
                }
            }
        }
        Ok(())
    }

    /// Whether all has arrived.
    pub(crate) fn is_whole(&self) -> bool {
        let published = self.published as usize;
        self.clients.iter().all(|seen| {
            seen.answered.len() >= seen.called.len()
                && seen.told.len() >= seen.called.len()
                && seen.news.len() >= published
                && seen.group_news.len() >= published
        })
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let sent: Vec<u64> = (0..10_000).collect();
    assert_eq!(Differences::of(&sent, &sent), Differences::default());

    let one_lost: Vec<u64> = sent.iter().copied().filter(|n| *n != 5000).collect();
    assert_eq!(Differences::of(&sent, &one_lost).lost, 1);
    let mut one_twice = sent.clone();
    one_twice.push(7);
    assert_eq!(Differences::of(&sent, &one_twice).duplicated, 1);
    let mut swapped = sent.clone();
    swapped.swap(100, 101);
    assert_eq!(Differences::of(&sent, &swapped).reordered, 1);
    let mut strange = sent.clone();
    strange.push(10_000);
    assert_eq!(Differences::of(&sent, &strange).unexpected, 1);

    let whole = Seen {
        called: vec![0, 1],
        noted: vec![0, 1],
        answered: vec![0, 1],
        told: vec![0, 1],
        ..Seen::default()
    };
    let history = |seen| History {
        clients: vec![seen],
        published: 0,
    };
    assert_eq!(history(whole.clone()).check(), Ok(()));
    for broken in [
        Seen {
            noted: vec![0],
            ..whole.clone()
        },
        Seen {
            answered: vec![0, 1, 1],
            ..whole.clone()
        },
        Seen {
            told: vec![1, 0],
            ..whole.clone()
        },
        Seen {
            news: vec![0],
            ..whole.clone()
        },
        Seen {
            faults: vec!["x".into()],
            ..whole
        },
    ] {
        assert!(history(broken.clone()).check().is_err(), "{broken:?}");
    }
}
