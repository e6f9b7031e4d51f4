//! The documents of a request, very many records among them.

use crate::{
    control::protocol::Action,
    policy::{document::Document, key::Key, records::Batch, source::RecordLine},
};

/// Documents in their order.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Documents but those of `batch`, with their numbers.
    pub(super) documents: Vec<(usize, Document)>,
    /// Lookup records of stations.
    pub(super) batch: Batch,
    /// The numbers of the records.
    pub(super) numbers: Vec<u32>,
    count: usize,
}

impl Request {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a document.
    pub fn push(&mut self, document: Document) {
        if self.batch.push_document(&document, (0, false)) {
            self.numbers
                .push(u32::try_from(self.count).unwrap_or(u32::MAX));
        } else {
            self.documents.push((self.count, document));
        }
        self.count += 1;
    }

    /// Adds the record of a line.
    pub fn push_line(&mut self, line: &RecordLine<'_>) {
        self.batch.push_line(line);
        self.numbers
            .push(u32::try_from(self.count).unwrap_or(u32::MAX));
        self.count += 1;
    }

    /// Calls `each` with the key of each document and what was done with it, in their order.
    pub fn each(&self, actions: &[Action], mut each: impl FnMut(&Key, Action)) {
        let mut few = self.documents.iter().peekable();
        let mut records = self.numbers.iter().zip(self.batch.iter()).peekable();
        for (number, action) in actions.iter().enumerate() {
            if let Some((_, document)) = few.next_if(|(at, _)| *at == number) {
                each(&Key::of(document), *action);
            } else if let Some((_, record)) = records.next_if(|(at, _)| **at as usize == number) {
                each(&record.key(), *action);
            }
        }
    }

    /// All documents in their order.
    pub fn into_documents(self) -> Vec<Document> {
        let mut few = self.documents.into_iter().peekable();
        let mut records = self.batch.iter();
        let next = |number| match few.next_if(|(at, _)| *at == number) {
            Some((_, document)) => Some(document),
            None => records.next().map(|record| record.document()),
        };
        (0..self.count).filter_map(next).collect()
    }
}

impl FromIterator<Document> for Request {
    fn from_iter<I: IntoIterator<Item = Document>>(documents: I) -> Self {
        let mut request = Self::default();
        documents
            .into_iter()
            .for_each(|document| request.push(document));
        request
    }
}
