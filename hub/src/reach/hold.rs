//! A hold on the registry, for those who send.

use std::{ops::Deref, sync::Arc};

use crate::reach::registry::Registry;

/// Keeps the registry for a selection of clients, by a reference to somebody who has it.
///
/// Selections are made for each send, and references to them are counted then. Counted at the registry, each
/// send would take the line of memory with that count away from the other threads, and with it what all of
/// them read there: with two threads a send was half as dear again. So each connection has a count of its own.
#[derive(Clone)]
pub(crate) struct Hold(Arc<dyn HasRegistry>);

/// Who has the registry, and is counted in its place.
pub(crate) trait HasRegistry: Send + Sync {
    fn registry(&self) -> &Registry;
}

impl Hold {
    pub(crate) fn through(holder: Arc<impl HasRegistry + 'static>) -> Self {
        Self(holder)
    }

    /// With a count of its own.
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self::through(Arc::new(registry))
    }
}

impl HasRegistry for Arc<Registry> {
    fn registry(&self) -> &Registry {
        self
    }
}

impl Deref for Hold {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        self.0.registry()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        options::HubOptions,
        reach::{clients::Clients, registry::Selection},
    };

    #[test]
    fn selections_are_not_counted_at_the_registry() {
        let registry = Registry::new(Arc::new(HubOptions::default()));
        let hold = Hold::new(registry.clone());
        let before = Arc::strong_count(&registry);

        let clients = Clients::new(hold.clone(), Selection::All);

        let again = clients.clone();
        assert_eq!(Arc::strong_count(&registry), before);
        drop((hold, again));
        assert!(clients.send("Tick", ()).is_ok());
    }
}
