//! What each check is given, and how it tells what is wrong.

use std::{fmt, pin::Pin};

use examples::Error;
use hub::{
    Names, Transport,
    client::{ClientError, HubConnection, HubConnectionBuilder},
    protocol::Protocol,
};
use tokio::sync::mpsc;

pub(crate) type Checked = Result<(), Error>;

pub(crate) type Check = fn(Site) -> Pin<Box<dyn Future<Output = Checked> + Send>>;

/// A table of checks: the functions, by their names.
macro_rules! checks {
    ($($check:ident)*) => {
        &[$((stringify!($check), |site| Box::pin($check(site)))),*]
    };
}

pub(crate) use checks;

/// A server, and a way to connect to it.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) url: String,
    pub(crate) transport: Transport,
    pub(crate) protocol: Protocol,
}

impl Site {
    /// A connection to one of its hubs, described.
    pub(crate) fn builder(&self, path: &str) -> HubConnectionBuilder {
        HubConnection::builder(format!("{}{path}", self.url))
            .transports([self.transport])
            .protocol(self.protocol)
            .names(Names::DotNet)
    }

    pub(crate) async fn connect(&self) -> Result<HubConnection, ClientError> {
        self.builder("/spec").connect().await
    }

    /// A connection, and what it is told by `Received`.
    pub(crate) async fn listen(
        &self,
        path: &str,
    ) -> Result<(HubConnection, mpsc::UnboundedReceiver<String>), ClientError> {
        let (tell, told) = mpsc::unbounded_channel();
        let received = move |text: String| {
            let _ = tell.send(text);
            std::future::ready(())
        };
        let hub = self
            .builder(path)
            .on("Received", received)
            .connect()
            .await?;
        Ok((hub, told))
    }
}

/// That two things are equal.
#[expect(
    clippy::needless_pass_by_value,
    reason = "most are answers, made for this alone"
)]
pub(crate) fn same<A: PartialEq<B> + fmt::Debug, B: fmt::Debug>(is: A, wanted: B) -> Checked {
    if is == wanted {
        return Ok(());
    }
    Err(format!("{is:?}, and {wanted:?} was wanted").into())
}

/// That a call failed, with this text of the server's.
pub(crate) fn failed<T: fmt::Debug>(answer: Result<T, ClientError>, text: &str) -> Checked {
    match answer {
        Err(ClientError::Server(why)) => same(why, text),
        other => Err(format!("{other:?}, and the error {text:?} was wanted").into()),
    }
}
