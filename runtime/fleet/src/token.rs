//! Tokens of enrolment: what an instance is given as plain environment, so that its worker can prove, once, that this
//! controller launched it.
//!
//! A token is the version, when it runs out, and HMAC-SHA256 over that and the instance's name: it is worth nothing for
//! another instance, later, or at another controller. That it is of use once is not its own doing: who enrolled is a record.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use streamverse_model::compute::NAME_LIMIT;

/// How long a token is good for: until the image is pulled and the container runs, on a slow host.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);
const VERSION: u8 = 1;
/// Version, moment, HMAC.
const LENGTH: usize = 1 + 8 + 32;
/// Characters of a token: base64 without padding.
const TEXT: usize = LENGTH.div_ceil(3) * 4 - 1;

/// Why a token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is none of this controller's for this name.
    Wrong,
    /// It was one, and has run out.
    Expired,
}

/// Makes and reads the tokens of one controller. It does not print.
pub struct Tokens(hmac::Key);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    pub(crate) fn new(key: &[u8]) -> Tokens {
        Tokens(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// A token for the instance, good until then, in milliseconds since the epoch.
    pub fn make(&self, worker: &str, until_ms: u64) -> String {
        let mac = hmac::sign(&self.0, &signed(worker, until_ms));
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(VERSION);
        bytes.extend_from_slice(&until_ms.to_be_bytes());
        bytes.extend_from_slice(mac.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether this is a token for the instance, and good now. The comparison takes the same time wherever it differs.
    ///
    /// # Errors
    /// Why not. Only who has a real token learns that it ran out.
    pub fn check(&self, token: &str, worker: &str, now_ms: u64) -> Result<(), Refused> {
        if token.len() != TEXT || worker.len() > NAME_LIMIT {
            return Err(Refused::Wrong);
        }
        // Strict: each token has one way to be written.
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Refused::Wrong)?;
        let (version, rest) = bytes.split_first().ok_or(Refused::Wrong)?;
        let (until, mac) = rest.split_first_chunk::<8>().ok_or(Refused::Wrong)?;
        let until_ms = u64::from_be_bytes(*until);
        let ours = hmac::verify(&self.0, &signed(worker, until_ms), mac).is_ok();
        match (*version == VERSION && ours, now_ms < until_ms) {
            (false, _) => Err(Refused::Wrong),
            (true, false) => Err(Refused::Expired),
            (true, true) => Ok(()),
        }
    }
}

/// What is signed: the moment has a fixed length, so no two pairs give the same bytes.
fn signed(worker: &str, until_ms: u64) -> Vec<u8> {
    [&[VERSION], &until_ms.to_be_bytes()[..], worker.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_700_000_000_000;
    const NAME: &str = "sv--prod--encode--a--7";

    #[test]
    fn a_token_opens_for_its_name_and_until_its_time_alone() {
        let tokens = Tokens::new(&[7; 32]);
        let token = tokens.make(NAME, NOW + 1000);
        assert_eq!(token.len(), TEXT);
        assert_eq!(tokens.check(&token, NAME, NOW), Ok(()));
        assert_eq!(tokens.check(&token, NAME, NOW + 1000), Err(Refused::Expired));
        assert_eq!(tokens.check(&token, "sv--prod--encode--a--8", NOW), Err(Refused::Wrong));
        assert_eq!(Tokens::new(&[8; 32]).check(&token, NAME, NOW), Err(Refused::Wrong));
        assert_eq!(tokens.check(&Tokens::new(&[8; 32]).make(NAME, 5), NAME, NOW), Err(Refused::Wrong));
    }

    proptest! {
        #[test]
        fn whatever_is_sent_for_a_token_opens_nothing(token in "\\PC{0,80}", worker in "\\PC{0,200}", now: u64) {
            prop_assert!(Tokens::new(&[7; 32]).check(&token, &worker, now).is_err());
        }

        #[test]
        fn a_token_that_was_changed_anywhere_opens_nothing(at in 0..TEXT, with in "[A-Za-z0-9_-]", until: u64) {
            let tokens = Tokens::new(&[7; 32]);
            let token = tokens.make(NAME, until);
            let mut changed = token.clone();
            changed.replace_range(at..=at, &with);
            prop_assume!(changed != token);
            prop_assert_eq!(tokens.check(&changed, NAME, 0), Err(Refused::Wrong));
        }

        #[test]
        fn a_token_opens_at_every_moment_before_its_own_and_at_none_after(until in 1u64.., now: u64) {
            let tokens = Tokens::new(&[7; 32]);
            let found = tokens.check(&tokens.make(NAME, until), NAME, now);
            prop_assert_eq!(found, if now < until { Ok(()) } else { Err(Refused::Expired) });
        }
    }
}
