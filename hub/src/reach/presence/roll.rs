//! Who is present where: the machine. It knows neither a socket nor a clock.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
    time::{Duration, Instant},
};

/// Somebody in a group.
pub(crate) type Place = (Arc<str>, Arc<str>);

/// Who is in which group, on this server and the others.
#[derive(Debug)]
pub(crate) struct Roll {
    debounce: Duration,
    /// How many connections each has there, on this server.
    here: HashMap<Place, usize>,
    /// Changes of who is there on this server.
    version: u64,
    others: HashMap<String, Other>,
    /// On how many servers each is; nobody who is on none.
    servers: HashMap<Place, usize>,
    /// Who is said to be there, as a group's members.
    shown: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Who is gone, and is said to be when the time is over, unless it comes back.
    leaving: HashMap<Place, Instant>,
    events: Vec<Change>,
}

/// What another server says of its own.
#[derive(Debug, Default)]
struct Other {
    version: u64,
    members: BTreeSet<Place>,
}

/// What has become known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) place: Place,
    pub(crate) is_there: bool,
}

/// How far the roll of another server is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// All of it.
    UpToDate,
    /// Something was missed: it must be asked for the whole.
    Behind,
}

impl Roll {
    pub(crate) fn new(debounce: Duration) -> Self {
        Self {
            debounce,
            here: HashMap::new(),
            version: 0,
            others: HashMap::new(),
            servers: HashMap::new(),
            shown: BTreeMap::new(),
            leaving: HashMap::new(),
            events: Vec::new(),
        }
    }

    /// Somebody's connection has joined a group here. The version to tell the others, if they need be.
    pub(crate) fn join(&mut self, place: &Place) -> Option<u64> {
        let connections = self.here.entry(place.clone()).or_default();
        *connections += 1;
        if *connections > 1 {
            return None;
        }
        self.comes(place);
        self.version += 1;
        Some(self.version)
    }

    /// One has left it.
    pub(crate) fn leave(&mut self, place: &Place, now: Instant) -> Option<u64> {
        let connections = self.here.get_mut(place)?;
        *connections -= 1;
        if *connections > 0 {
            return None;
        }
        self.here.remove(place);
        self.goes(place, now + self.debounce);
        self.version += 1;
        Some(self.version)
    }

    /// All who are here, and the version of that.
    pub(crate) fn here(&self) -> (u64, Vec<Place>) {
        (self.version, self.here.keys().cloned().collect())
    }

    /// Another server tells of one change.
    pub(crate) fn changed(
        &mut self,
        server: &str,
        version: u64,
        place: &Place,
        is_there: bool,
        now: Instant,
    ) -> Known {
        let Some(other) = self.others.get_mut(server) else {
            return Known::Behind;
        };
        if version <= other.version {
            return Known::UpToDate; // the whole that was asked for has it already
        }
        if version > other.version + 1 {
            return Known::Behind;
        }
        other.version = version;
        if is_there && other.members.insert(place.clone()) {
            self.comes(place);
        } else if !is_there && other.members.remove(place) {
            self.goes(place, now + self.debounce);
        }
        Known::UpToDate
    }

    /// Another server has this version.
    pub(crate) fn has_version(&self, server: &str, version: u64) -> Known {
        match self.others.get(server) {
            Some(other) if other.version >= version => Known::UpToDate,
            None if version == 0 => Known::UpToDate, // nobody has ever been there
            _ => Known::Behind,
        }
    }

    /// Another server tells the whole.
    pub(crate) fn whole(
        &mut self,
        server: &str,
        version: u64,
        members: impl IntoIterator<Item = Place>,
        now: Instant,
    ) {
        let members = members.into_iter().collect();
        let whole = Other { version, members };
        let before = self.others.remove(server).unwrap_or_default();
        if before.version > version {
            self.others.insert(server.to_owned(), before);
            return; // changes have overtaken it
        }
        for place in whole.members.difference(&before.members) {
            self.comes(place);
        }
        for place in before.members.difference(&whole.members) {
            self.goes(place, now + self.debounce);
        }
        self.others.insert(server.to_owned(), whole);
    }

    /// A server is gone, and was heard last so long ago.
    pub(crate) fn gone(&mut self, server: &str, heard: Instant) {
        let other = self.others.remove(server).unwrap_or_default();
        for place in &other.members {
            self.goes(place, heard + self.debounce);
        }
    }

    /// Who is said to be in a group, in alphabetical order.
    pub(crate) fn members(&self, group: &str) -> Vec<Arc<str>> {
        let members = self.shown.get(group).into_iter().flatten();
        members.cloned().collect()
    }

    /// When somebody has been away for long enough.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.leaving.values().min().copied()
    }

    /// What has become known by now.
    pub(crate) fn take_changes(&mut self, now: Instant) -> Vec<Change> {
        for (place, _) in self.leaving.extract_if(|_, until| *until <= now) {
            let (group, who) = &place;
            if let Some(members) = self.shown.get_mut(group) {
                members.remove(who);
                if members.is_empty() {
                    self.shown.remove(group);
                }
            }
            let is_there = false;
            self.events.push(Change { place, is_there });
        }
        std::mem::take(&mut self.events)
    }

    fn comes(&mut self, place: &Place) {
        let servers = self.servers.entry(place.clone()).or_default();
        *servers += 1;
        if *servers > 1 || self.leaving.remove(place).is_some() {
            return; // it was there all the time
        }
        let (group, who) = place.clone();
        self.shown.entry(group).or_default().insert(who);
        self.events.push(Change {
            place: place.clone(),
            is_there: true,
        });
    }

    fn goes(&mut self, place: &Place, until: Instant) {
        let Entry::Occupied(mut servers) = self.servers.entry(place.clone()) else {
            return;
        };
        *servers.get_mut() -= 1;
        if *servers.get() == 0 {
            servers.remove();
            self.leaving.insert(place.clone(), until);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEBOUNCE: Duration = Duration::from_secs(3);

    fn place(who: &str) -> Place {
        ("lobby".into(), who.into())
    }

    fn said(changes: &[Change]) -> Vec<(&str, bool)> {
        let said = |change: &'_ Change| (change.place.1.clone(), change.is_there);
        let names = ["ann", "bob", "cy"];
        let all = changes.iter().map(said);
        all.filter_map(|(who, is_there)| {
            let name = names.into_iter().find(|name| **name == *who)?;
            Some((name, is_there))
        })
        .collect()
    }

    #[test]
    fn who_comes_back_in_time_was_never_away() {
        let (mut roll, now) = (Roll::new(DEBOUNCE), Instant::now());
        roll.join(&place("ann"));
        assert_eq!(said(&roll.take_changes(now)), [("ann", true)]);
        roll.leave(&place("ann"), now);
        let later = now + Duration::from_secs(2);
        assert_eq!(said(&roll.take_changes(later)), []);
        assert_eq!(roll.members("lobby").len(), 1);
        roll.join(&place("ann"));
        assert_eq!(roll.next_deadline(), None);
        assert_eq!(said(&roll.take_changes(now + DEBOUNCE * 2)), []);
        roll.leave(&place("ann"), later);
        assert_eq!(roll.next_deadline(), Some(later + DEBOUNCE));
        assert_eq!(said(&roll.take_changes(later + DEBOUNCE)), [("ann", false)]);
        assert!(roll.members("lobby").is_empty());
    }

    #[test]
    fn who_moves_from_one_server_to_another_was_never_away() {
        let (mut roll, now) = (Roll::new(DEBOUNCE), Instant::now());
        roll.whole("b", 1, [place("ann")], now);
        assert_eq!(said(&roll.take_changes(now)), [("ann", true)]);
        roll.join(&place("ann"));
        roll.changed("b", 2, &place("ann"), false, now);
        assert_eq!(said(&roll.take_changes(now + DEBOUNCE)), []);
    }

    #[test]
    fn what_was_missed_is_noticed_and_asked_for() {
        let (mut roll, now) = (Roll::new(DEBOUNCE), Instant::now());
        assert_eq!(roll.has_version("b", 0), Known::UpToDate);
        assert_eq!(roll.has_version("b", 1), Known::Behind);
        assert_eq!(
            roll.changed("b", 1, &place("ann"), true, now),
            Known::Behind
        );
        roll.whole("b", 1, [place("ann")], now);
        assert_eq!(
            roll.changed("b", 1, &place("ann"), true, now),
            Known::UpToDate
        );
        assert_eq!(
            roll.changed("b", 3, &place("bob"), true, now),
            Known::Behind
        );
        roll.whole("b", 3, [place("bob")], now);
        assert_eq!(roll.has_version("b", 3), Known::UpToDate);
        // Older than what is known: it was overtaken.
        roll.whole("b", 2, [place("ann")], now);
        let all = roll.take_changes(now + DEBOUNCE);
        assert_eq!(said(&all), [("ann", true), ("bob", true), ("ann", false)]);
    }

    #[test]
    fn a_server_that_is_gone_takes_its_own_with_it() {
        let (mut roll, heard) = (Roll::new(DEBOUNCE), Instant::now());
        roll.whole("b", 1, [place("ann"), place("bob")], heard);
        roll.join(&place("bob"));
        roll.take_changes(heard);
        // It was away for as long as anybody may be.
        let now = heard + Duration::from_secs(4);
        roll.gone("b", heard);
        assert_eq!(said(&roll.take_changes(now)), [("ann", false)]);
    }

    proptest! {
        /// Whatever happens, who is said to be there is who is there, once all is said.
        #[test]
        fn what_is_said_is_what_is(
            steps in prop::collection::vec((0_u8..3, 0_u8..3, any::<bool>()), 0..60),
        ) {
            let (mut roll, now) = (Roll::new(DEBOUNCE), Instant::now());
            let mut versions = [0_u64; 3];
            let mut there = BTreeSet::new();
            let mut told = BTreeSet::new();
            for (server, who, comes) in steps {
                let somebody = place(["ann", "bob", "cy"][usize::from(who)]);
                let changes = if comes {
                    there.insert((server, somebody.clone()))
                } else {
                    there.remove(&(server, somebody.clone()))
                };
                if !changes {
                    continue;
                }
                let version = &mut versions[usize::from(server)];
                *version += 1;
                match (server, comes) {
                    (0, true) => drop(roll.join(&somebody)),
                    (0, false) => drop(roll.leave(&somebody, now)),
                    (server, comes) => {
                        let name = format!("server {server}");
                        if roll.changed(&name, *version, &somebody, comes, now) == Known::Behind {
                            let of = there.iter().filter(|(at, _)| *at == server);
                            let members: Vec<_> = of.map(|(_, who)| who.clone()).collect();
                            roll.whole(&name, *version, members, now);
                        }
                    }
                }
            }
            for change in roll.take_changes(now + DEBOUNCE) {
                if change.is_there {
                    prop_assert!(told.insert(change.place));
                } else {
                    prop_assert!(told.remove(&change.place));
                }
            }
            let there: BTreeSet<_> = there.into_iter().map(|(_, who)| who).collect();
            prop_assert_eq!(&told, &there);
            let shown: BTreeSet<_> = roll.members("lobby").into_iter().map(|who| ("lobby".into(), who)).collect();
            prop_assert_eq!(shown, there);
        }
    }
}
