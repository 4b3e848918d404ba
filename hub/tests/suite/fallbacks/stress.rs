//! Races of long polling: polls, POSTs, aborts and DELETEs from many tasks, by a seed.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use futures_util::StreamExt as _;
use hub::HubOptions;
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::support::{App, call};

const POSTERS: usize = 3;
const POSTS: usize = 60;
const SENDS: usize = 100;

/// A small generator of numbers (xorshift), so that a seed tells a run again.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    async fn pause(&mut self) {
        match self.below(4) {
            0 => sleep(Duration::from_micros(self.below(2000))).await,
            1 => tokio::task::yield_now().await,
            _ => {}
        }
    }
}

/// What one client has got, in order.
type Heard = Arc<Mutex<Vec<String>>>;

/// Polls until told to stop, and gives up many polls before or while they are answered.
async fn poll(app: App, token: String, heard: Heard, stop: Arc<AtomicBool>, seed: u64) {
    let mut random = Random::new(seed);
    while !stop.load(Ordering::SeqCst) {
        random.pause().await;
        let patience = Duration::from_micros(random.below(3000));
        let Ok(answer) = timeout(patience, app.poll_unread(&token)).await else {
            continue; // aborted while it waited
        };
        if answer.status() != 200 || random.below(5) == 0 {
            continue; // aborted with the answer unread
        }
        random.pause().await;
        take(answer.into_body(), &heard).await;
    }
}

/// Reads a body; what is in it counts with its last byte, before the next poll gets its turn.
async fn take(body: Body, heard: &Heard) {
    let mut body = body.into_data_stream();
    let mut text = Vec::new();
    while let Some(piece) = body.next().await {
        text.extend_from_slice(&piece.unwrap());
        if axum::body::HttpBody::is_end_stream(&body) {
            break;
        }
    }
    let text = String::from_utf8(text).unwrap();
    let messages = text.split_terminator('\u{1e}').map(str::to_owned);
    heard.lock().unwrap().extend(messages);
}

async fn post(app: App, token: String, poster: usize, seed: u64) {
    let mut random = Random::new(seed);
    for number in 0..POSTS {
        let text = format!("\"p{poster}-{number}\"");
        assert_eq!(app.post(&token, call("Tell", &text)).await.status, 200);
        random.pause().await;
    }
}

async fn send(app: App, id: String, seed: u64) {
    let mut random = Random::new(seed);
    for number in 0..SENDS {
        let to = app.handle.client(id.as_str());
        to.send("Told", (format!("s-{number}"),)).unwrap();
        random.pause().await;
    }
}

/// One client with several polls at a time, several posters and a sender.
async fn one_client(app: App, seed: u64) {
    let (id, token) = app.polling().await;
    let (heard, stop) = (Heard::default(), Arc::new(AtomicBool::new(false)));
    let mut polls = JoinSet::new();
    for poller in 0..3 {
        let (heard, stop) = (heard.clone(), stop.clone());
        polls.spawn(poll(
            app.clone(),
            token.clone(),
            heard,
            stop,
            seed * 31 + poller,
        ));
    }
    let mut writers = JoinSet::new();
    for poster in 0..POSTERS {
        let seed = seed * 37 + poster as u64;
        writers.spawn(post(app.clone(), token.clone(), poster, seed));
    }
    writers.spawn(send(app.clone(), id, seed * 41));
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    while let Some(done) = polls.join_next().await {
        done.unwrap();
    }
    let all = POSTERS * POSTS + SENDS;
    while heard.lock().unwrap().len() < all {
        let answer = timeout(Duration::from_secs(5), app.poll_unread(&token)).await;
        take(answer.expect("something was lost").into_body(), &heard).await;
    }
    check(&heard.lock().unwrap(), all);
    end(&app, &token, seed).await;
}

/// Nothing lost, nothing doubled, and what one task has sent in its order.
fn check(heard: &[String], all: usize) {
    assert_eq!(heard.len(), all);
    let sources = (0..POSTERS).map(|poster| (format!("p{poster}-"), POSTS));
    for (source, count) in sources.chain([("s-".to_owned(), SENDS)]) {
        let numbers: Vec<usize> = heard
            .iter()
            .filter_map(|message| {
                let text = message.split('"').rev().nth(1)?;
                text.strip_prefix(&*source)?.parse().ok()
            })
            .collect();
        assert_eq!(numbers, (0..count).collect::<Vec<_>>(), "{source}");
    }
}

/// A DELETE among polls and POSTs: all of them are answered.
async fn end(app: &App, token: &str, seed: u64) {
    let mut random = Random::new(seed);
    let mut tasks = JoinSet::new();
    for number in 0..8 {
        let (app, token) = (app.clone(), token.to_owned());
        let pause = Duration::from_micros(random.below(500));
        tasks.spawn(async move {
            sleep(pause).await;
            match number {
                0..4 => app.poll(&token).await.status,
                4..6 => app.post(&token, call("Tell", "\"x\"")).await.status,
                _ => app.request("DELETE", &token, "").await.status,
            }
        });
    }
    let all = timeout(Duration::from_secs(5), tasks.join_all()).await;
    for status in all.expect("everybody is answered") {
        assert!([200, 202, 204, 404].contains(&status), "{status}");
    }
    assert_eq!(app.poll(token).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn polls_race_and_no_message_is_lost_or_doubled() {
    let seed: u64 = std::env::var("HUB_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("HUB_SEED={seed}");
    let app = App::new(HubOptions::new());
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let mut clients = JoinSet::new();
    for client in 0..16 {
        clients.spawn(one_client(app.clone(), seed * 1000 + client));
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    app.is_empty().await;
    // What runs on disconnect runs after a connection has left the registry.
    for _ in 0..200 {
        if app.gone() == 16 && tasks() == before {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
    panic!(
        "{} are gone, {} tasks are left",
        app.gone(),
        tasks() - before
    );
}
