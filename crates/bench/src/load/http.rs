//! One keep-alive HTTP/1.1 connection, as little as a client can be: it shares two cores with what it measures.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Headers of one answer; ours have about eight.
const HEADERS: usize = 32;
/// Bytes asked of the socket at once: a whole answer to a single command.
const READ_BYTES: usize = 4_096;

/// A connection that carries one request at a time.
#[derive(Debug)]
pub(crate) struct HttpConnection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// How long the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

impl HttpConnection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(READ_BYTES),
        })
    }

    /// Sends a request and reads the whole answer: its status and, if `body` is given, its body into that.
    pub(crate) async fn exchange(
        &mut self,
        request: &[u8],
        mut body: Option<&mut Vec<u8>>,
    ) -> Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (status, framing, head) = loop {
            self.read_more().await?;
            if let Some(head) = parse_head(&self.buffer)? {
                break head;
            }
        };
        if let Some(body) = body.as_deref_mut() {
            body.clear();
        }
        match framing {
            Framing::Length(length) => {
                while self.buffer.len() < head + length {
                    self.read_more().await?;
                }
                if let Some(body) = body {
                    body.extend_from_slice(&self.buffer[head..head + length]);
                }
            }
            Framing::Chunked => self.read_chunks(head, body).await?,
        }
        Ok(status)
    }

    async fn read_chunks(&mut self, mut at: usize, mut body: Option<&mut Vec<u8>>) -> Result<()> {
        loop {
            let line_end = loop {
                match memchr::memmem::find(&self.buffer[at..], b"\r\n") {
                    Some(found) => break at + found,
                    None => self.read_more().await?,
                }
            };
            let size = chunk_size(&self.buffer[at..line_end])?;
            let data = line_end + 2;
            while self.buffer.len() < data + size + 2 {
                self.read_more().await?;
            }
            if let Some(body) = body.as_deref_mut() {
                body.extend_from_slice(&self.buffer[data..data + size]);
            }
            at = data + size + 2;
            if size == 0 {
                return Ok(());
            }
        }
    }

    async fn read_more(&mut self) -> Result<()> {
        self.buffer.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(Error::new(
                ErrorKind::UnexpectedEof,
                "the server closed the connection",
            )),
            _ => Ok(()),
        }
    }
}

/// Status, framing and length of the head, once it is complete.
fn parse_head(bytes: &[u8]) -> Result<Option<(u16, Framing, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response
        .parse(bytes)
        .map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
    let httparse::Status::Complete(head) = parsed else {
        return Ok(None);
    };
    let mut framing = Framing::Length(0);
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(header.value).ok();
            let length = length.and_then(|text| text.trim().parse().ok());
            framing = Framing::Length(length.ok_or(ErrorKind::InvalidData)?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked;
        }
    }
    Ok(Some((response.code.unwrap_or(0), framing, head)))
}

fn chunk_size(line: &[u8]) -> Result<usize> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or(line);
    let text = std::str::from_utf8(digits).map_err(|_| ErrorKind::InvalidData)?;
    usize::from_str_radix(text.trim(), 16).map_err(|_| ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers the first request with `parts`, each written by itself.
    async fn answered(parts: &'static [&'static str]) -> (u16, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut request = [0; 64];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            for part in parts {
                stream.write_all(part.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut connection = HttpConnection::open(address).await.unwrap();
        let mut body = Vec::new();
        let status = connection
            .exchange(b"GET / HTTP/1.1\r\n\r\n", Some(&mut body))
            .await
            .unwrap();
        serving.await.unwrap();
        (status, String::from_utf8(body).unwrap())
    }

    #[tokio::test]
    async fn an_answer_in_pieces_is_read_whole() {
        let parts = &[
            "HTTP/1.1 202 Accepted\r\nContent-",
            "Length: 7\r\n\r\nabc",
            "defg",
        ];
        assert_eq!(answered(parts).await, (202, "abcdefg".to_owned()));
    }

    #[tokio::test]
    async fn chunks_are_joined() {
        let parts = &[
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
            "c\r\n4;x=y\r\ndefg\r\n0\r\n\r\n",
        ];
        assert_eq!(answered(parts).await, (200, "abcdefg".to_owned()));
    }
}
