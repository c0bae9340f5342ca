//! Whether somebody who is rented elsewhere can reach a host at all, by what its name or address says.

use std::net::IpAddr;

use crate::platform::StoreUrl;

/// Why a host is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfReach {
    /// From elsewhere it is nobody, or somebody else: there is no way.
    Never(&'static str),
    /// There is a way only where the image brings one: a VPN.
    Private(&'static str),
}

/// Names that a cluster's own DNS alone answers (Kubernetes documentation, "DNS for Services and Pods"; the cluster's domain may
/// be another one, `.svc` is always in it).
const OF_A_CLUSTER: &[&str] = &[".svc", ".cluster.local"];

/// Why a host cannot be reached from elsewhere; `None` where nothing speaks against it.
///
/// Sources: RFC 6890 and RFC 6598 (special-purpose addresses), RFC 4193 (private IPv6), RFC 6761 and RFC 6762 (`localhost`, `.local`), and
/// ICANN's resolution 2024.07.29.06 (`.internal`).
pub fn out_of_reach(host: &str) -> Option<OutOfReach> {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    if let Ok(address) = host.parse::<IpAddr>() {
        return address_out_of_reach(address.to_canonical());
    }
    if host == "localhost" || host.ends_with(".localhost") {
        return Some(OutOfReach::Never("is each worker itself"));
    }
    if OF_A_CLUSTER.iter().any(|end| host.ends_with(end)) || host.contains(".svc.") {
        return Some(OutOfReach::Never("is a name that its own cluster alone knows"));
    }
    if host.ends_with(".local") {
        return Some(OutOfReach::Never("is a name that its own network alone knows"));
    }
    if host.ends_with(".internal") || host.ends_with(".home.arpa") {
        return Some(OutOfReach::Private("is a name of a private network"));
    }
    let short = !host.is_empty() && !host.contains('.');
    short.then_some(OutOfReach::Private("is a name without a domain, which its own network alone completes"))
}

fn address_out_of_reach(address: IpAddr) -> Option<OutOfReach> {
    let private = Some(OutOfReach::Private("is an address of a private network"));
    if address.is_loopback() || address.is_unspecified() {
        return Some(OutOfReach::Never("is each worker itself"));
    }
    match address {
        IpAddr::V4(it) if it.is_link_local() => Some(OutOfReach::Never("is an address of one link")),
        IpAddr::V6(it) if it.is_unicast_link_local() => Some(OutOfReach::Never("is an address of one link")),
        IpAddr::V4(it) if it.is_private() => private,
        // Shared address space, 100.64.0.0/10.
        IpAddr::V4(it) if it.octets()[0] == 100 && it.octets()[1] & 0xc0 == 64 => private,
        IpAddr::V6(it) if it.is_unique_local() => private,
        _ => None,
    }
}

/// The first host of a store that somebody who is rented elsewhere cannot reach, the certain ones first.
pub fn store_out_of_reach(url: &str) -> Option<(String, OutOfReach)> {
    let mut found: Vec<(String, OutOfReach)> = hosts(url)
        .into_iter()
        .filter_map(|host| {
            let why = out_of_reach(&host)?;
            Some((host, why))
        })
        .collect();
    found.sort_by_key(|(_, why)| matches!(why, OutOfReach::Private(_)));
    found.into_iter().next()
}

/// The hosts that a store's URL names: none of an S3 bucket without `endpoint`, which is Amazon's.
fn hosts(url: &str) -> Vec<String> {
    let Ok(StoreUrl::Remote { url, .. }) = StoreUrl::parse(url) else { return Vec::new() };
    let of = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, it)| it.into_owned());
    match url.scheme() {
        "s3" => {
            let endpoint = of("endpoint").and_then(|it| url::Url::parse(&it).ok());
            endpoint.and_then(|it| it.host_str().map(str::to_owned)).into_iter().collect()
        }
        "kafka" => {
            let brokers = of("brokers").unwrap_or_default();
            brokers
                .split(',')
                .filter_map(|it| url::Url::parse(&format!("kafka://{it}")).ok())
                .filter_map(|it| it.host_str().map(str::to_owned))
                .collect()
        }
        _ => url.host_str().map(str::to_owned).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_host_a_cluster_or_a_network_knows_is_out_of_reach() {
        for never in [
            "localhost",
            "kafka.localhost",
            "127.0.0.1",
            "127.8.9.1",
            "[::1]",
            "::1",
            "0.0.0.0",
            "::ffff:127.0.0.1",
            "169.254.169.254",
            "fe80::1",
            "kafka.default.svc",
            "kafka.default.svc.cluster.local",
            "a.cluster.local.",
            "kafka-0.kafka.media.svc.example.org",
            "Printer.LOCAL",
        ] {
            assert!(
                matches!(out_of_reach(never), Some(OutOfReach::Never(_))),
                "{never}: {:?}",
                out_of_reach(never)
            );
        }
        for private in [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "fd00::1",
            "minio",
            "db.corp.internal",
            "nas.home.arpa",
        ] {
            assert!(
                matches!(out_of_reach(private), Some(OutOfReach::Private(_))),
                "{private}: {:?}",
                out_of_reach(private)
            );
        }
        for reached in [
            "kafka.example.org",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "2001:db8::1",
            "localhost.example.org",
            "svc.example.org",
            "",
        ] {
            assert_eq!(out_of_reach(reached), None, "{reached}");
        }
    }

    #[test]
    fn every_host_of_a_store_counts() {
        let of = |url: &str| store_out_of_reach(url).map(|(host, _)| host);
        assert_eq!(of("s3://media?region=eu-west-1"), None);
        assert_eq!(of("s3://media?endpoint=https://s3.example.org"), None);
        assert_eq!(of("s3://media?endpoint=http://127.0.0.1:9000").as_deref(), Some("127.0.0.1"));
        assert_eq!(
            of("kafka://a.example.org:9092,localhost:9093?partitions=3").as_deref(),
            Some("localhost")
        );
        // The certain one is told.
        assert_eq!(of("kafka://10.0.0.1:9092,k.a.svc:9092").as_deref(), Some("k.a.svc"));
        assert_eq!(of("kafka://[fe80::1]:9092").as_deref(), Some("[fe80::1]"));
        assert_eq!(
            of("postgres://u@db.media.svc.cluster.local/d").as_deref(),
            Some("db.media.svc.cluster.local")
        );
        assert_eq!(of("file://default/media"), None);
    }
}
