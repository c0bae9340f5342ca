//! Plays the host's side of go-plugin: starts a plugin process, reads its line, connects as the CLI does.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ResolvesClientCert};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion, version};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

pub(crate) const COOKIE: (&str, &str) =
    ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2");

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The example provider. A `cargo test` of one target alone does not build examples, so an old one is built anew.
pub(crate) fn hello() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let path = test.ancestors().nth(2).unwrap().join("examples").join("hello_raw");
        let built = |path: &std::path::Path| path.metadata().and_then(|file| file.modified()).ok();
        // `cargo xtask test` builds examples too, and not always last.
        if std::env::var_os("XTASK_BUILT").is_none() && built(&path) < built(&test) {
            let mut build = std::process::Command::new(env!("CARGO"));
            build
                .args(["build", "--quiet", "--example", "hello_raw"])
                .current_dir(env!("CARGO_MANIFEST_DIR"));
            if !cfg!(debug_assertions) {
                build.arg("--release");
            }
            assert!(build.status().unwrap().success(), "the example hello_raw does not build");
        }
        path
    })
}

/// A plugin process after its handshake.
pub(crate) struct Plugin {
    pub(crate) child: Child,
    pub(crate) line: String,
    pub(crate) stdout: BufReader<ChildStdout>,
    pub(crate) stderr: ChildStderr,
    /// Holds the sockets of this process only, so that a test sees whether they are removed.
    pub(crate) sockets: tempfile::TempDir,
}

impl Plugin {
    /// Starts the example as Terraform does, with these variables besides.
    pub(crate) async fn start(args: &[&str], variables: &[(&str, &str)]) -> Plugin {
        let sockets = tempfile::tempdir().unwrap();
        let mut child = Command::new(hello())
            .args(args)
            .env_clear()
            .env(COOKIE.0, COOKIE.1)
            .env("PLUGIN_PROTOCOL_VERSIONS", "5,6")
            .env("PLUGIN_MIN_PORT", "10000")
            .env("PLUGIN_MAX_PORT", "25000")
            .env("PLUGIN_UNIX_SOCKET_DIR", sockets.path())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = child.stderr.take().unwrap();
        let mut line = String::new();
        timeout(PATIENCE, stdout.read_line(&mut line)).await.expect("no handshake line").unwrap();
        Plugin { child, line, stdout, stderr, sockets }
    }

    pub(crate) async fn start_for(host: &HostIdentity) -> Plugin {
        Plugin::start(&[], &[("PLUGIN_CLIENT_CERT", &host.pem)]).await
    }

    /// Network, address, certificate.
    pub(crate) fn parts(&self) -> (&str, &str, Vec<u8>) {
        use base64::Engine as _;
        let parts: Vec<_> = self.line.trim_end_matches('\n').split('|').collect();
        let [_, _, network, address, "grpc", certificate] = parts[..] else { panic!("{}", self.line) };
        (network, address, base64::engine::general_purpose::STANDARD_NO_PAD.decode(certificate).unwrap())
    }

    /// Exit code, what else came on stdout, all of stderr.
    pub(crate) async fn wait(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        let wait = async {
            self.stdout.read_to_string(&mut out).await.unwrap();
            self.stderr.read_to_string(&mut err).await.unwrap();
            self.child.wait().await.unwrap().code()
        };
        let code = timeout(PATIENCE, wait).await.expect("the process does not end");
        (code, out, err)
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) async fn connect(
        &self,
        host: Option<&HostIdentity>,
    ) -> Result<Channel, tonic::transport::Error> {
        self.connect_with(host.map(|host| host.config(&self.parts().2))).await
    }

    pub(crate) async fn connect_with(
        &self,
        tls: Option<ClientConfig>,
    ) -> Result<Channel, tonic::transport::Error> {
        let (network, address, _) = self.parts();
        channel(network, address, tls).await
    }
}

pub(crate) async fn channel(
    network: &str,
    address: &str,
    tls: Option<ClientConfig>,
) -> Result<Channel, tonic::transport::Error> {
    let tls = tls.map(|config| tokio_rustls::TlsConnector::from(Arc::new(config)));
    let (network, address) = (network.to_owned(), address.to_owned());
    let connector = tower::service_fn(move |_| {
        let (network, address, tls) = (network.clone(), address.clone(), tls.clone());
        async move {
            let plain: Box<dyn Stream> = match network.as_str() {
                "unix" => Box::new(UnixStream::connect(address).await?),
                _ => Box::new(TcpStream::connect(address).await?),
            };
            let stream: Box<dyn Stream> = match tls {
                None => plain,
                Some(tls) => Box::new(tls.connect(ServerName::try_from("localhost").unwrap(), plain).await?),
            };
            Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(stream))
        }
    });
    let endpoint = Endpoint::from_static("http://localhost").connect_timeout(PATIENCE).timeout(PATIENCE);
    endpoint.connect_with_connector(connector).await
}

trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for T {}

/// A host's certificate as go-plugin makes it: a P-521 CA, signed by itself, for localhost.
pub(crate) struct HostIdentity {
    pub(crate) pem: String,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl HostIdentity {
    pub(crate) fn new() -> HostIdentity {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        HostIdentity {
            pem: certificate.pem(),
            certificate: certificate.into(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        }
    }

    pub(crate) fn config(&self, server: &[u8]) -> ClientConfig {
        self.config_of(server, &[&version::TLS13, &version::TLS12], &self.key)
    }

    pub(crate) fn config_for_tls12(&self, server: &[u8]) -> ClientConfig {
        self.config_of(server, &[&version::TLS12], &self.key)
    }

    /// Our certificate, shown by someone who has another key.
    pub(crate) fn stolen(&self, server: &[u8], thief: &HostIdentity) -> ClientConfig {
        self.config_of(server, &[&version::TLS13], &thief.key)
    }

    fn config_of(
        &self,
        server: &[u8],
        versions: &[&'static SupportedProtocolVersion],
        key: &PrivateKeyDer<'static>,
    ) -> ClientConfig {
        let crypto = crypto();
        let key = crypto.key_provider.load_private_key(key.clone_key()).unwrap();
        let certified = Arc::new(CertifiedKey::new(vec![self.certificate.clone()], key));
        let mut config = ClientConfig::builder_with_provider(crypto)
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Announced(server.to_vec())))
            .with_client_cert_resolver(Arc::new(Always(certified)));
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

/// A host that shows no certificate.
pub(crate) fn anonymous(server: &[u8]) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(crypto())
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Announced(server.to_vec())))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

fn crypto() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Trusts exactly the certificate of the handshake line. What a Go host makes of it is for the test with one.
#[derive(Debug)]
struct Announced(Vec<u8>);

impl ServerCertVerifier for Announced {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match end_entity.as_ref() == self.0 {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(rustls::Error::General("not the announced certificate".to_owned())),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &crypto().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &crypto().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        crypto().signature_verification_algorithms.supported_schemes()
    }
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
