//! Ids that a provider makes itself, for remote sides that want them from the caller.

/// An id that nothing else has: the prefix, a dash, and 128 random bits in letters and digits that every
/// remote side takes (`a`–`z`, `2`–`7`).
///
/// A create that is repeated after a crash must use the same id, or it makes a second object: save it before
/// the first call that has an effect, `cx.save(&plan.partial().set(Vm::id(), &id))`.
pub fn unique_id(prefix: &str) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bits = rand::random::<u128>();
    let mut id = format!("{prefix}-");
    for _ in 0..26 {
        id.push(char::from(LETTERS[(bits & 31) as usize]));
        bits >>= 5;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::unique_id;

    #[test]
    fn ids_differ_and_are_spelled_in_letters_and_digits() {
        let ids: std::collections::BTreeSet<String> = (0..1_000).map(|_| unique_id("vm")).collect();
        assert_eq!(ids.len(), 1_000);
        for id in ids {
            let letters = id.strip_prefix("vm-").unwrap();
            assert_eq!(letters.len(), 26);
            assert!(letters.chars().all(|c| c.is_ascii_lowercase() || ('2'..='7').contains(&c)), "{id}");
        }
    }
}
