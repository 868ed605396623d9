//! How an error and its causes read.

/// An error and its causes on one line, outermost first.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut inner = error;
    while let Some(source) = inner.source() {
        text = format!("{text}: {source}");
        inner = source;
    }
    text
}
