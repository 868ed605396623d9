//! Values of the options that say how much is shown.

use serde::Deserialize;

use crate::model::pattern::Patterns;

/// A number, or `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AtMost(pub Option<usize>);

impl TryFrom<String> for AtMost {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.parse() {
            _ if text == "all" => Ok(Self(None)),
            Ok(most) if most > 0 => Ok(Self(Some(most))),
            _ => Err(format!("`{text}` is neither a number above 0 nor `all`")),
        }
    }
}

/// Names by pattern: a comma list in which `!` excludes and `*` stands for any part.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DatabaseNames(pub Patterns);

impl TryFrom<String> for DatabaseNames {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let words: Vec<_> = text.split(',').map(str::trim).collect();
        if words.iter().any(|word| word.trim_start_matches('!').is_empty()) {
            return Err(format!("`{text}` has an empty name"));
        }
        let (out, of): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| word.starts_with('!'));
        let exclude = out.into_iter().map(|word| word[1..].to_owned()).collect();
        let include = of.into_iter().filter(|word| *word != "*").map(ToOwned::to_owned).collect();
        Ok(Self(Patterns { include, exclude }))
    }
}

/// `on` or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Switch(pub bool);

impl TryFrom<String> for Switch {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" => Ok(Self(true)),
            "off" | "false" | "no" | "0" => Ok(Self(false)),
            _ => Err(format!("`{text}` is neither on nor off")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_number_or_all() {
        let read = |text: &str| AtMost::try_from(text.to_owned());
        assert_eq!((read("30"), read("all")), (Ok(AtMost(Some(30))), Ok(AtMost(None))));
        assert!(["0", "-1", "many"].iter().all(|text| read(text).is_err()));
    }

    #[test]
    fn names_are_included_or_excluded() {
        let read = |text: &str| DatabaseNames::try_from(text.to_owned()).map(|names| names.0);
        let takes = |text: &str| read(text).unwrap().take("kaspa_test");
        assert_eq!(
            ["*", "kaspa*", "kaspa", "!*_test", "*,!postgres"].map(takes),
            [true, true, false, false, true]
        );
        assert!(read("a,,b").is_err() && read("!").is_err());
    }
}
