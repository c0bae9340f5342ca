//! Whose a thing is: its name says it, since the API has no tags.

use std::fmt;

/// `streamverse.DEPLOYMENT.NAME`. Neither part has a dot, so that no two owners meet in one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RemoteName {
    /// The deployment.
    pub deployment: String,
    /// The name in it; of a fleet's pod also which one of the fleet it is: `NAME_7`.
    pub name: String,
}

/// Whose a thing of this name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// This deployment's, with this name in it.
    Ours(String),
    /// Another deployment's.
    Other(RemoteName),
    /// Nobody's: its name was given by people or other programs.
    Nobodys,
}

const PREFIX: &str = "streamverse.";

impl RemoteName {
    /// The name of something of a deployment.
    pub fn new(deployment: &str, name: &str) -> RemoteName {
        RemoteName { deployment: deployment.to_owned(), name: name.to_owned() }
    }

    /// What a name says. Of endpoints, ` -fb` at the end is RunPod's own mark of FlashBoot.
    pub fn parse(text: &str) -> Option<RemoteName> {
        let legal = |part: &str| {
            let inside = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "-_".contains(it);
            !part.is_empty() && part.chars().all(inside)
        };
        let rest = text.strip_prefix(PREFIX)?;
        let rest = rest.strip_suffix(" -fb").unwrap_or(rest);
        let (deployment, name) = rest.split_once('.')?;
        (legal(deployment) && legal(name)).then(|| RemoteName::new(deployment, name))
    }

    /// Whose a thing of this name is, as this deployment sees it.
    pub fn standing(text: &str, deployment: &str) -> Standing {
        match RemoteName::parse(text) {
            Some(it) if it.deployment == deployment => Standing::Ours(it.name),
            Some(it) => Standing::Other(it),
            None => Standing::Nobodys,
        }
    }
}

impl fmt::Display for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}.{}", self.deployment, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_owners_meet_in_one_name() {
        let names = [("a", "b-c"), ("a-b", "c"), ("a", "b_1")].map(|(d, n)| RemoteName::new(d, n));
        for name in &names {
            assert_eq!(RemoteName::parse(&name.to_string()).as_ref(), Some(name));
        }
        assert_eq!(RemoteName::standing("streamverse.one.main -fb", "one"), Standing::Ours("main".into()));
        assert_eq!(
            RemoteName::standing("streamverse.two.main", "one"),
            Standing::Other(RemoteName::new("two", "main"))
        );
        for text in [
            "main",
            "streamverse.one",
            "streamverse..x",
            "streamverse.A.b",
            "streamverse.a.b.c",
            "streamverse.a.",
        ] {
            assert_eq!(RemoteName::standing(text, "one"), Standing::Nobodys, "{text}");
        }
    }
}
