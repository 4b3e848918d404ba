//! As much HTTP/1.1 as the transports of a hub need that are no WebSockets.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::content::invalid;

/// One HTTP connection, one request at a time, waiting for each answer.
#[derive(Debug)]
pub(super) struct Http {
    stream: TcpStream,
    address: SocketAddr,
    answers: Answers,
}

/// The position in a server's answers on one connection.
#[derive(Debug, Default)]
pub(super) struct Answers {
    part: Part,
    /// The line or head that has not ended yet.
    begun: Vec<u8>,
}

/// What comes next.
#[derive(Debug, Default)]
enum Part {
    #[default]
    Head,
    /// A body, or what is left of it.
    Body(usize),
    ChunkLength,
    Chunk(usize),
    /// The end of the line behind a chunk.
    ChunkEnd,
    /// The end of the line behind the last one.
    LastEnd,
}

impl Http {
    pub(super) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let answers = Answers::default();
        Ok(Self {
            stream,
            address,
            answers,
        })
    }

    pub(super) fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<Vec<u8>> {
        self.write(method, path, body)?;
        self.read()
    }

    pub(super) fn write(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<()> {
        let request = request(method, path, self.address, body);
        self.stream.write_all(&request)
    }

    /// Asks for an event stream, and waits until it has begun; gives what came of it.
    pub(super) fn open_events(&mut self, path: &str) -> io::Result<Vec<u8>> {
        let host = self.address;
        let accept = "Accept: text/event-stream";
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{accept}\r\n\r\n");
        self.stream.write_all(request.as_bytes())?;
        let mut events = Vec::new();
        let mut buffer = [0; 1024];
        while self.answers.is_between() {
            let read = self.stream.read(&mut buffer)?;
            self.take(&buffer[..read], &mut 0, |part| {
                events.extend_from_slice(part);
                Ok(())
            })?;
        }
        Ok(events)
    }

    /// The body of an answer that went well.
    pub(super) fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = self.stream.read(&mut buffer)?;
            let mut whole = 0;
            self.take(&buffer[..read], &mut whole, |part| {
                body.extend_from_slice(part);
                Ok(())
            })?;
            if whole > 0 {
                return Ok(body);
            }
        }
    }

    /// The connection, from here on without waiting.
    pub(super) fn into_parts(self) -> io::Result<(TcpStream, Answers)> {
        self.stream.set_nonblocking(true)?;
        Ok((self.stream, self.answers))
    }

    fn take(
        &mut self,
        bytes: &[u8],
        whole: &mut u64,
        on_body: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *whole += self.answers.take(bytes, on_body)?;
        Ok(())
    }
}

impl Answers {
    /// Hands the bodies in `bytes` over, in parts, and counts the answers that are whole.
    ///
    /// # Errors
    /// When an answer does not say that all went well.
    pub(super) fn take(
        &mut self,
        mut bytes: &[u8],
        mut on_body: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<u64> {
        let mut whole = 0;
        while !bytes.is_empty() {
            match &mut self.part {
                Part::Body(left) | Part::Chunk(left) => {
                    let (body, rest) = bytes.split_at(bytes.len().min(*left));
                    bytes = rest;
                    *left -= body.len();
                    let (is_over, is_body) = (*left == 0, matches!(self.part, Part::Body(_)));
                    on_body(body)?;
                    if is_over {
                        whole += u64::from(is_body);
                        self.part = if is_body { Part::Head } else { Part::ChunkEnd };
                    }
                }
                Part::Head => {
                    if let Some(head) = self.until(b"\r\n\r\n", &mut bytes) {
                        self.part = body_of(&head)?;
                        if matches!(self.part, Part::Body(0)) {
                            whole += 1;
                            self.part = Part::Head;
                        }
                    }
                }
                Part::ChunkLength => {
                    if let Some(line) = self.until(b"\r\n", &mut bytes) {
                        let line = String::from_utf8_lossy(&line);
                        self.part = match usize::from_str_radix(line.trim(), 16) {
                            Ok(0) => Part::LastEnd,
                            Ok(length) => Part::Chunk(length),
                            Err(_) => return Err(invalid(format!("not a chunk: {line:?}"))),
                        };
                    }
                }
                Part::ChunkEnd => {
                    if self.until(b"\r\n", &mut bytes).is_some() {
                        self.part = Part::ChunkLength;
                    }
                }
                Part::LastEnd => {
                    if self.until(b"\r\n", &mut bytes).is_some() {
                        whole += 1;
                        self.part = Part::Head;
                    }
                }
            }
        }
        Ok(whole)
    }

    /// Whether no answer has begun.
    fn is_between(&self) -> bool {
        matches!(self.part, Part::Head)
    }

    /// Moves what comes before `end`, and it, out of `bytes`, once it is there.
    fn until(&mut self, end: &[u8], bytes: &mut &[u8]) -> Option<Vec<u8>> {
        while let Some((byte, rest)) = bytes.split_first() {
            self.begun.push(*byte);
            *bytes = rest;
            if self.begun.ends_with(end) {
                return Some(std::mem::take(&mut self.begun));
            }
        }
        None
    }
}

/// A request with a body.
pub(super) fn request(method: &str, path: &str, host: SocketAddr, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// How the body behind a head is to be read.
fn body_of(head: &[u8]) -> io::Result<Part> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    if !head.starts_with("http/1.1 20") {
        return Err(io::Error::other(format!(
            "not the answer hoped for: {}",
            head.trim_end()
        )));
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    match length {
        Some(length) => Ok(Part::Body(length)),
        None if head.contains("transfer-encoding: chunked") => Ok(Part::ChunkLength),
        None => Err(invalid(format!("an answer without a length: {head}"))),
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_out_however_the_bytes_are_split() {
        let answers = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\
                        HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n\
                        HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\na\r\nfghijklmno\r\n0\r\n\r\n\
                        HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\np";
        for step in 1..=answers.len() {
            let mut reader = Answers::default();
            let (mut whole, mut body) = (0, Vec::new());
            for part in answers.chunks(step) {
                let taken = reader.take(part, |bytes| {
                    body.extend_from_slice(bytes);
                    Ok(())
                });
                whole += taken.unwrap();
            }
            assert_eq!((whole, &body[..]), (4, &b"abcdefghijklmnop"[..]), "{step}");
        }
    }

    #[test]
    fn an_answer_that_is_no_success_is_an_error() {
        let mut reader = Answers::default();
        let error = reader.take(b"HTTP/1.1 404 Not Found\r\n\r\n", |_| Ok(()));
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "not the answer hoped for: http/1.1 404 not found");
    }
}
