//! The labels of a sample.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// A name and a value.
pub type Label = (Cow<'static, str>, String);

/// Names and values. Shared, because the columns of a row have the same ones; and written once, because a reading is
/// shown many times.
#[derive(Debug, Clone, Default)]
pub struct Labels(Arc<Set>);

#[derive(Debug, Default)]
struct Set {
    labels: Box<[Label]>,
    written: OnceLock<String>,
}

impl Labels {
    /// What `write` makes of them, which is asked once only: there is one form in which they are kept.
    pub fn written(&self, write: impl FnOnce(&[Label]) -> String) -> &str {
        self.0.written.get_or_init(|| write(&self.0.labels))
    }
}

/// Names with the values in the same order; control characters become spaces, for some readers refuse a whole scrape
/// over one.
pub fn label_set<'a>(names: &[&'static str], texts: impl Iterator<Item = &'a str>) -> Labels {
    names.iter().zip(texts).map(|(name, text)| (Cow::Borrowed(*name), label_text(text))).collect()
}

fn label_text(text: &str) -> String {
    if text.contains(char::is_control) { text.replace(char::is_control, " ") } else { text.to_owned() }
}

impl FromIterator<Label> for Labels {
    fn from_iter<T: IntoIterator<Item = Label>>(labels: T) -> Self {
        Self(Arc::new(Set { labels: labels.into_iter().collect(), written: OnceLock::new() }))
    }
}

impl Deref for Labels {
    type Target = [Label];

    fn deref(&self) -> &[Label] {
        &self.0.labels
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.labels == other.0.labels
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.labels.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_a_label() {
        assert_eq!(label_text("a\nb\u{7f}c\u{1b}[0m"), "a b c [0m");
    }

    #[test]
    fn they_are_written_once_and_equal_by_what_they_say() {
        let labels = |text| label_set(&["name"], [text].into_iter());
        let (one, same) = (labels("a"), labels("a"));
        assert_eq!(
            (one.written(|_| "first".to_owned()), one.written(|_| "second".to_owned())),
            ("first", "first")
        );
        assert_eq!(one, same);
        assert_ne!(one, labels("b"));
    }
}
