//! Clients that come to another server than the one that they have negotiated with (see
//! [`tokens_elsewhere`]).
//!
//! A WebSocket is one request: where it comes to, its connection begins. An event stream and polls are
//! many, each of which may come to another server; passed on from one to the other they would cost a way
//! through the backplane each, with their bodies, and keep no order. They are told which server they miss.

use http::{Method, request::Parts};
use raw_ws::clock::now;

use super::{Endpoint, accepts_event_stream, answers::Refusal, would_be_upgrade};
use crate::{
    endpoint::tokens::Tokens,
    identity::connection_id::ConnectionToken,
    reach::tokens_elsewhere::{self, Given, GivesAway, Negotiated, NotGiven},
    session::Reconnect,
};

impl<S: Send + Sync + 'static> Endpoint<S> {
    /// A new token. One of a server among others names it.
    pub(super) fn random_token(&self) -> ConnectionToken {
        match self.hub.registry.cluster() {
            Some(cluster) => ConnectionToken::random_of(cluster.id()),
            None => ConnectionToken::random(),
        }
    }

    /// Fetches the connection behind a token from the server that has given it out, if that is another
    /// one, so that it is found here.
    pub(super) async fn fetch(
        &self,
        token: &ConnectionToken,
        parts: &Parts,
    ) -> Result<(), Refusal> {
        let Some(cluster) = self.hub.registry.cluster() else {
            return Ok(());
        };
        let Some(server) = token.server() else {
            return Ok(());
        };
        if server == cluster.id() || self.tokens.has(token) {
            return Ok(());
        }
        let Some(server) = cluster.server_of_token(server) else {
            return Ok(()); // it is gone, and its connections with it
        };
        let is_socket = parts.method == Method::GET
            && !accepts_event_stream(&parts.headers)
            && would_be_upgrade(&parts.headers);
        if !is_socket {
            return Err(Refusal::OtherServer);
        }
        let taken = tokens_elsewhere::take_over(cluster, &server, &self.path, token).await;
        let Negotiated {
            id,
            user_identifier,
            is_stateful,
        } = match taken {
            Ok(negotiated) => negotiated,
            Err(NotGiven::Unknown) => return Ok(()), // nor is it found here
            Err(NotGiven::InUse) => return Err(Refusal::OtherServer),
            Err(NotGiven::NoAnswer) => return Err(Refusal::NoAnswer),
        };
        let reconnect = if is_stateful {
            Reconnect::Stateful
        } else {
            Reconnect::Anew
        };
        self.tokens
            .add(id, user_identifier, token.clone(), reconnect, now())
            .ok_or(Refusal::Overloaded)
    }
}

impl GivesAway for Tokens {
    fn give_away(&self, token: &ConnectionToken) -> Given {
        self.take_unused(token, now())
    }
}
