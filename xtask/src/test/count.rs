//! What test programs say of themselves, added up.

/// What libtest said, over all test programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TestCount {
    programs: usize,
    passed: usize,
    failed: usize,
    ignored: usize,
    skipped: usize,
}

impl TestCount {
    pub(super) fn see(&mut self, line: &str) {
        // Our tests write this themselves when a command line tool is not there.
        if line.trim_start().starts_with("SKIPPED: ") {
            self.skipped += 1;
        }
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        self.programs += 1;
        for part in counts.split("; ") {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<usize>), words.next()) else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for TestCount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { programs, passed, failed, ignored, skipped } = self;
        write!(f, "{passed} passed, {failed} failed, {ignored} ignored in {programs} programs")?;
        if *skipped > 0 {
            write!(f, ", {skipped} SKIPPED")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_programs_are_added_up() {
        let mut count = TestCount::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "SKIPPED: terraform 1.5 is not here",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.20s",
        ] {
            count.see(line);
        }
        assert_eq!(count, TestCount { programs: 2, passed: 4, failed: 2, ignored: 1, skipped: 1 });
        assert_eq!(count.to_string(), "4 passed, 2 failed, 1 ignored in 2 programs, 1 SKIPPED");
    }
}
