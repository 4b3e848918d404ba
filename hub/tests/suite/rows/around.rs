// Around the rows of the README's table for people who know ASP.NET Core: each piece of code in its
// right column becomes a function behind this.
#![allow(dead_code, unused_must_use, unused_variables, clippy::all)]

use std::time::Duration;

use hub::{
    Call, ConnectionId, Context, EndpointOptions, Filter, Hub, HubError, HubHandle, HubOptions, Names,
    Protocol, RawConnection, RawConnections, Reply, Request, Transport, UploadStream, User,
    backplane::Redis,
};

struct State;

type Cx = Context<State>;

struct Given {
    cx: Cx,
    hub: Hub<State>,
    handle: HubHandle,
    options: HubOptions,
    path: EndpointOptions,
    call: Call<State>,
    state: State,
    id: ConnectionId,
    ids: Vec<ConnectionId>,
    seconds: Duration,
    deadline: Duration,
    redis: Redis,
}

struct Visit;

struct Polite;

impl<S> Filter<S> for Polite {}

fn polled_alone(path: EndpointOptions) -> EndpointOptions {
    path.transports([Transport::LongPolling])
}

async fn echo(_: RawConnection) -> hub::Result<()> {
    Ok(())
}

async fn say(_: Cx, _: String) -> hub::Result<()> {
    Ok(())
}

fn countdown(_: Cx, numbers: UploadStream<u32>) -> UploadStream<u32> {
    numbers
}

async fn lines(_: Cx, lines: UploadStream<String>) -> hub::Result<UploadStream<String>> {
    Ok(lines)
}

async fn sum(_: Cx, _: UploadStream<i64>) -> hub::Result<i64> {
    Ok(0)
}

async fn greet(_: Cx) -> hub::Result<()> {
    Ok(())
}

async fn part(_: Cx, _: Option<HubError>) -> hub::Result<()> {
    Ok(())
}

fn count_visits<V>(items: &mut std::collections::HashMap<String, V>) -> usize {
    items.len()
}

fn visit(_: &Request) -> Visit {
    Visit
}

fn is_admin(user: &User) -> bool {
    user.is_in_role("admin")
}

