//! The server that the conversations are replayed against.

use std::{env, sync::Arc};

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

/// The one place that decides which server answers.
pub(crate) async fn server() -> BaseUrl {
    let url = env::var("TRANSCRIPTS_URL").expect("TRANSCRIPTS_URL names a server");
    BaseUrl::parse(&url).expect("TRANSCRIPTS_URL is http://HOST:PORT")
}
