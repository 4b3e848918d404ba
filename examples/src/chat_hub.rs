//! A chat with rooms: what a hub looks like.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, future::join_all, stream};
use hub::{ConnectionId, Context, Hub, HubError, UploadStream};

hub::client_methods! {
    /// What the server calls on its clients.
    pub trait ChatClient {
        /// Somebody wrote to everybody.
        fn receive_message(user: &str, text: &str) = "ReceiveMessage";
        /// Somebody came into a room.
        fn joined(room: &str, user: &str) = "Joined";
        /// Somebody left a room.
        fn left(room: &str, user: &str) = "Left";
        /// Somebody wrote to a room.
        fn room_message(room: &str, user: &str, text: &str) = "RoomMessage";
    }
}

/// How long everybody has to answer a question.
const PATIENCE: Duration = Duration::from_secs(2);

/// Under which name a connection is in a room. Who is in it the hub knows itself.
#[derive(Default)]
pub struct Names(Mutex<HashMap<(ConnectionId, String), String>>);

impl Names {
    fn lock(&self) -> MutexGuard<'_, HashMap<(ConnectionId, String), String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, id: &ConnectionId, room: &str, user: String) {
        self.lock().insert((id.clone(), room.to_owned()), user);
    }

    fn get(&self, id: &ConnectionId, room: &str) -> Option<String> {
        self.lock().get(&(id.clone(), room.to_owned())).cloned()
    }

    fn take(&self, id: &ConnectionId, room: &str) -> Option<String> {
        self.lock().remove(&(id.clone(), room.to_owned()))
    }
}

impl AsRef<Self> for Names {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// The chat.
pub fn hub() -> Hub<Names> {
    rooms(Hub::new(Names::default()))
        .stream("Countdown", countdown)
        .method("Sum", sum)
        .method("AskEveryone", ask_everyone)
}

/// Rooms, for any hub that keeps the names: `SendMessage`, `JoinRoom`, `LeaveRoom`, `SendToRoom`,
/// `WhoIsHere`.
pub fn rooms<S: HasNames>(hub: Hub<S>) -> Hub<S> {
    hub.method("SendMessage", send_message)
        .method("JoinRoom", join_room)
        .method("LeaveRoom", leave_room)
        .method("SendToRoom", send_to_room)
        .method("WhoIsHere", who_is_here)
        .on_disconnected(disconnected)
}

/// A hub's state that the rooms can live with.
pub trait HasNames: AsRef<Names> + Send + Sync + 'static {}

impl<S: AsRef<Names> + Send + Sync + 'static> HasNames for S {}

async fn send_message<S: HasNames>(cx: Context<S>, user: String, text: String) -> hub::Result<()> {
    cx.all().receive_message(&user, &text)
}

async fn join_room<S: HasNames>(cx: Context<S>, room: String, user: String) -> hub::Result<()> {
    cx.groups().join(&room)?;
    cx.others_in_group(&room).joined(&room, &user)?;
    cx.state().as_ref().set(cx.connection_id(), &room, user);
    Ok(())
}

async fn leave_room<S: HasNames>(cx: Context<S>, room: String) -> hub::Result<()> {
    cx.groups().leave(&room);
    leave(&cx, &room)
}

async fn disconnected<S: HasNames>(cx: Context<S>, _: Option<HubError>) -> hub::Result<()> {
    cx.groups()
        .mine()
        .iter()
        .try_for_each(|room| leave(&cx, room))
}

fn leave<S: HasNames>(cx: &Context<S>, room: &str) -> hub::Result<()> {
    match cx.state().as_ref().take(cx.connection_id(), room) {
        Some(user) => cx.group(room).left(room, &user),
        None => Ok(()),
    }
}

async fn send_to_room<S: HasNames>(cx: Context<S>, room: String, text: String) -> hub::Result<()> {
    let Some(user) = cx.state().as_ref().get(cx.connection_id(), &room) else {
        return Err(HubError::new(format!("You are not in room '{room}'.")));
    };
    cx.group(&room).room_message(&room, &user, &text)
}

/// ASP.NET Core cannot ask a group for its members; here the hub knows.
async fn who_is_here<S: HasNames>(cx: Context<S>, room: String) -> hub::Result<Vec<String>> {
    let members = cx.groups().members(&room);
    let names = members
        .iter()
        .filter_map(|id| cx.state().as_ref().get(id, &room));
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    Ok(names)
}

fn countdown(
    _: Context<Names>,
    from: i32,
    milliseconds: u64,
) -> impl Stream<Item = hub::Result<i32>> {
    let pause = Duration::from_millis(milliseconds);
    stream::iter((0..=from).rev()).then(move |number| async move {
        if number < from {
            tokio::time::sleep(pause).await;
        }
        Ok(number)
    })
}

async fn sum(_: Context<Names>, mut numbers: UploadStream<i64>) -> hub::Result<i64> {
    let mut sum = 0;
    while let Some(number) = numbers.next().await {
        sum += number?;
    }
    Ok(sum)
}

/// Asks every connection but the caller; who does not answer in time or fails is left out.
async fn ask_everyone(cx: Context<Names>, question: String) -> hub::Result<Vec<String>> {
    let everybody = cx.groups().everybody().into_iter();
    let others = everybody.filter(|id| id != cx.connection_id());
    let answers = others.map(|id| {
        let (client, question) = (cx.client(id), question.clone());
        async move { client.invoke_within("Ask", (question,), PATIENCE).await }
    });
    let answers = join_all(answers).await.into_iter();
    let mut answers: Vec<String> = answers.filter_map(Result::ok).collect();
    answers.sort_unstable();
    Ok(answers)
}
