//! How a cluster is reached, and what it is told about images and networks.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use streamverse_model::platform::Name;

/// A cluster as a site.
#[derive(Clone, Debug)]
pub struct KubernetesConfig {
    /// The site's name.
    pub site: Name,
    /// The namespace of everything that is made. It is made where it is missing, and stays.
    pub namespace: String,
    /// Images by what runs in them: `streamverse`, and each engine's name.
    pub images: BTreeMap<String, Image>,
    /// How public endpoints are offered.
    pub expose: Expose,
    /// How the API server is reached.
    pub access: Access,
}

/// How the API server is reached.
#[derive(Clone, Debug)]
pub enum Access {
    /// A kubeconfig file, with whatever it says: certificates, tokens, exec plugins.
    Kubeconfig {
        /// The file; `KUBECONFIG` or `~/.kube/config` where none is given.
        path: Option<PathBuf>,
        /// One of its contexts; the current one where none is given.
        context: Option<String>,
    },
    /// An address and a way to prove who we are, from other resources of the same apply.
    Direct {
        /// `https://HOST:PORT`.
        host: String,
        /// Its certificate authority, PEM; the system's where none is given.
        certificate_authority: Option<String>,
        /// A bearer token.
        token: Option<Token>,
        /// A program that gives one.
        exec: Option<Exec>,
    },
    /// The service account of the pod in which we run.
    InCluster,
}

/// A bearer token, which Debug does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A program that prints an `ExecCredential` (client-go credential plugins, `client.authentication.k8s.io`).
/// Debug shows neither arguments nor environment.
#[derive(Clone, PartialEq, Eq)]
pub struct Exec {
    /// `client.authentication.k8s.io/v1`.
    pub api_version: String,
    /// The program.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, besides ours.
    pub env: BTreeMap<String, String>,
}

impl fmt::Debug for Exec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exec").field("command", &self.command).finish_non_exhaustive()
    }
}

/// How public endpoints are offered to those outside of the cluster: the type of their Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expose {
    /// Not by us: a Gateway or an Ingress of yours leads to the Service.
    ClusterIp,
    /// On a port of every node.
    NodePort,
    /// By the cloud's load balancer.
    #[default]
    LoadBalancer,
}

impl Expose {
    /// As in a Service's `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Expose::ClusterIp => "ClusterIP",
            Expose::NodePort => "NodePort",
            Expose::LoadBalancer => "LoadBalancer",
        }
    }

    /// Reads `cluster_ip`, `node_port` or `load_balancer`.
    pub fn parse(text: &str) -> Option<Expose> {
        Some(match text {
            "cluster_ip" => Expose::ClusterIp,
            "node_port" => Expose::NodePort,
            "load_balancer" => Expose::LoadBalancer,
            _ => return None,
        })
    }
}

/// An image by digest, so that what was checked is what runs: `REGISTRY/NAME[:TAG]@sha256:DIGEST`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image(String);

impl Image {
    /// Reads a reference with a digest.
    ///
    /// # Errors
    /// When there is no digest, or it is not 64 hexadecimal digits; in words.
    pub fn parse(text: &str) -> Result<Image, String> {
        let digest = text.split_once("@sha256:").map(|(_, digest)| digest);
        let legal = |digest: &str| {
            digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let spaced = text.chars().any(|c| c.is_whitespace() || c.is_control());
        if text.starts_with('@') || spaced || !digest.is_some_and(legal) {
            return Err(format!(
                "{text:?} is no image by digest: give NAME:TAG@sha256: and 64 hexadecimal digits"
            ));
        }
        Ok(Image(text.to_owned()))
    }

    /// The whole reference.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag beside the digest: for an engine the version that its configuration is rendered for.
    pub fn tag(&self) -> Option<&str> {
        let name = self.0.split('@').next()?;
        let last = name.rsplit('/').next()?;
        last.split_once(':').map(|(_, tag)| tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_a_digest_and_may_have_a_tag() {
        let digest = "0".repeat(64);
        let image = Image::parse(&format!("registry.example:5000/ats:9.2.9@sha256:{digest}")).unwrap();
        assert_eq!(image.tag(), Some("9.2.9"));
        assert_eq!(Image::parse(&format!("r/ats@sha256:{digest}")).unwrap().tag(), None);
        for bad in ["r/ats:9", "r/ats@sha256:12", &format!("r/a b@sha256:{digest}")] {
            assert!(Image::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_is_not_printed() {
        assert!(!format!("{:?}", Token("hunter2".to_owned())).contains("hunter2"));
    }
}
