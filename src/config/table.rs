//! The macro behind the table of options, and the reader that reports every bad one at once.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What help and pages say of an option.
#[derive(Debug, Clone, Copy)]
pub struct OptionDoc {
    /// The environment variable.
    pub name: &'static str,
    /// First paragraph: one sentence. The rest: what else there is to know.
    pub doc: &'static str,
    /// In the syntax that an operator writes; none: not set unless given.
    pub default: Option<&'static str>,
    pub example: &'static str,
    /// Never printed; can be given by a file, through the name with `_FILE`.
    pub secret: bool,
}

impl OptionDoc {
    /// The first paragraph on one line.
    pub fn summary(&self) -> String {
        let first = self.doc.split("\n\n").next().unwrap_or_default();
        first.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Default,
    Environment,
    /// A variable that is not ours, and means this option.
    Variable(&'static str),
    File,
    CommandLine,
}

impl Origin {
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Environment => "environment",
            Self::Variable(name) => name,
            Self::File => "file",
            Self::CommandLine => "command line",
        }
    }
}

/// The environment as far as it concerns us, files of `_FILE` variables already read.
#[derive(Debug, Clone, Default)]
pub struct Given(pub BTreeMap<String, (String, Origin)>);

impl Given {
    /// For tests and for values that are known to come from the environment.
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = pairs.into_iter().map(|(k, v)| (k.to_owned(), (v.to_owned(), Origin::Environment)));
        Self(owned.collect())
    }

    /// An empty variable counts as not given: compose passes `${X:-}` that way.
    pub fn get(&self, name: &str) -> Option<(&str, Origin)> {
        let (text, origin) = self.0.get(name)?;
        (!text.trim().is_empty()).then_some((text.as_str(), *origin))
    }
}

/// One option that cannot be used as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadOption {
    pub name: &'static str,
    /// What is wrong, with the bad value unless it is a secret.
    pub what: String,
    /// A value that would be good.
    pub example: &'static str,
}

impl std::fmt::Display for BadOption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; for example {}={}", self.name, self.what, self.name, self.example)
    }
}

/// Reads one value with envy, which stops at the first bad variable: so it is given one at a time.
pub(super) fn parse<T: DeserializeOwned>(doc: &OptionDoc, text: &str) -> Result<T, BadOption> {
    #[derive(Deserialize)]
    struct One<T> {
        value: T,
    }
    let pair = [("VALUE".to_owned(), text.trim().to_owned())];
    envy::from_iter::<_, One<T>>(pair).map(|one| one.value).map_err(|error| {
        let said = match error {
            envy::Error::Custom(said) => said,
            envy::Error::MissingValue(_) => "is empty".to_owned(),
        };
        // envy ends a number's message with the name of our stand-in variable.
        let said = said.split(" while parsing value").next().unwrap_or_default().to_owned();
        let what = if doc.secret { "cannot be used".to_owned() } else { explain(&said, text) };
        BadOption { name: doc.name, what, example: doc.example }
    })
}

/// Our own types quote the value in their message; numbers do not.
fn explain(said: &str, text: &str) -> String {
    if said.contains('`') { said.to_owned() } else { format!("`{text}` cannot be read: {said}") }
}

/// A table of options: each row becomes a field of `Config`, an [`OptionDoc`], and a step of `read`.
///
/// `name: Type = "ENV", "default", "example";` or, without a default, `name: Option<Type> = "ENV", none, "example";`.
/// A type named `Secret` is masked and can be given by a file.
macro_rules! options {
    ($( $(#[doc = $doc:literal])* $field:ident : $type:ty = $env:literal, $default:tt, $example:literal $(, $secret:ident)? ; )*) => {
        /// Every option with its value.
        #[derive(Debug, Clone)]
        pub struct Config { $( $(#[doc = $doc])* pub $field: $type, )* }

        /// The table, in the order of the documentation.
        pub const OPTIONS: &[OptionDoc] = &[ $( OptionDoc {
            name: $env,
            doc: concat!($($doc, "\n"),*),
            default: options!(@default $default),
            example: $example,
            secret: options!(@secret $($secret)?),
        }, )* ];

        /// Reads all options; reports every bad one.
        ///
        /// # Errors
        /// One [`BadOption`] for each value that cannot be read.
        pub fn read(given: &Given) -> Result<Config, Vec<BadOption>> {
            let mut bad = Vec::new();
            let mut docs = OPTIONS.iter();
            $( let $field = {
                let doc = docs.next().expect("the table and its reader have the same rows");
                options!(@read $default, doc, given, bad)
            }; )*
            match ($( $field, )*) {
                ($( Some($field), )*) if bad.is_empty() => Ok(Config { $( $field, )* }),
                _ => Err(bad),
            }
        }
    };
    (@default none) => { None };
    (@default $default:literal) => { Some($default) };
    (@secret) => { false };
    (@secret secret) => { true };
    (@read none, $doc:ident, $given:ident, $bad:ident) => {
        match $given.get($doc.name) {
            None => Some(None),
            Some((text, _)) => match parse($doc, text) {
                Ok(value) => Some(Some(value)),
                Err(error) => { $bad.push(error); None }
            },
        }
    };
    (@read $default:literal, $doc:ident, $given:ident, $bad:ident) => {
        match parse($doc, $given.get($doc.name).map_or($default, |(text, _)| text)) {
            Ok(value) => Some(value),
            Err(error) => { $bad.push(error); None }
        }
    };
}
pub(super) use options;
