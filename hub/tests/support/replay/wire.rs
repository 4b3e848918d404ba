//! Bytes on a connection, and one HTTP/1.1 exchange: nothing between a step and the wire.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::address::{Address, Stream};

const CONNECT: Duration = Duration::from_secs(10);
const WRITE: Duration = Duration::from_secs(20);

/// Why a step did not go as recorded.
#[derive(Debug)]
pub(crate) enum Trouble {
    Failed(String),
    /// Nothing came in time.
    Late,
    /// The connection is at its end.
    Ended(String),
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

pub(crate) type Result<T> = std::result::Result<T, Trouble>;

pub(crate) fn failed<T>(why: impl Into<String>) -> Result<T> {
    Err(Trouble::Failed(why.into()))
}

#[derive(Debug)]
pub(crate) struct Wire {
    /// `None` once this side has let go of it.
    stream: Option<Stream>,
    pub(crate) data: Vec<u8>,
}

impl Wire {
    async fn connect(server: &Address) -> Result<Self> {
        match timeout(CONNECT, server.connect()).await {
            Ok(Ok(stream)) => Ok(Self {
                stream: Some(stream),
                data: Vec::new(),
            }),
            Ok(Err(e)) => failed(format!("cannot connect: {e}")),
            Err(_) => failed("cannot connect in time"),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(stream) = &mut self.stream else {
            return Err(Trouble::Ended("closed by this side".into()));
        };
        match timeout(WRITE, stream.write(bytes)).await {
            Ok(written) => written.map_err(|e| Trouble::Ended(e.to_string())),
            Err(_) => Err(Trouble::Ended("the server reads nothing".into())),
        }
    }

    /// Reads what there is. What came before the deadline stays, whatever happens after it.
    pub(crate) async fn more(&mut self, deadline: Instant) -> Result<()> {
        let Some(stream) = &mut self.stream else {
            return Err(Trouble::Ended("closed by this side".into()));
        };
        match timeout_at(deadline, stream.read(&mut self.data)).await {
            Ok(Ok(0)) => Err(Trouble::Ended("end".into())),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => Err(Trouble::Ended(e.to_string())),
            Err(_) => Err(Trouble::Late),
        }
    }

    pub(crate) fn take(&mut self, n: usize) -> Vec<u8> {
        self.data.drain(..n).collect()
    }

    pub(crate) fn close(&mut self) {
        self.stream = None;
    }

    /// Ends the connection with a TCP reset.
    pub(crate) fn reset(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.reset();
        }
    }
}

/// One request; its answer may be read later.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) wire: Wire,
    method: String,
    /// When the request was written.
    began: Instant,
    head: Option<Head>,
}

#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// Code and reason.
    pub(crate) status: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn is(&self, code: &str) -> bool {
        self.status.starts_with(code)
    }

    fn parse(bytes: &[u8]) -> Self {
        // Latin-1: a header may hold any byte.
        let text: String = bytes.iter().copied().map(char::from).collect();
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first
            .split_once(' ')
            .map_or(first, |(_, status)| status)
            .to_owned();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Self {
            status,
            headers: lines.filter(|line| !line.is_empty()).map(header).collect(),
        }
    }
}

impl Exchange {
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    pub(crate) async fn send(
        server: &Address,
        method: &str,
        path: &str,
        headers: &[String],
        body: Option<&[u8]>,
    ) -> Result<Self> {
        let mut wire = Wire::connect(server).await?;
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n",
            server.authority()
        );
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        let sized = names_header(headers, "content-length")
            || names_header(headers, "transfer-encoding")
            || (body.is_none() && !["POST", "PUT", "PATCH"].contains(&method));
        if !sized {
            head.push_str(&format!(
                "Content-Length: {}\r\n",
                body.map_or(0, <[u8]>::len)
            ));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        let began = Instant::now();
        wire.write(&bytes).await?;
        Ok(Self {
            wire,
            method: method.into(),
            began,
            head: None,
        })
    }

    /// The head of the answer, all or nothing: a late one stays in the buffer.
    pub(crate) async fn head(&mut self, deadline: Instant) -> Result<Head> {
        if let Some(head) = &self.head {
            return Ok(head.clone());
        }
        let end = loop {
            if let Some(end) = find(&self.wire.data, b"\r\n\r\n") {
                break end;
            }
            self.wire.more(deadline).await?;
        };
        let head = Head::parse(&self.wire.take(end + 4)[..end]);
        self.head = Some(head.clone());
        Ok(head)
    }

    /// The next piece of a chunked body, `None` at its end.
    pub(crate) async fn chunk(&mut self, deadline: Instant) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = find(&self.wire.data, b"\r\n") {
                let digits = String::from_utf8_lossy(&self.wire.data[..end]).into_owned();
                let Ok(size) = usize::from_str_radix(&digits, 16) else {
                    return failed(format!("no chunk size: {digits:?}"));
                };
                if self.wire.data.len() >= end + 4 + size {
                    let whole = self.wire.take(end + 4 + size);
                    let piece = whole[end + 2..end + 2 + size].to_vec();
                    return Ok((size > 0).then_some(piece));
                }
            }
            self.wire.more(deadline).await?;
        }
    }

    pub(crate) async fn body(&mut self, deadline: Instant) -> Result<Vec<u8>> {
        let head = self.head(deadline).await?;
        if self.method == "HEAD" || ["204", "304", "101"].iter().any(|code| head.is(code)) {
            return Ok(Vec::new());
        }
        let chunked = head.header("transfer-encoding");
        if chunked.is_some_and(|how| how.eq_ignore_ascii_case("chunked")) {
            let mut body = Vec::new();
            while let Some(piece) = self.chunk(deadline).await? {
                body.extend(piece);
            }
            return Ok(body);
        }
        let Some(length) = head.header("content-length") else {
            return Ok(Vec::new());
        };
        let Ok(length) = length.parse() else {
            return failed(format!("no length: {length:?}"));
        };
        while self.wire.data.len() < length {
            self.wire.more(deadline).await?;
        }
        Ok(self.wire.take(length))
    }
}

/// Does a `Name: value` line of that name exist?
pub(crate) fn names_header(lines: &[String], name: &str) -> bool {
    lines.iter().any(|line| header_name(line) == name)
}

pub(crate) fn header_name(line: &str) -> String {
    line.split(':')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

pub(crate) fn find(data: &[u8], what: &[u8]) -> Option<usize> {
    data.windows(what.len()).position(|window| window == what)
}
