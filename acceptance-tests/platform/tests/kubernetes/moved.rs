//! A platform that moves from a node to a cluster: another `site` is another resource, nothing of the old one stays, and
//! what lies in shared stores is nobody's to lose.

use streamverse_acceptance::cluster::Cluster;
use streamverse_acceptance::{ADDRESS, Node};
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Step, action, replaced_because_of, value};

use crate::hcl::{binary, block, stores};
use crate::lifecycle::nothing_left;

#[test]
fn what_moves_from_a_node_to_a_cluster_is_there_whole_and_leaves_nothing_behind() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let Some(node) = Node::start() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let namespace = &cluster.namespace("moved");
    let block = block(cluster, namespace).replace("/nowhere/node.sock", &node.socket().display().to_string());
    let [port, ..] = node.ports;
    let config = |site: &str| {
        let stores = stores(1).replace("  name", &format!("  site = \"{site}\"\n  name"));
        format!(
            "{block}{stores}resource \"streamverse_web_player\" \"main\" {{\n  name = \"main\"\n  site = \"{site}\"\n  port = {port}\n  catalogue = streamverse_catalogue.main.url\n  delivery = \"http://edge.example\"\n  timeouts = {{ create = \"10s\" }}\n}}\n"
        )
    };
    let store = "streamverse_object_store.media";
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        // The catalogue is nowhere, so the page of the node may say that it is not ready.
        .step(Step::apply(config("here")).plan(action(store, Action::Create)))
        .step(
            Step::apply(config("default"))
                .named("to the cluster")
                .plan(action(store, Action::Replace))
                .plan(replaced_because_of(store, "site"))
                .plan(replaced_because_of("streamverse_web_player.main", "site"))
                // It is the same bucket under the same address: nobody's objects were touched.
                .state(value(store, "s3.bucket", "media"))
                .after(|_| {
                    node.nothing_left()?;
                    for (kind, name) in [
                        ("secrets", "test-object-store-media-secret"),
                        ("secrets", "test-catalogue-main-secret"),
                        ("configmaps", "test-event-log-work-files-store"),
                    ] {
                        let (status, live) = cluster.request(
                            "GET",
                            &format!("/api/v1/namespaces/{namespace}/{kind}/{name}"),
                            None,
                        );
                        assert_eq!(status, 200, "{live}");
                    }
                    // A secret's value is sent again, for no site answers with it.
                    let (_, secret) = cluster.request(
                        "GET",
                        &format!("/api/v1/namespaces/{namespace}/secrets/test-object-store-media-secret"),
                        None,
                    );
                    assert!(
                        secret["data"]["secret-key"].is_string() && secret["data"]["access-key"].is_string()
                    );
                    Ok(())
                }),
        )
        .step(
            Step::apply(config("here"))
                .named("and back")
                .plan(action(store, Action::Replace))
                .after(|_| nothing_left(cluster, namespace).map_err(Into::into)),
        )
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn a_store_of_a_node_does_not_move_to_a_cluster_that_keeps_nothing() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let Some(node) = Node::start() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let block = block(cluster, &cluster.namespace("unmoved"))
        .replace("/nowhere/node.sock", &node.socket().display().to_string());
    let config = |site: &str| {
        format!(
            "{block}resource \"streamverse_object_store\" \"media\" {{\n  name = \"media\"\n  site = \"{site}\"\n}}\n"
        )
    };
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(Step::apply(config("here")))
        // Refused while planning: what is in it was never at risk.
        .step(Step::apply(config("default")).expect_plan_error("(?s)keeps nothing by itself"))
        .step(Step::apply(config("here")).named("it is as it was"))
        .check_destroyed(|_| node.nothing_left().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn an_asset_that_moves_keeps_what_was_made_of_it_where_the_new_one_comes_first() -> Result<(), Failure> {
    let Some(cluster) = Cluster::shared() else { return Ok(()) };
    let cli = Cli::terraform()?;
    let (one, two) = (&cluster.namespace("asset-one"), &cluster.namespace("asset-two"));
    // Two clusters, as far as the provider can tell.
    let other = block(cluster, two);
    let other =
        other.split_once("kubernetes = {").and_then(|(_, rest)| rest.split_once("\n    }\n")).unwrap().0;
    let block = block(cluster, one).replace(
        "here = { node = { socket = \"/nowhere/node.sock\" } }",
        &format!("other = {{\n      kubernetes = {{{other}\n    }}"),
    );
    let worker = |site: &str| {
        format!(
            "resource \"streamverse_transcoder\" \"{site}\" {{\n  name = \"main\"\n  site = \"{site}\"\n  event_log = \"kafka://kafka.example:9092?partitions=12&replication=3\"\n  object_store = \"s3://media?region=us-east-1\"\n  catalogue = \"postgres://u@db.example:5432/c\"\n}}\n"
        )
    };
    let config = |site: &str| {
        format!(
            "{block}{}{}resource \"streamverse_transcode_ladder\" \"small\" {{\n  video = [{{ name = \"180p\", height = 180, bit_rate = 200000 }}]\n  audio = [{{ name = \"stereo\" }}]\n}}\nresource \"streamverse_vod_asset\" \"film\" {{\n  name = \"film\"\n  site = \"{site}\"\n  source = {{ url = \"s3://media/film.mp4\", digest = \"sha256:{}\" }}\n  ladder = streamverse_transcode_ladder.small.definition\n  transcoder = \"main\"\n  depends_on = [streamverse_transcoder.default, streamverse_transcoder.other]\n  lifecycle {{\n    create_before_destroy = true\n  }}\n}}\n",
            worker("default"),
            worker("other"),
            "a".repeat(64)
        )
    };
    let at = "streamverse_vod_asset.film";
    let jobs = |namespace: &str| {
        let (_, list) = cluster.request("GET", &format!("/apis/batch/v1/namespaces/{namespace}/jobs"), None);
        list["items"].as_array().map_or(0, Vec::len)
    };
    Case::new(&cli)
        .provider(ADDRESS, binary("terraform-provider-streamverse"))
        .step(Step::apply(config("default")).plan(action(at, Action::Create)))
        .step(
            Step::apply(config("other"))
                .plan(replaced_because_of(at, "site"))
                .expect_warning("(?s)What was made is removed before it is made again.*create_before_destroy")
                // The old one is taken away without the job that would remove the objects.
                .expect_warning("(?s)What the asset made stays.*other")
                .after(|_| {
                    assert_eq!((jobs(one), jobs(two)), (0, 1));
                    Ok(())
                }),
        )
        .check_destroyed(|_| {
            nothing_left(cluster, one)?;
            nothing_left(cluster, two).map_err(Into::into)
        })
        .run()
        .map(|_| ())
}
