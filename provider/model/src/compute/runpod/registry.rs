//! A registry credential: what its name at RunPod says of it, since RunPod shows nothing else.

use sha2::{Digest as _, Sha256};

/// A mark of a login: who logs in, and which version or place of the password; nothing of the password itself. It is part of the
/// credential's name at RunPod, so that a changed login is another credential, which may be made before the one that is in
/// use is deleted, and a lost answer is found again.
pub fn login_mark(username: &str, version: Option<i64>, reference: Option<&str>) -> String {
    let version = version.map(|it| it.to_string()).unwrap_or_default();
    let text = format!("{username}\n{version}\n{}", reference.unwrap_or_default());
    hex::encode(&Sha256::digest(text.as_bytes())[..4])
}

#[cfg(test)]
mod tests {
    use super::login_mark;

    #[test]
    fn another_login_has_another_mark() {
        let one = login_mark("u", Some(1), None);
        assert_eq!(one, login_mark("u", Some(1), None));
        for other in [
            login_mark("v", Some(1), None),
            login_mark("u", Some(2), None),
            login_mark("u", None, Some("env:X")),
        ] {
            assert_ne!(one, other);
        }
    }
}
