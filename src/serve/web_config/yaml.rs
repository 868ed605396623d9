//! YAML as a tree of texts, read key by key. No error repeats a value unless its reader says so: some are secrets.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

/// What is wrong, and at which key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub(super) struct Bad {
    at: String,
    what: String,
}

impl Bad {
    pub(super) fn new(at: &str, what: impl Into<String>) -> Self {
        Self { at: at.to_owned(), what: what.into() }
    }
}

enum Tree {
    Null,
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// A value and the keys that lead to it.
pub(super) struct Node {
    pub(super) at: String,
    tree: Tree,
}

impl Node {
    fn is_not(&self, wanted: &str) -> Bad {
        Bad::new(&self.at, format!("expected {wanted}, found {}", self.tree.kind()))
    }

    pub(super) fn text(self) -> Result<String, Bad> {
        match self.tree {
            Tree::Text(text) => Ok(text),
            Tree::Null | Tree::List(_) | Tree::Map(_) => Err(self.is_not("a text")),
        }
    }

    pub(super) fn flag(self) -> Result<bool, Bad> {
        match &self.tree {
            Tree::Text(word) if word == "true" => Ok(true),
            Tree::Text(word) if word == "false" => Ok(false),
            Tree::Null | Tree::Text(_) | Tree::List(_) | Tree::Map(_) => Err(self.is_not("true or false")),
        }
    }

    pub(super) fn list(self) -> Result<Vec<Self>, Bad> {
        match self.tree {
            Tree::List(items) => {
                let node = |(n, tree)| Self { at: format!("{}[{n}]", self.at), tree };
                Ok(items.into_iter().enumerate().map(node).collect())
            }
            Tree::Null | Tree::Text(_) | Tree::Map(_) => Err(self.is_not("a list")),
        }
    }

    pub(super) fn map(self) -> Result<Map, Bad> {
        match self.tree {
            Tree::Map(entries) => Ok(Map { at: self.at, entries }),
            Tree::Null | Tree::Text(_) | Tree::List(_) => Err(self.is_not("a mapping")),
        }
    }

    /// Either a bare text or a mapping.
    pub(super) fn text_or_map(self) -> Result<Result<String, Map>, Bad> {
        if matches!(self.tree, Tree::Map(_)) { self.map().map(Err) } else { self.text().map(Ok) }
    }
}

/// A mapping whose entries are taken one by one; what nobody took is unknown.
pub(super) struct Map {
    at: String,
    entries: Vec<(String, Tree)>,
}

impl Map {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The path of a key in here.
    pub(super) fn path(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    /// The value of a key; a key without a value, or with an empty text, counts as not there.
    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        let place = self.entries.iter().position(|(known, _)| known == key)?;
        let (_, tree) = self.entries.remove(place);
        let is_empty = matches!(&tree, Tree::Text(text) if text.is_empty()) || matches!(tree, Tree::Null);
        (!is_empty).then(|| Node { at: self.path(key), tree })
    }

    pub(super) fn take_text(&mut self, key: &str) -> Result<Option<String>, Bad> {
        self.take(key).map(Node::text).transpose()
    }

    /// A mapping, empty where there is none.
    pub(super) fn take_map(&mut self, key: &str) -> Result<Self, Bad> {
        let none = Self { at: self.path(key), entries: vec![] };
        self.take(key).map_or(Ok(none), Node::map)
    }

    pub(super) fn take_list(&mut self, key: &str) -> Result<Vec<Node>, Bad> {
        self.take(key).map_or(Ok(vec![]), Node::list)
    }

    /// All that is left, for mappings whose keys are names that somebody chose.
    pub(super) fn rest(self) -> impl Iterator<Item = (String, Node)> {
        let at = self.at;
        self.entries.into_iter().map(move |(key, tree)| {
            let at = format!("{at}.{key}");
            (key, Node { at, tree })
        })
    }

    /// Every key must have been taken by now.
    pub(super) fn end(self, known: &[&str]) -> Result<(), Bad> {
        match self.entries.first() {
            None => Ok(()),
            Some((key, _)) => {
                let known = known.join(", ");
                Err(Bad::new(&self.path(key), format!("there is no such key; there are {known}")))
            }
        }
    }
}

/// Reads a text of one document; an empty one is an empty mapping.
pub(super) fn read(text: &str) -> Result<Map, Bad> {
    let mut reader = Reader { events: Parser::new_from_str(text), depth: 0 };
    let tree = reader.document()?;
    let tree = if matches!(tree, Tree::Null) { Tree::Map(vec![]) } else { tree };
    match tree {
        Tree::Map(entries) => Ok(Map { at: String::new(), entries }),
        other @ (Tree::Null | Tree::Text(_) | Tree::List(_)) => {
            Err(Bad::new("the file", format!("expected a mapping, found {}", other.kind())))
        }
    }
}

/// The format has three levels; more is another file, and each costs a call.
const DEEPEST: usize = 8;

struct Reader<'a, E: Iterator<Item = Result<(Event<'a>, Span), ScanError>>> {
    events: E,
    depth: usize,
}

impl<'a, E: Iterator<Item = Result<(Event<'a>, Span), ScanError>>> Reader<'a, E> {
    fn next(&mut self) -> Result<(Event<'a>, usize), Bad> {
        match self.events.next() {
            Some(Ok((event, span))) => Ok((event, span.start.line())),
            Some(Err(error)) => Err(at_line(error.marker().line(), error.info())),
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    fn document(&mut self) -> Result<Tree, Bad> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd, _) => return Ok(Tree::Null),
                (first, line) => {
                    let tree = self.tree(first, line)?;
                    return self.ends().map(|()| tree);
                }
            }
        }
    }

    fn ends(&mut self) -> Result<(), Bad> {
        match (self.next()?, self.next()?) {
            ((Event::DocumentEnd, _), (Event::StreamEnd, _)) => Ok(()),
            (_, (_, line)) => Err(at_line(line, "expected one document, found another")),
        }
    }

    fn tree(&mut self, event: Event<'a>, line: usize) -> Result<Tree, Bad> {
        self.depth += 1;
        let tree = match event {
            _ if self.depth > DEEPEST => Err(at_line(line, "it is nested too deeply")),
            Event::Scalar(text, style, ..) => Ok(scalar(text.into_owned(), style)),
            Event::SequenceStart(..) => self.list(),
            Event::MappingStart(..) => self.map(),
            Event::Alias(_) => Err(at_line(line, "aliases are not read here; write the value out")),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => Err(at_line(line, "it ends too early")),
        };
        self.depth -= 1;
        tree
    }

    fn list(&mut self) -> Result<Tree, Bad> {
        let mut items = vec![];
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Tree::List(items)),
                (event, line) => items.push(self.tree(event, line)?),
            }
        }
    }

    fn map(&mut self) -> Result<Tree, Bad> {
        let mut entries: Vec<(String, Tree)> = vec![];
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Tree::Map(entries)),
                (Event::Scalar(key, ..), line) if entries.iter().any(|(known, _)| *known == key) => {
                    return Err(at_line(line, &format!("the key `{key}` is there twice")));
                }
                (Event::Scalar(key, ..), _) => key.into_owned(),
                (_, line) => return Err(at_line(line, "expected a plain key")),
            };
            let (event, line) = self.next()?;
            entries.push((key, self.tree(event, line)?));
        }
    }
}

fn scalar(text: String, style: ScalarStyle) -> Tree {
    let is_null = style == ScalarStyle::Plain && matches!(text.as_str(), "" | "~" | "null");
    if is_null { Tree::Null } else { Tree::Text(text) }
}

fn at_line(line: usize, what: &str) -> Bad {
    Bad::new(&format!("line {line}"), what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_stay_as_they_are_written() {
        let mut map = read("a: 0123\nb: 1e5\nc: 'null'\nd: null\ne: \"x\\ny\"\n").unwrap();
        let mut text = |key: &str| map.take(key).map(|node| node.text().unwrap());
        assert_eq!(text("a").as_deref(), Some("0123"));
        assert_eq!(text("b").as_deref(), Some("1e5"));
        assert_eq!(text("c").as_deref(), Some("null"));
        assert_eq!(text("d"), None);
        assert_eq!(text("e").as_deref(), Some("x\ny"));
        assert!(map.end(&[]).is_ok());
    }

    #[test]
    fn what_is_no_tree_is_refused_at_its_line() {
        let deep = "[".repeat(60_000);
        let rows = [
            ("a: 1\na: 2\n", "line 2: the key `a` is there twice"),
            ("a: &x 1\nb: *x\n", "line 2: aliases"),
            ("- a\n", "the file: expected a mapping, found a list"),
            ("a: 1\n---\nb: 2\n", "expected one document"),
            ("a: [1\n", "line"),
            ("a: {b: @}\n", "line 1"),
            (&deep, "line 1"),
        ];
        for (text, want) in rows {
            let said = read(text).err().map(|bad| bad.to_string()).unwrap_or_default();
            assert!(said.contains(want), "{text:.20}: {said}");
        }
    }

    #[test]
    fn an_empty_file_is_an_empty_mapping() {
        for text in ["", "# only a remark\n", "---\n", "~"] {
            assert!(read(text).unwrap().is_empty(), "{text:?}");
        }
    }
}
