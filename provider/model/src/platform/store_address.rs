//! URLs of remote stores, and the objects that a store puts on a site: where it is, and the secret that opens it.

use sha2::{Digest as _, Sha256};
use url::form_urlencoded::Serializer;

use super::object::{FilesObject, Isolation, Object, Resources, SecretObject, ServiceObject};
use super::owner::Name;
use super::store_url::StoreUrl;

/// The file, in the file set of the same name, that holds a remote store's URL.
const URL: &str = "url";

/// Makes a remote store's URL. Parameters without a value are left out.
///
/// `secret` is the owner of the secret, `KIND.NAME`.
pub fn remote_url(
    scheme: &str,
    authority: &str,
    path: &str,
    parameters: &[(&str, Option<String>)],
    secret: Option<String>,
) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    if let Some(secret) = secret {
        query.append_pair("secret", &secret);
    }
    let query = query.finish();
    let path = path.trim_matches('/');
    let mut url = format!("{scheme}://{}", bracketed(authority));
    if !path.is_empty() {
        url = format!("{url}/{path}");
    }
    if query.is_empty() { url } else { format!("{url}?{query}") }
}

/// `USER@HOST:PORT` with brackets around an address of IPv6 (RFC 3986 section 3.2.2).
fn bracketed(authority: &str) -> String {
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (format!("{user}@"), place),
        None => (String::new(), authority),
    };
    match place.rsplit_once(':') {
        Some((host, port)) if host.contains(':') && !host.contains(['[', ',']) => {
            format!("{user}[{host}]:{port}")
        }
        _ => authority.to_owned(),
    }
}

/// Whether a text is `HOST:PORT`, as clients of Kafka take a broker.
pub fn is_broker(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let named = !host.is_empty() && host.chars().all(|it| it.is_ascii_alphanumeric() || ".-_".contains(it));
    let six = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let numbered = six.is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    (named || numbered) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// `KIND.NAME.DIGEST`: a certificate in the secret of that owner, as the parameters `ca` and `certificate` name it.
pub fn certificate_in(secret: &str, pem: &str) -> String {
    format!("{secret}.{}", hex::encode(&Sha256::digest(pem.as_bytes())[..8]))
}

/// The keys of the secret that belongs to a remote store's URL: `login` where it has one, and what its TLS needs.
pub fn remote_keys(url: &StoreUrl, login: &[&'static str]) -> Vec<&'static str> {
    let StoreUrl::Remote { secret, certificates, .. } = url else { return Vec::new() };
    let mut keys = if secret.is_some() { login.to_vec() } else { Vec::new() };
    if certificates.ca.is_some() {
        keys.push("ca");
    }
    if certificates.own.is_some() {
        keys.extend(["certificate", "private-key"]);
    }
    keys
}

/// What a remote store has on its site: its URL and what else is no secret (`plain`) as files, so that an import finds
/// them, and its secret.
pub fn remote_store(
    url: &str,
    keys: &[&'static str],
    version: Option<i64>,
    plain: &[(&'static str, &str)],
) -> Vec<Object> {
    let plain = plain.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let files = std::iter::once((URL.to_owned(), url.to_owned())).chain(plain).collect();
    let mut objects = vec![Object::Files(FilesObject { name: Name::fixed("store"), files })];
    if !keys.is_empty() {
        objects.push(Object::Secret(SecretObject {
            name: Name::fixed("secret"),
            keys: keys.iter().map(|key| Name::fixed(key)).collect(),
            version: version.and_then(|it| u64::try_from(it).ok()).unwrap_or(0),
        }));
    }
    objects
}

/// The URL of a remote store, out of its objects.
pub fn remote_store_url(objects: &[Object]) -> Option<&str> {
    remote_store_file(objects, URL)
}

/// Another of its files.
pub fn remote_store_file<'a>(objects: &'a [Object], name: &str) -> Option<&'a str> {
    objects.iter().find_map(|object| match object {
        Object::Files(it) if it.name.as_str() == "store" => it.files.get(name).map(String::as_str),
        _ => None,
    })
}

/// The process that owns an embedded event log.
pub fn embedded_event_log(name: &str) -> Vec<Object> {
    vec![Object::Service(ServiceObject {
        name: Name::fixed("event-log"),
        target: "event-log".to_owned(),
        spec: serde_json::json!({ "name": name }),
        replicas: 1,
        ports: Vec::new(),
        credentials: Vec::new(),
        reach: Vec::new(),
        resources: Resources::default(),
        isolation: Isolation::Process,
        drain_seconds: 10,
    })]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_ipv6_stands_in_brackets() {
        for (scheme, authority, wanted) in [
            ("redis", "::1:6379", "redis://[::1]:6379"),
            ("postgres", "u@2001:db8::1:5432", "postgres://u@[2001:db8::1]:5432"),
            ("postgres", "u@db.example:5432", "postgres://u@db.example:5432"),
            ("kafka", "a:9092,b:9093", "kafka://a:9092,b:9093"),
            ("kafka", "[::1]:9092,b:9093", "kafka://[::1]:9092,b:9093"),
            ("s3", "media", "s3://media"),
        ] {
            let text = remote_url(scheme, authority, "", &[], None);
            assert_eq!(text, wanted);
            assert!(StoreUrl::parse(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_broker_is_a_host_and_a_port() {
        for good in ["a:9092", "kafka-0.example.org:1", "10.0.0.1:9092", "[::1]:9092"] {
            assert!(is_broker(good), "{good}");
        }
        for bad in
            ["a", "a:", "a:0", "a:99999", ":9092", "kafka://a:9092", "a b:1", "::1:9092", "a:1,b:2", "u@a:1"]
        {
            assert!(!is_broker(bad), "{bad}");
        }
    }

    #[test]
    fn a_remote_url_is_read_as_it_was_written() {
        let text = remote_url(
            "s3",
            "bucket",
            "a/b",
            &[("endpoint", Some("http://s3.local:9000".to_owned())), ("region", None)],
            Some("object-store.media".to_owned()),
        );
        let url = StoreUrl::parse(&text).unwrap();
        assert_eq!(url.ports(), [9000]);
        assert_eq!(url.secret().unwrap().name.as_str(), "media");
        assert_eq!(remote_keys(&url, &["password"]), ["password"]);
        let certificate = certificate_in("cache.main", "PEM");
        let text = remote_url(
            "rediss",
            "h:1",
            "0",
            &[("ca", Some(certificate.clone())), ("certificate", Some(certificate))],
            None,
        );
        let url = StoreUrl::parse(&text).unwrap();
        assert_eq!(remote_keys(&url, &["password"]), ["ca", "certificate", "private-key"]);
        let objects = remote_store(&text, &["secret-key"], Some(3), &[("access-key", "id")]);
        assert_eq!(remote_store_file(&objects, "access-key"), Some("id"));
        assert_eq!(remote_store_url(&objects), Some(text.as_str()));
    }
}
