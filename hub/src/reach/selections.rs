//! Whom one can reach: the same selections from inside a method and from outside the hub.

/// Writes them for a type that has a `registry(&self) -> Hold` and an
/// `asked_by(&self) -> Option<&Arc<CallHandle>>`, the call that asks.
macro_rules! selections {
    () => {
        /// Everybody connected to the hub.
        pub fn all(&self) -> Clients {
            self.clients(Selection::All)
        }

        /// Everybody but some.
        pub fn all_except<I: Into<ConnectionId>>(
            &self,
            ids: impl IntoIterator<Item = I>,
        ) -> Clients {
            let ids = ids.into_iter().map(Into::into);
            self.clients(Selection::AllExcept(ids.collect()))
        }

        /// One connection.
        pub fn client(&self, id: impl Into<ConnectionId>) -> Client {
            let asked_by = self.asked_by().cloned();
            Client::new(self.registry(), id.into(), asked_by)
        }

        /// Some connections; one that is named twice gets what is sent once.
        pub fn clients_of<I: Into<ConnectionId>>(
            &self,
            ids: impl IntoIterator<Item = I>,
        ) -> Clients {
            let ids = ids.into_iter().map(Into::into);
            self.clients(Selection::Connections(ids.collect()))
        }

        /// The members of a group.
        pub fn group(&self, name: &str) -> Clients {
            self.clients(Selection::Group(name.into()))
        }

        /// The members of some groups; who is in two of them gets what is sent twice (API-04).
        pub fn groups_of<N: AsRef<str>>(&self, names: impl IntoIterator<Item = N>) -> Clients {
            let names = names.into_iter().map(|name| name.as_ref().into());
            self.clients(Selection::Groups(names.collect()))
        }

        /// The members of a group but some.
        pub fn group_except<I: Into<ConnectionId>>(
            &self,
            name: &str,
            ids: impl IntoIterator<Item = I>,
        ) -> Clients {
            let ids = ids.into_iter().map(Into::into);
            self.clients(Selection::GroupExcept(name.into(), ids.collect()))
        }

        /// All connections of a user.
        pub fn user(&self, user: &str) -> Clients {
            self.clients(Selection::User(user.into()))
        }

        /// All connections of some users.
        pub fn users<N: AsRef<str>>(&self, users: impl IntoIterator<Item = N>) -> Clients {
            let users = users.into_iter().map(|user| user.as_ref().into());
            self.clients(Selection::Users(users.collect()))
        }

        fn clients(&self, to: Selection) -> Clients {
            Clients::new(self.registry(), to)
        }
    };
}

pub(crate) use selections;
