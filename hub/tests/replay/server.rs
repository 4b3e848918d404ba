//! The server that the conversations are replayed against.

use std::{env, sync::Arc};

use axum::Router;
use tokio::net::TcpListener;

use crate::spec;

/// `http://HOST:PORT`
#[derive(Debug, Clone)]
pub(crate) struct BaseUrl(Arc<str>);

impl BaseUrl {
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let authority = url.strip_prefix("http://")?.trim_end_matches('/');
        let (host, port) = authority.rsplit_once(':')?;
        let good = !host.is_empty() && !authority.contains('/') && port.parse::<u16>().is_ok();
        good.then(|| Self(authority.into()))
    }

    pub(crate) fn authority(&self) -> &str {
        &self.0
    }
}

/// The one place that decides which server answers: the one that `TRANSCRIPTS_URL` names, or the
/// contract's, started here.
pub(crate) async fn server() -> BaseUrl {
    let url = match env::var("TRANSCRIPTS_URL") {
        Ok(url) => url,
        Err(_) => start().await,
    };
    BaseUrl::parse(&url).expect("TRANSCRIPTS_URL is http://HOST:PORT")
}

async fn start() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (app, _) = spec::endpoints::app(Router::new(), &[]);
    tokio::spawn(async move { raw_ws::serve(listener, app).await });
    url
}
