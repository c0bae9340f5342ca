//! The Lease that keeps a fleet controller single, on the real API server.

use std::path::Path;
use std::time::{Duration, Instant};

use streamverse_acceptance::cluster::Cluster;
use streamverse_fleet::{KubernetesLease, Lease as _};

const NAMESPACE: &str = "default";
const LASTS: Duration = Duration::from_secs(3);

async fn holder(kubeconfig: &Path, name: &str) -> KubernetesLease {
    KubernetesLease::by_kubeconfig(kubeconfig, NAMESPACE, "live-fleet-controller-c", name, LASTS)
        .await
        .unwrap()
}

#[test]
fn of_two_controllers_one_holds_the_lease_and_the_other_takes_it_over_when_it_ends() {
    let Some(cluster) = Cluster::shared() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (first, second) =
            (holder(cluster.kubeconfig(), "one").await, holder(cluster.kubeconfig(), "two").await);
        assert!(first.renew().await.unwrap() && first.held());
        assert!(!second.renew().await.unwrap() && !second.held());
        assert!(first.renew().await.unwrap(), "a holder renews");
        // The first is gone without a word: it stops by itself, and only then the second takes over.
        let began = Instant::now();
        let mut stopped = None;
        while !second.renew().await.unwrap() {
            assert!(!(first.held() && second.held()), "both hold it");
            if !first.held() {
                stopped.get_or_insert(began.elapsed());
            }
            assert!(began.elapsed() < Duration::from_secs(60), "nobody takes it over");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(!first.held() && stopped.is_some_and(|it| it < began.elapsed()), "{stopped:?}");
        assert!(!first.renew().await.unwrap(), "who lost it has it back");
        // Given back, it is the other's at once.
        second.release().await;
        assert!(!second.held());
        assert!(first.renew().await.unwrap());
    });
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/live-fleet-controller-c");
    let (_, lease) = cluster.request("GET", &path, None);
    assert_eq!(lease["spec"]["leaseTransitions"], 2, "{lease}");
    assert!(lease["spec"]["holderIdentity"].as_str().unwrap().starts_with("one_"), "{lease}");
    cluster.request("DELETE", &path, None);
}
