//! Content steering: what players can ask, and what both kinds of manifests can write.

use tfplugin_schema::Diagnostics;

use crate::media::channel::spec::{FastChannelSpec, FastChannelSpecView};

/// A pathway's name is no longer.
const LONGEST: usize = 64;

/// Judges the server's address and the name of the pathway.
pub(super) fn check(view: &FastChannelSpecView, out: &mut Diagnostics) {
    let Some(steering) = view.steering.known() else { return };
    if let Some(address) = steering.server_url.known()
        && let Some(why) = unusable(address)
    {
        out.error_at(
            FastChannelSpec::steering().server_url(),
            "No address of a steering server",
            format!("{why} Give the address that players ask, as https://steering.example/live."),
        );
    }
    if let Some(pathway) = steering.pathway.known() {
        let plain = |it: u8| it.is_ascii_alphanumeric() || b".-_".contains(&it);
        if pathway.is_empty() || pathway.len() > LONGEST || !pathway.bytes().all(plain) {
            out.error_at(
                FastChannelSpec::steering().pathway(),
                "No name of a pathway",
                "A PATHWAY-ID has the characters a-z, A-Z, 0-9, dot, hyphen and underscore alone \
                 (draft-pantos-hls-rfc8216bis section 4.4.6.2); here 1 to 64 of them.",
            );
        }
    }
}

/// Why nobody can ask there.
fn unusable(address: &str) -> Option<&'static str> {
    // Both manifests write it as it is.
    if !address.bytes().all(|it| it.is_ascii_graphic() && !b"\"<>".contains(&it)) {
        return Some("It has characters that stand in no address.");
    }
    let Ok(read) = url::Url::parse(address) else { return Some("It is no URL.") };
    if !["https", "http"].contains(&read.scheme()) || !read.has_host() {
        return Some("Players ask by https:// or http://.");
    }
    if !read.username().is_empty() || read.password().is_some() {
        return Some("Every viewer would read the password in it.");
    }
    if read.fragment().is_some() {
        return Some("What follows a # is never sent.");
    }
    None
}
