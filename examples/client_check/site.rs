//! What each check is given, and how it tells what is wrong.

use std::{fmt, path::Path, pin::Pin, sync::Arc};

use examples::Error;
use hub::{
    Names, Transport,
    client::{ClientError, HubConnection, HubConnectionBuilder},
    protocol::Protocol,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
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
    /// Instead of what this machine trusts.
    pub(crate) trust: Option<ClientConfig>,
}

/// TLS that trusts the certificate of a PEM file, and no other.
pub(crate) fn trusting(file: &Path) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

impl Site {
    /// A connection to one of its hubs, described.
    pub(crate) fn builder(&self, path: &str) -> HubConnectionBuilder {
        let builder = HubConnection::builder(format!("{}{path}", self.url))
            .transports([self.transport])
            .protocol(self.protocol)
            .names(Names::DotNet);
        match self.trust.clone() {
            None => builder,
            Some(trust) => builder.http(|http| http.tls_backend_preconfigured(trust)),
        }
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
