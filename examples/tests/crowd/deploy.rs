//! The configurations in `examples/deploy`, each with its real program, `hub_server` behind it and
//! clients in front: a thousand of the official JavaScript client at once, over every transport,
//! through a stop and a start of the server; and what the server knows of a client.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    children::{Server, example},
    peers::{Peer, free_address},
    skip::skip,
};

/// A program in front of a server; ends with this.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: PathBuf,
}

impl Proxy {
    /// Runs a program with a file of `examples/deploy`, in which the addresses are changed, and
    /// `changes` made. `None` if the program is not there.
    pub(crate) async fn start(
        program: &str,
        file: &str,
        server: SocketAddr,
        changes: &[(&str, &str)],
        command: impl FnOnce(&mut Command, &Path),
    ) -> Option<Self> {
        let address = free_address();
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("deploy")
            .join(file);
        let mut text = fs::read_to_string(path).unwrap();
        let (listens, serves) = (address.port().to_string(), server.to_string());
        let addresses = [("8080", &listens[..]), ("127.0.0.1:5000", &serves)];
        for (from, to) in addresses.iter().chain(changes) {
            // Not in the words at the head.
            let (head, body) = text.split_at(text.find("\n\n").unwrap());
            assert!(body.contains(from), "{file} has no {from}");
            text = format!("{head}{}", body.replace(from, to));
        }
        let folder = std::env::temp_dir().join(format!("deploy-{}", address.port()));
        fs::create_dir_all(&folder).unwrap();
        let changed = folder.join(file);
        fs::write(&changed, text).unwrap();
        let mut run = Command::new(program);
        command(&mut run, &changed);
        let log = fs::File::create(folder.join("log")).unwrap();
        run.stderr(log.try_clone().unwrap()).stdout(log);
        let Ok(child) = run.spawn() else {
            let _ = fs::remove_dir_all(folder);
            skip(&format!("{program} is not installed"));
            return None;
        };
        let mut proxy = Self {
            child,
            address,
            folder,
        };
        // These programs tell nobody when they listen: asking is the event.
        while tokio::net::TcpStream::connect(address).await.is_err() {
            let ended = proxy.child.try_wait().unwrap();
            assert!(ended.is_none(), "{program} ended: {}", proxy.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Some(proxy)
    }

    pub(crate) async fn nginx(server: SocketAddr) -> Option<Self> {
        let changes = [
            (
                "access_log /var/log/nginx/access.log path",
                "access_log off",
            ),
            // Where anybody may write.
            (
                "map $http_upgrade",
                "client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s; map $http_upgrade",
            ),
        ];
        Self::start("nginx", "nginx.conf", server, &changes, |run, file| {
            let folder = file.parent().unwrap();
            run.arg("-p").arg(folder).arg("-c").arg(file);
            run.args(["-g", "daemon off; pid nginx.pid; error_log stderr;"]);
        })
        .await
    }

    async fn caddy(server: SocketAddr) -> Option<Self> {
        // Its administration has one port, for all that run here.
        let changes = [("\n\nhttp://", "\n\n{\n\tadmin off\n}\n\nhttp://")];
        Self::start("caddy", "Caddyfile", server, &changes, |run, file| {
            let folder = file.parent().unwrap();
            run.env("XDG_DATA_HOME", folder)
                .env("XDG_CONFIG_HOME", folder);
            run.args(["run", "--adapter", "caddyfile", "--config"])
                .arg(file);
        })
        .await
    }

    pub(crate) async fn haproxy(server: SocketAddr, file: &str) -> Option<Self> {
        Self::start("haproxy", file, server, &[], |run, file| {
            run.arg("-f").arg(file);
        })
        .await
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Waits until it has seen that the server is gone. Whoever starts the next one before that
    /// may be answered by it, and a moment later not: a look of HAProxy's at the server that was
    /// can come to its end then.
    async fn misses_the_server(&self) {
        while Peer::get(self.address, "/healthz").await == Some(200) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until it reaches the server again. HAProxy looks for it once a second, and tells of
    /// what it has seen by its answers alone.
    pub(crate) async fn reaches_the_server(&self) {
        while Peer::get(self.address, "/healthz").await != Some(200) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // nginx's workers end with it when it is asked, and not when it is killed.
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the proxy's log: {}", self.log());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// `hub_server` at the address that the proxy knows.
fn serve(at: SocketAddr, more: &[&str]) -> Server {
    let mut command = Command::new(example("hub_server"));
    command.args(["--trusted-proxies", "127.0.0.1"]).args(more);
    command.env("RUST_LOG", "off");
    Server::spawn_at(&at.to_string(), &mut command).0
}

#[tokio::test]
async fn nginx() {
    let server = free_address();
    if let Some(proxy) = Proxy::nginx(server).await {
        carries(&proxy, server, &[]).await;
    }
}

#[tokio::test]
async fn caddy() {
    let server = free_address();
    if let Some(proxy) = Proxy::caddy(server).await {
        carries(&proxy, server, &[]).await;
    }
}

#[tokio::test]
async fn haproxy() {
    let server = free_address();
    if let Some(proxy) = Proxy::haproxy(server, "haproxy.cfg").await {
        carries(&proxy, server, &[]).await;
    }
}

#[tokio::test]
async fn haproxy_by_the_proxy_protocol() {
    let server = free_address();
    if let Some(proxy) = Proxy::haproxy(server, "haproxy-tcp.cfg").await {
        carries(&proxy, server, &["--proxy-protocol"]).await;
    }
}

async fn carries(proxy: &Proxy, at: SocketAddr, options: &[&str]) {
    proxy.misses_the_server().await;
    let server = serve(at, options);
    proxy.reaches_the_server().await;
    a_crowd_and_a_restart(proxy, server, at, options).await;

    // One client may have so many, wherever else it says it is; the others have theirs.
    proxy.misses_the_server().await;
    let server = serve(
        at,
        &[options, &["--max-connections-per-address", "20"]].concat(),
    );
    proxy.reaches_the_server().await;
    let (one, other) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3));
    let mut held = Vec::new();
    for _ in 0..20 {
        let (peer, answer) = Peer::upgrade(one, proxy.address, "/chat", "").await;
        assert_eq!(answer.status, 101, "{}", answer.text);
        held.push(peer);
    }
    let spoofed = "X-Forwarded-For: 203.0.113.7\r\nForwarded: for=203.0.113.7;host=evil\r\n\
                   X-Forwarded-Host: evil\r\nX-Forwarded-Proto: gopher\r\n";
    for more in ["", spoofed] {
        let (_, answer) = Peer::upgrade(one, proxy.address, "/chat", more).await;
        assert_eq!(answer.status, 429, "{}", answer.text);
        let (peer, answer) = Peer::upgrade(other, proxy.address, "/chat", more).await;
        assert_eq!(answer.status, 101, "{}", answer.text);
        held.push(peer);
    }

    // Pages of the proxy's host are this server's own, whatever it is called behind it.
    for (origin, status) in [
        (format!("http://{}", proxy.address), 101),
        (format!("http://{at}"), 403),
        ("http://evil.example".to_owned(), 403),
    ] {
        let more = format!("Origin: {origin}\r\n");
        let (_, answer) = Peer::upgrade(other, proxy.address, "/chat", &more).await;
        assert_eq!(answer.status, status, "{origin}: {}", answer.text);
    }
    drop(server);
}

async fn a_crowd_and_a_restart(
    proxy: &Proxy,
    mut server: Server,
    at: SocketAddr,
    options: &[&str],
) {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/javascript");
    if !suite.join("node_modules").exists() {
        return skip("npm ci has not been run in examples/tests/javascript");
    }
    let mut crowd = Command::new("node")
        .arg(suite.join("crowd.mjs"))
        .arg(format!("http://{}/bench", proxy.address))
        .args(["--clients", "1000", "--over", "ws,sse,lp", "--restart"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(crowd.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "connected");
    server.signal("TERM");
    assert_eq!(server.ended(), Some(0));
    let _server = serve(at, options);
    crowd.stdin.take().unwrap().write_all(b"again\n").unwrap();
    let last = lines.next();
    assert!(crowd.wait().unwrap().success());
    assert_eq!(last.unwrap().unwrap(), "1000 clients over ws,sse,lp");
}
