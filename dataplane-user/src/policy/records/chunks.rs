//! Sorted items in pieces that copies share: a copy costs nothing, and a change one piece.

use std::{fmt, sync::Arc};

/// What is kept sorted.
pub trait Item: Copy + PartialEq {
    /// What it is sorted by; no two items have the same.
    type Key: Copy + Ord;
    /// Its key.
    fn key(&self) -> Self::Key;
}

/// Items of a piece at most, and of one that is split.
const FULL: usize = 1024;
const HALF: usize = FULL / 2;

/// A sorted set of items.
#[derive(Clone)]
pub struct Chunks<T> {
    /// None is empty.
    pieces: Vec<Arc<Vec<T>>>,
    len: usize,
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed<'c, T> {
    /// It is there, and was not, or another with its key was.
    Put(&'c T),
    /// It is gone.
    Gone(&'c T),
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            len: 0,
        }
    }
}

impl<T: Item> Chunks<T> {
    /// Number of items.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All items in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        self.pieces.iter().flat_map(|piece| piece.iter())
    }

    /// The items from a key on.
    pub fn from(&self, key: T::Key) -> impl Iterator<Item = &T> {
        let first = self.pieces.partition_point(|piece| last(piece) < Some(key));
        let rest = self.pieces[first..].iter().flat_map(|piece| piece.iter());
        let skipped = self.pieces.get(first);
        let skipped = skipped.map_or(0, |piece| piece.partition_point(|item| item.key() < key));
        rest.skip(skipped)
    }

    /// The item of a key.
    pub fn get(&self, key: T::Key) -> Option<&T> {
        let (piece, place) = self.find(key);
        self.pieces.get(piece)?.get(place.ok()?)
    }

    /// Adds an item; returns the one that it replaces.
    pub fn insert(&mut self, item: T) -> Option<T> {
        let (index, place) = self.find(item.key());
        let place = match place {
            Ok(place) => {
                let slot = &mut Arc::make_mut(&mut self.pieces[index])[place];
                return Some(std::mem::replace(slot, item));
            }
            Err(place) => place,
        };
        self.len += 1;
        // What comes in order fills pieces, wherever that is.
        let before = index.checked_sub(1).filter(|_| place == 0);
        if let Some(piece) = before.and_then(|before| self.pieces.get_mut(before))
            && piece.len() < FULL
        {
            Arc::make_mut(piece).push(item);
            return None;
        }
        let full = self
            .pieces
            .get(index)
            .is_none_or(|piece| piece.len() >= FULL);
        if full && place == 0 {
            self.pieces.insert(index, Arc::new(vec![item]));
            return None;
        }
        let piece = Arc::make_mut(&mut self.pieces[index]);
        if !full {
            piece.insert(place, item);
            return None;
        }
        let mut behind = piece.split_off(HALF);
        match place.checked_sub(HALF) {
            Some(place) => behind.insert(place, item),
            None => piece.insert(place, item),
        }
        self.pieces.insert(index + 1, Arc::new(behind));
        None
    }

    /// Removes the item of a key.
    pub fn remove(&mut self, key: T::Key) -> Option<T> {
        let (index, place) = self.find(key);
        let (piece, place) = (self.pieces.get_mut(index)?, place.ok()?);
        let removed = Arc::make_mut(piece).remove(place);
        if piece.is_empty() {
            self.pieces.remove(index);
        }
        self.len -= 1;
        Some(removed)
    }

    /// Adds an item behind all others.
    pub fn push(&mut self, item: T) {
        debug_assert!(
            self.pieces
                .last()
                .is_none_or(|piece| last(piece) < Some(item.key()))
        );
        self.len += 1;
        match self.pieces.last_mut() {
            Some(piece) if piece.len() < FULL => Arc::make_mut(piece).push(item),
            _ => self.pieces.push(Arc::new(vec![item])),
        }
    }

    /// Adds items that are sorted; of the same key the new one stays.
    pub fn merge(&mut self, new: Vec<T>) {
        // Few changes leave most pieces as they are.
        if new.len() < self.len / 16 {
            for item in new {
                self.insert(item);
            }
            return;
        }
        let mut all = Self::default();
        let mut old = self.iter().copied().peekable();
        for item in new {
            while let Some(before) = old.next_if(|old| old.key() < item.key()) {
                all.push(before);
            }
            old.next_if(|old| old.key() == item.key());
            all.push(item);
        }
        old.for_each(|item| all.push(item));
        all.trim();
        *self = all;
    }

    /// Gives back room that no piece needs.
    pub fn trim(&mut self) {
        if let Some(piece) = self.pieces.last_mut().and_then(Arc::get_mut) {
            piece.shrink_to_fit();
        }
    }

    /// What has to be done to make `old` this; pieces that both share cost nothing. `alike` compares
    /// an item with the old one of its key.
    pub fn each_change(
        &self,
        old: &Self,
        alike: impl Fn(&T, &T) -> bool,
        mut each: impl FnMut(Changed<'_, T>),
    ) {
        let (mut new, mut old) = (Cursor::of(self), Cursor::of(old));
        loop {
            new.skip_shared(&mut old);
            match (new.item(), old.item()) {
                (None, None) => return,
                (Some(item), Some(before)) if item.key() == before.key() => {
                    if !alike(item, before) {
                        each(Changed::Put(item));
                    }
                    new.step();
                    old.step();
                }
                (Some(item), Some(before)) if item.key() > before.key() => {
                    each(Changed::Gone(before));
                    old.step();
                }
                (Some(item), _) => {
                    each(Changed::Put(item));
                    new.step();
                }
                (None, Some(before)) => {
                    each(Changed::Gone(before));
                    old.step();
                }
            }
        }
    }

    /// Whether both have items of the same keys, each like the other's.
    pub fn is_like(&self, other: &Self, alike: impl Fn(&T, &T) -> bool) -> bool {
        let mut same = self.len == other.len;
        if same {
            self.each_change(other, alike, |_| same = false);
        }
        same
    }

    /// The first piece that does not end before the key, and the place in it.
    fn find(&self, key: T::Key) -> (usize, Result<usize, usize>) {
        let end = self.pieces.len();
        let behind = self
            .pieces
            .last()
            .is_none_or(|piece| last(piece) < Some(key));
        let index = if behind {
            end
        } else {
            self.pieces.partition_point(|piece| last(piece) < Some(key))
        };
        let piece = self.pieces.get(index);
        let place = piece.map_or(Err(0), |piece| piece.binary_search_by_key(&key, Item::key));
        (index, place)
    }
}

fn last<T: Item>(piece: &[T]) -> Option<T::Key> {
    piece.last().map(Item::key)
}

/// A place in the items.
struct Cursor<'c, T> {
    pieces: &'c [Arc<Vec<T>>],
    place: usize,
}

impl<'c, T: Item> Cursor<'c, T> {
    fn of(chunks: &'c Chunks<T>) -> Self {
        Self {
            pieces: &chunks.pieces,
            place: 0,
        }
    }

    fn item(&self) -> Option<&'c T> {
        self.pieces.first()?.get(self.place)
    }

    fn step(&mut self) {
        self.place += 1;
        if self
            .pieces
            .first()
            .is_some_and(|piece| self.place >= piece.len())
        {
            self.pieces = &self.pieces[1..];
            self.place = 0;
        }
    }

    /// Goes on behind the pieces that are the same in both.
    fn skip_shared(&mut self, other: &mut Self) {
        while self.place == 0
            && other.place == 0
            && let (Some(own), Some(theirs)) = (self.pieces.first(), other.pieces.first())
            && Arc::ptr_eq(own, theirs)
        {
            self.pieces = &self.pieces[1..];
            other.pieces = &other.pieces[1..];
        }
    }
}

impl<T: Item> FromIterator<T> for Chunks<T> {
    /// From items in order.
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut chunks = Self::default();
        items.into_iter().for_each(|item| chunks.push(item));
        chunks.trim();
        chunks
    }
}

impl<T: Item> PartialEq for Chunks<T> {
    fn eq(&self, other: &Self) -> bool {
        self.is_like(other, T::eq)
    }
}

impl<T: Item> Eq for Chunks<T> {}

impl<T: Item + fmt::Debug> fmt::Debug for Chunks<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
