//! Where the parts of a document stand.

/// A tree of places, shaped like the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// Line, from 1.
    pub(super) line: u32,
    /// Column, from 1; 0 where only the line is known.
    pub(super) column: u32,
    pub(super) parts: Vec<Part>,
}

/// A field or element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: Name,
    pub(super) place: Positions,
}

/// How a path names a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Field(Box<str>),
    /// By the place in the file, whatever else was removed from the sequence.
    Element(usize),
}

impl Positions {
    /// Line and column of a path such as `spec.prefixes[1]`, or of the nearest
    /// part that holds it.
    pub fn find(&self, path: &str) -> (u32, u32) {
        let mut here = self;
        for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
            let part = match step.strip_suffix(']') {
                Some(index) => index.parse().ok().and_then(|index| here.element(index)),
                None => here.field(step),
            };
            let Some(part) = part else { break };
            here = part;
        }
        (here.line, here.column)
    }

    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        let is = |part: &&Part| matches!(&part.name, Name::Field(field) if **field == *name);
        self.parts.iter().find(is).map(|part| &part.place)
    }

    fn element(&self, index: usize) -> Option<&Self> {
        let is = |part: &&Part| part.name == Name::Element(index);
        self.parts.iter().find(is).map(|part| &part.place)
    }
}
