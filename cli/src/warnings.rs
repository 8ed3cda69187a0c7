//! What an operator should look at, gathered while a command runs.

/// Most warnings that are kept: a server with a million strange keys is told of, not listed.
const MOST: usize = 20;

/// Sentences in the order in which they were found.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    kept: Vec<String>,
    more: u64,
}

impl Warnings {
    /// Adds a sentence without a full stop. One that is there already says nothing new.
    pub(crate) fn add(&mut self, warning: String) {
        if self.kept.contains(&warning) {
            return;
        }
        if self.kept.len() < MOST {
            self.kept.push(warning);
        } else {
            self.more += 1;
        }
    }

    /// All of them; where there are too many, the last says how many are left out.
    pub(crate) fn list(self) -> Vec<String> {
        let Self { mut kept, more } = self;
        if more > 0 {
            kept.push(format!("and {more} more"));
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::Warnings;

    #[test]
    fn too_many_are_counted_and_not_kept() {
        let mut warnings = Warnings::default();
        (0..25).for_each(|number| warnings.add(format!("number {number}")));
        warnings.add("number 3".to_owned());
        let list = warnings.list();
        assert_eq!((list.len(), list[19].as_str(), list[20].as_str()), (21, "number 19", "and 5 more"));
    }
}
