//! A proxy between a client and a server, whose connections can be cut in every way in which networks
//! do it.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

/// How long what is to be torn waits for its last bytes.
const TORN: Duration = Duration::from_millis(200);

/// How long a hole keeps what it has swallowed.
const HOLE: Duration = Duration::from_secs(20);

/// A way to lose a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Both ends get a RST.
    Reset,
    /// Both ends get a FIN, and what is under way arrives.
    End,
    /// Nothing arrives any more, and nobody is told.
    Hole,
    /// So many bytes more arrive each way, and then a RST.
    Torn(usize),
}

/// What the proxy does with its connections: those there are, and new ones.
#[derive(Debug, Clone, Copy)]
struct Orders {
    /// Counts cuts; a connection is cut when this goes up.
    cuts: u64,
    how: Cut,
    /// New connections are refused.
    is_down: bool,
}

/// A TCP proxy in front of one server.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    orders: watch::Sender<Orders>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    /// When there is none.
    pub async fn before(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let orders = watch::Sender::new(Orders {
            cuts: 0,
            how: Cut::Reset,
            is_down: false,
        });
        let accepting = tokio::spawn(accept(listener, server, orders.clone()));
        Ok(Self {
            address,
            orders,
            accepting,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts the connections that are there; new ones are let through.
    pub fn cut(&self, how: Cut) {
        self.orders.send_modify(|orders| {
            orders.cuts += 1;
            orders.how = how;
        });
    }

    /// Refuses new connections from here on, or no longer.
    pub fn set_down(&self, is_down: bool) {
        self.orders.send_modify(|orders| orders.is_down = is_down);
    }

    /// Refuses new connections for so long.
    pub fn down_for(&self, time: Duration) {
        self.set_down(true);
        let orders = self.orders.clone();
        tokio::spawn(async move {
            sleep(time).await;
            orders.send_modify(|orders| orders.is_down = false);
        });
    }

    /// Whether new connections are refused.
    pub fn is_down(&self) -> bool {
        self.orders.borrow().is_down
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, orders: watch::Sender<Orders>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let orders = orders.subscribe();
        if orders.borrow().is_down {
            let _ = client.set_zero_linger();
            continue;
        }
        tokio::spawn(async move {
            if let Ok(server) = TcpStream::connect(server).await {
                carry(client, server, orders).await;
            }
        });
    }
}

async fn carry(client: TcpStream, server: TcpStream, orders: watch::Receiver<Orders>) {
    for socket in [&client, &server] {
        let _ = socket.set_nodelay(true);
    }
    let cuts = orders.borrow().cuts;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (up, down) = tokio::join!(
        forward(from_client, to_server, orders.clone(), cuts),
        forward(from_server, to_client, orders, cuts),
    );
    match up.how.or(down.how) {
        None | Some(Cut::End) => {} // dropped, each end gets a FIN
        Some(Cut::Reset | Cut::Torn(_)) => {
            for way in [&up, &down] {
                let _ = way.to.as_ref().set_zero_linger();
            }
        }
        Some(Cut::Hole) => {
            sleep(HOLE).await;
            for way in [&up, &down] {
                let _ = way.to.as_ref().set_zero_linger();
            }
        }
    }
}

/// A direction that nothing goes any more.
struct Way {
    /// Kept, so that its end is told when it is to be.
    _from: OwnedReadHalf,
    to: OwnedWriteHalf,
    how: Option<Cut>,
}

/// What may still arrive, and how long.
struct Torn {
    bytes: usize,
    until: Instant,
}

async fn until(torn: &Option<Torn>) {
    match torn {
        Some(torn) => sleep_until(torn.until).await,
        None => std::future::pending().await,
    }
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut orders: watch::Receiver<Orders>,
    cuts: u64,
) -> Way {
    let mut buffer = vec![0; 16 * 1024];
    let mut is_cut = async |seen: u64| {
        let orders = orders.wait_for(|orders| orders.cuts > seen).await;
        orders.map_or(Cut::End, |orders| orders.how)
    };
    let mut torn = None;
    let how = loop {
        let read = tokio::select! {
            biased;
            how = is_cut(cuts), if torn.is_none() => match how {
                Cut::Torn(bytes) => {
                    torn = Some(Torn { bytes, until: Instant::now() + TORN });
                    continue;
                }
                how => break Some(how),
            },
            () = until(&torn) => break Some(Cut::Torn(0)),
            read = from.read(&mut buffer) => read,
        };
        let Ok(read @ 1..) = read else {
            break torn.map(|_| Cut::Torn(0));
        };
        let most = torn.as_ref().map_or(read, |torn| torn.bytes.min(read));
        let written = tokio::select! {
            biased;
            written = to.write_all(&buffer[..most]) => written,
            // A part has arrived, and the rest is not to follow out of its place.
            how = is_cut(cuts), if torn.is_none() => break Some(how),
            () = until(&torn) => break Some(Cut::Torn(0)),
        };
        if written.is_err() {
            break None;
        }
        if let Some(torn) = &mut torn {
            torn.bytes -= most;
            if torn.bytes == 0 {
                break Some(Cut::Torn(0));
            }
        }
    };
    if how.is_none() {
        let _ = to.shutdown().await;
    }
    Way {
        _from: from,
        to,
        how,
    }
}
