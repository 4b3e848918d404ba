//! Requests that are no WebSocket.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{PATIENCE, Server};

/// What came back: the status, the content type, the body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: String,
}

impl Server {
    pub(crate) async fn request(&self, method: &str, target: &str) -> Answer {
        self.request_with(method, target, "").await
    }

    /// `headers` are lines, each with its end.
    pub(crate) async fn request_with(&self, method: &str, target: &str, headers: &str) -> Answer {
        let mut socket = self.socket();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: hub\r\nContent-Length: 0\r\nConnection: close\r\n{headers}\r\n"
        );
        socket.write_all(head.as_bytes()).await.expect("it reads");
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
        read.expect("it answers").expect("it ends");
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let header = |name: &str| {
            let lines = head
                .lines()
                .skip(1)
                .filter_map(|line| line.split_once(": "));
            let mut found = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
            found.next().map(|(_, value)| value.to_owned())
        };
        Answer {
            status: head[9..12].parse().expect("a status"),
            content_type: header("content-type"),
            body: match header("transfer-encoding") {
                Some(_) => unchunk(body),
                None => body.to_owned(),
            },
        }
    }

    /// `POST /hub/negotiate?negotiateVersion=1`: the public id, then the token.
    pub(crate) async fn negotiate(&self) -> (String, String) {
        let answer = self
            .request("POST", "/hub/negotiate?negotiateVersion=1")
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        let member = |name: &str| body[name].as_str().expect("text").to_owned();
        (member("connectionId"), member("connectionToken"))
    }
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        whole.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    whole
}
