//! What lies between a client's socket and the server's.

use std::{
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, split},
    sync::Notify,
    time::sleep,
};

use super::random::Random;
use crate::live::Server;

/// How long the server's end of a half-open connection stays.
const LIMBO: Duration = Duration::from_secs(20);

/// How a connection ends that the client has not ended itself.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// Both ends notice, in the middle of whatever it was.
    Cut,
    /// The server goes on believing that somebody is there.
    HalfOpen,
    /// What the client says is lost for a while, then as `Cut`.
    LoseUp,
    /// What the server says is.
    LoseDown,
    /// Nothing passes for a while, then as `HalfOpen`.
    Freeze,
}

/// A socket to the server, which fails some time after `fails` was notified.
pub(crate) fn socket(server: &Server, random: &mut Random, fails: Arc<Notify>) -> DuplexStream {
    let far = server.socket();
    let (near, link) = tokio::io::duplex(4 * 1024);
    tokio::spawn(carry(link, far, random.fork(), fails));
    near
}

async fn carry(client: DuplexStream, server: DuplexStream, mut random: Random, fails: Arc<Notify>) {
    let (mut from_client, mut to_client) = split(client);
    let (mut from_server, mut to_server) = split(server);
    let (lose_up, lose_down) = (AtomicBool::new(false), AtomicBool::new(false));
    // What is cut off at once is cut in the handshakes.
    let within = if random.once_in(4) { 60 } else { 1500 };
    let at = random.millis(within);
    let fault = match random.below(5) {
        0 => Fault::Cut,
        1 => Fault::HalfOpen,
        2 => Fault::LoseUp,
        3 => Fault::LoseDown,
        _ => Fault::Freeze,
    };
    let (up_random, down_random) = (random.fork(), random.fork());
    let strikes = async {
        fails.notified().await;
        sleep(at).await;
        match fault {
            Fault::Cut | Fault::HalfOpen => return,
            Fault::LoseUp => lose_up.store(true, Relaxed),
            Fault::LoseDown => lose_down.store(true, Relaxed),
            Fault::Freeze => {
                lose_up.store(true, Relaxed);
                lose_down.store(true, Relaxed);
            }
        }
        sleep(random.millis(400)).await;
    };
    let has_struck = tokio::select! {
        biased;
        () = strikes => true,
        // The end of one end is the end of both.
        () = pump(&mut from_client, &mut to_server, &lose_up, up_random) => false,
        () = pump(&mut from_server, &mut to_client, &lose_down, down_random) => false,
    };
    drop((from_client, to_client));
    if has_struck && matches!(fault, Fault::HalfOpen | Fault::Freeze) {
        sleep(LIMBO).await;
    }
    drop((from_server, to_server));
}

/// Carries bytes one way until the end, in pieces and with delays.
async fn pump(
    from: &mut ReadHalf<DuplexStream>,
    to: &mut WriteHalf<DuplexStream>,
    loses: &AtomicBool,
    mut random: Random,
) {
    let mut buffer = [0; 700];
    loop {
        let length = 1 + random.below(buffer.len() as u64) as usize;
        match from.read(&mut buffer[..length]).await {
            Ok(0) | Err(_) => return,
            Ok(length) => {
                if random.once_in(3) {
                    sleep(random.millis(30)).await;
                }
                if loses.load(Relaxed) {
                    continue;
                }
                // Torn somewhere, if it is cut here.
                let (one, other) = buffer[..length].split_at(length / 2);
                for part in [one, other] {
                    if to.write_all(part).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}
