//! Where in a JSON document something is: a JSON pointer (RFC 6901) that costs nothing until it is written.

use std::fmt;

/// A place in a document, as a chain back to its root on the reader's stack.
#[derive(Clone, Copy)]
pub(crate) enum Pointer<'a> {
    Root,
    Field(&'a Pointer<'a>, &'a str),
    Item(&'a Pointer<'a>, usize),
}

impl Pointer<'_> {
    /// How many arrays and objects are around this place.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Root => 0,
            Self::Field(parent, _) | Self::Item(parent, _) => parent.depth() + 1,
        }
    }
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(parent, name) => {
                write!(f, "{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
            }
            Self::Item(parent, index) => write!(f, "{parent}/{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pointer::{Field, Item, Root};

    #[test]
    fn pointers_are_written_as_rfc_6901_says() {
        assert_eq!(Root.to_string(), "");
        assert_eq!(Field(&Root, "a/b").to_string(), "/a~1b");
        assert_eq!(Field(&Root, "m~n").to_string(), "/m~0n");
        assert_eq!(Field(&Root, "~1").to_string(), "/~01");
        assert_eq!(
            Field(&Item(&Field(&Root, "lines"), 3), "sku").to_string(),
            "/lines/3/sku"
        );
    }
}
