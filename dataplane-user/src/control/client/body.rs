//! The documents of a request: lines from memory, or from files of any size.

use std::{collections::VecDeque, io, path::PathBuf};

use futures_util::stream;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame};
use tokio::{
    fs::File,
    io::{AsyncBufReadExt, BufReader},
};

/// About how much of a file is sent at a time.
const CHUNK: usize = 64 * 1024;

/// One source of lines.
#[derive(Clone, Debug)]
pub enum Part {
    /// Lines, each with its line feed.
    Memory(Bytes),
    /// A file of lines, read while it is sent; blank lines are left out.
    File(PathBuf),
}

/// NDJSON: one document a line.
#[derive(Clone, Debug, Default)]
pub struct Payload(VecDeque<Part>);

impl Payload {
    /// Nothing.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Adds lines.
    pub fn push(&mut self, part: Part) {
        self.0.push_back(part);
    }

    pub(super) fn into_body(self) -> BoxBody<Bytes, io::Error> {
        if self.0.is_empty() {
            return http_body_util::Empty::new()
                .map_err(|never| match never {})
                .boxed();
        }
        let reader = Reader {
            parts: self.0,
            open: None,
        };
        let frames = stream::try_unfold(reader, |mut reader| async move {
            let chunk = reader.next().await?;
            Ok(chunk.map(|bytes| (Frame::data(bytes), reader)))
        });
        BodyExt::boxed(StreamBody::new(frames))
    }
}

/// Walks the parts.
struct Reader {
    parts: VecDeque<Part>,
    open: Option<BufReader<File>>,
}

impl Reader {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(file) = &mut self.open {
                let chunk = lines(file).await?;
                if !chunk.is_empty() {
                    return Ok(Some(chunk.into()));
                }
                self.open = None;
            }
            match self.parts.pop_front() {
                None => return Ok(None),
                Some(Part::Memory(bytes)) => return Ok(Some(bytes)),
                Some(Part::File(path)) => self.open = Some(BufReader::new(File::open(path).await?)),
            }
        }
    }
}

/// The next lines of a file, together about a chunk; nothing at its end.
async fn lines(file: &mut BufReader<File>) -> io::Result<Vec<u8>> {
    let mut chunk = Vec::with_capacity(CHUNK);
    while chunk.len() < CHUNK {
        let start = chunk.len();
        if file.read_until(b'\n', &mut chunk).await? == 0 {
            break;
        }
        if chunk[start..].iter().all(u8::is_ascii_whitespace) {
            chunk.truncate(start);
        } else if chunk.last() != Some(&b'\n') {
            chunk.push(b'\n');
        }
    }
    Ok(chunk)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn parts_follow_each_other_without_blank_lines() {
        let mut file = tempfile::NamedTempFile::new().expect("temporary file");
        write!(file, "\n{{\"a\":1}}\n  \n{{\"b\":2}}").expect("written");
        let mut payload = Payload::empty();
        payload.push(Part::Memory(Bytes::from_static(b"{}\n")));
        payload.push(Part::File(file.path().to_owned()));
        let body = payload.into_body().collect().await.expect("readable");
        assert_eq!(body.to_bytes(), "{}\n{\"a\":1}\n{\"b\":2}\n");
    }
}
