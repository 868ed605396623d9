//! Names by pattern, where `*` stands for any part of a name.

/// Which names are taken: all, or those that a pattern of `include` fits; and none that one of `exclude` fits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    pub include: Vec<String>,
    pub exclude: Vec<String>,
}

impl Patterns {
    pub fn take(&self, name: &str) -> bool {
        let fits_one = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, name));
        (self.include.is_empty() || fits_one(&self.include)) && !fits_one(&self.exclude)
    }
}

/// Whether a pattern fits a whole name.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(head) else { return false };
    // The star takes nothing, or one character more than that.
    let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.any(|at| fits(tail, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_part() {
        let rows = [
            ("kaspa", "kaspa", true),
            ("kaspa", "kaspa2", false),
            ("kaspa*", "kaspa", true),
            ("*_test", "a_test", true),
            ("*_test", "a_tests", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "acb", false),
            ("*", "", true),
            ("ü*", "über", true),
        ];
        for (pattern, name, want) in rows {
            assert_eq!(fits(pattern, name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_excluded_is_out_whatever_includes_it() {
        let all = Patterns::default();
        let some = Patterns { include: vec!["k*".to_owned()], exclude: vec!["*_old".to_owned()] };
        assert!(all.take("postgres"));
        assert_eq!(["kaspa", "kaspa_old", "postgres"].map(|name| some.take(name)), [true, false, false]);
    }
}
