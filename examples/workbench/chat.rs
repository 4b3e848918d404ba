//! The chat once more, over the binary protocol.
//!
//! | operation | takes | gives |
//! |---|---|---|
//! | 16 room | a room and a name, with a line feed between | a stream that lasts as long as one is in the room: the room's topic, u32, and who is there, a name on each line, now and whenever that changes |
//!
//! What is published to the topic reaches everybody who has subscribed: a name and a text, with a
//! line feed between.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use raw_ws::wire::{Context, Server, WireError};
use tokio::sync::watch;

const ROOM: u16 = 16;
const FIRST_TOPIC: u32 = 1000;
const LONGEST_NAME: usize = 64;

/// Who is where.
#[derive(Clone, Default)]
struct Rooms(Arc<Mutex<All>>);

#[derive(Default)]
struct All {
    rooms: HashMap<String, Room>,
    /// How many there have been: each has a topic of its own.
    opened: u32,
}

/// A room, there as long as somebody is in it.
struct Room {
    topic: u32,
    members: watch::Sender<Vec<Member>>,
}

#[derive(Clone)]
struct Member {
    connection: u64,
    name: String,
}

/// Somebody in a room; leaves when dropped, which is when the connection ends.
struct Presence {
    rooms: Rooms,
    room: String,
    connection: u64,
}

/// Adds the chat to a server.
pub(crate) fn chat(server: Server) -> Server {
    let rooms = Rooms::default();
    server.stream(ROOM, move |cx, payload| match rooms.enter(&cx, &payload) {
        Ok((presence, topic, members)) => news(presence, topic, members).left_stream(),
        Err(error) => stream::iter([Err(error)]).right_stream(),
    })
}

/// Who is there, now and whenever it changes.
fn news(
    presence: Presence,
    topic: u32,
    members: watch::Receiver<Vec<Member>>,
) -> impl Stream<Item = Result<Bytes, WireError>> {
    stream::unfold(
        (presence, members),
        move |(presence, mut members)| async move {
            members.changed().await.ok()?;
            let mut item = BytesMut::new();
            item.put_u32(topic);
            let names: Vec<String> = members
                .borrow_and_update()
                .iter()
                .map(|member| member.name.clone())
                .collect();
            item.put_slice(names.join("\n").as_bytes());
            Some((Ok(item.freeze()), (presence, members)))
        },
    )
}

impl Rooms {
    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(
        &self,
        cx: &Context,
        payload: &[u8],
    ) -> Result<(Presence, u32, watch::Receiver<Vec<Member>>), WireError> {
        let wrong = || WireError::bad_request("a room and a name, each on a line of 1 to 64 bytes");
        let text = str::from_utf8(payload).map_err(|_| wrong())?;
        let (room, name) = text.split_once('\n').ok_or_else(wrong)?;
        let is_fine = |text: &str| (1..=LONGEST_NAME).contains(&text.len());
        if !is_fine(room) || !is_fine(name) || name.contains('\n') {
            return Err(wrong());
        }
        let connection = cx.connection_id();
        let mut all = self.lock();
        let topic = FIRST_TOPIC.wrapping_add(all.opened);
        if !all.rooms.contains_key(room) {
            all.opened = all.opened.wrapping_add(1);
        }
        let entered = all.rooms.entry(room.into()).or_insert_with(|| Room {
            topic,
            members: watch::Sender::default(),
        });
        let is_in = |member: &Member| member.connection == connection;
        if entered.members.borrow().iter().any(is_in) {
            return Err(WireError::bad_request("you are in this room"));
        }
        let members = entered.members.subscribe();
        entered.members.send_modify(|members| {
            let name = name.into();
            members.push(Member { connection, name });
            members.sort_by(|one, other| one.name.cmp(&other.name));
        });
        let presence = Presence {
            rooms: self.clone(),
            room: room.into(),
            connection,
        };
        Ok((presence, entered.topic, members))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut all = self.rooms.lock();
        let Some(room) = all.rooms.get(&self.room) else {
            return;
        };
        room.members.send_modify(|members| {
            members.retain(|member| member.connection != self.connection);
        });
        if room.members.borrow().is_empty() {
            all.rooms.remove(&self.room);
        }
    }
}
