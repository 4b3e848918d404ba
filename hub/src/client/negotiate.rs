//! The negotiation: which connection, and by which transports.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value};

use super::{
    error::ClientError,
    requests::{Requests, address},
};
use crate::{identity::request::Transport, protocol::TransferFormat};

/// Redirects that are followed (N-15).
const MAX_REDIRECTS: usize = 100;

/// What was agreed on.
#[derive(Debug)]
pub(super) struct Negotiated {
    pub(super) connection_id: String,
    /// Names the connection in the requests that follow; the same as the id in version 0 (N-08).
    pub(super) token: String,
    /// Offered, in the server's order (N-04).
    pub(super) offers: Vec<Offer>,
    /// Stateful reconnect is granted (N-13).
    pub(super) is_stateful: bool,
    /// How long the access token lives on (AU-06).
    pub(super) token_lifetime: Option<Duration>,
}

/// A transport that the server has.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    pub(super) transport: Transport,
    pub(super) formats: Vec<TransferFormat>,
}

/// What an answer may be.
enum Answered {
    Here(Negotiated),
    /// Ask there, with that token (N-15).
    Elsewhere(String, Option<String>),
}

/// Negotiates a connection, wherever that leads.
pub(super) async fn negotiate(
    requests: &mut Requests,
    wants_stateful: bool,
) -> Result<Negotiated, ClientError> {
    let mut query = vec![("negotiateVersion", "1")];
    if wants_stateful {
        query.push(("useStatefulReconnect", "true"));
    }
    for _ in 0..MAX_REDIRECTS {
        requests.renew_token().await?;
        let url = requests.below("negotiate", &query);
        let asked = requests.send_once(&Method::POST, &url, &[], Bytes::new());
        let body = requests
            .in_time(async { asked.await?.success().await })
            .await?;
        match read(&body, wants_stateful)? {
            Answered::Here(negotiated) => return Ok(negotiated),
            Answered::Elsewhere(url, token) => requests.redirect(address(&url)?, token),
        }
    }
    let text = format!("more than {MAX_REDIRECTS} redirects");
    Err(ClientError::Negotiation(text))
}

fn read(body: &[u8], wants_stateful: bool) -> Result<Answered, ClientError> {
    let failed = |why: &str| ClientError::Negotiation(why.to_owned());
    let answer: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| failed("the answer is no JSON object"))?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    if let Some(error) = text("error") {
        return Err(ClientError::Negotiation(error));
    }
    if answer.contains_key("ProtocolVersion") {
        let why = "this is a server of ASP.NET SignalR, which is not ASP.NET Shared's (N-16)";
        return Err(failed(why));
    }
    if let Some(url) = text("url") {
        return Ok(Answered::Elsewhere(url, text("accessToken")));
    }
    let is_stateful = answer.get("useStatefulReconnect") == Some(&Value::Bool(true));
    if is_stateful && !wants_stateful {
        return Err(failed(
            "stateful reconnect was granted, and not asked for (N-14)",
        ));
    }
    let connection_id = text("connectionId").ok_or_else(|| failed("no connection id"))?;
    let offers = answer.get("availableTransports").and_then(Value::as_array);
    let lifetime = answer.get("tokenLifetimeSeconds").and_then(Value::as_u64);
    Ok(Answered::Here(Negotiated {
        token: text("connectionToken").unwrap_or_else(|| connection_id.clone()),
        connection_id,
        offers: offers.into_iter().flatten().filter_map(offer).collect(),
        is_stateful,
        token_lifetime: lifetime
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs),
    }))
}

/// `None` for a transport that nobody here knows.
fn offer(value: &Value) -> Option<Offer> {
    let name = value.get("transport")?.as_str()?;
    let transport = Transport::ALL
        .into_iter()
        .find(|transport| transport.name() == name)?;
    let formats = value.get("transferFormats")?.as_array()?;
    let formats = formats.iter().filter_map(|format| match format.as_str()? {
        "Text" => Some(TransferFormat::Text),
        "Binary" => Some(TransferFormat::Binary),
        _ => None,
    });
    Some(Offer {
        transport,
        formats: formats.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(body: &str) -> Negotiated {
        match read(body.as_bytes(), true) {
            Ok(Answered::Here(negotiated)) => negotiated,
            Ok(Answered::Elsewhere(url, _)) => panic!("elsewhere: {url}"),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn n_03_an_answer_is_read() {
        let answer = here(
            r#"{"useStatefulReconnect":true,"negotiateVersion":1,"connectionId":"a",
            "connectionToken":"b","tokenLifetimeSeconds":60,"availableTransports":[
            {"transport":"WebSockets","transferFormats":["Text","Binary"]},
            {"transport":"Pigeons","transferFormats":["Text"]},
            {"transport":"ServerSentEvents","transferFormats":["Text"]}]}"#,
        );
        assert_eq!((&*answer.connection_id, &*answer.token), ("a", "b"));
        assert!(answer.is_stateful);
        assert_eq!(answer.token_lifetime, Some(Duration::from_secs(60)));
        let offers: Vec<_> = answer.offers.iter().map(|offer| offer.transport).collect();
        assert_eq!(offers, [Transport::WebSockets, Transport::ServerSentEvents]);
        assert_eq!(answer.offers[1].formats, [TransferFormat::Text]);
    }

    #[test]
    fn n_08_in_version_0_the_id_is_the_token() {
        let answer = here(r#"{"connectionId":"a","availableTransports":[]}"#);
        assert_eq!((&*answer.token, answer.is_stateful), ("a", false));
    }

    #[test]
    fn n_16_what_leads_nowhere_says_why() {
        for (body, wants_stateful, why) in [
            (r#"{"error":"too old"}"#, true, "too old"),
            (r#"{"ProtocolVersion":"1.4"}"#, true, "ASP.NET SignalR"),
            (
                r#"{"connectionId":"a","useStatefulReconnect":true}"#,
                false,
                "N-14",
            ),
            ("{}", true, "no connection id"),
            ("[]", true, "no JSON object"),
            ("<html>", true, "no JSON object"),
        ] {
            match read(body.as_bytes(), wants_stateful) {
                Err(ClientError::Negotiation(text)) => assert!(text.contains(why), "{text}"),
                Err(other) => panic!("{body}: {other}"),
                Ok(_) => panic!("{body}"),
            }
        }
    }
}
