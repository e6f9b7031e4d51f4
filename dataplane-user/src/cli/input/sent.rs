//! What is read, sent as it is read.

use std::io::{self, BufRead, Read};

use crate::control::client::Lines;

/// A reader whose text goes into lines too.
pub(super) struct Sent<'l, R> {
    pub(super) reader: R,
    pub(super) lines: &'l mut Lines,
}

impl<R: BufRead> Read for Sent<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into)?;
        self.lines.push(&into[..read]);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Sent<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // What is in the buffer is given again until it is consumed, and without reading.
        if amount != 0
            && let Ok(text) = self.reader.fill_buf()
        {
            self.lines.push(&text[..amount.min(text.len())]);
        }
        self.reader.consume(amount);
    }
}
