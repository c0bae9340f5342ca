//! The definition of done, resource by resource, on a node: created with an empty plan after it, changed in place, repaired
//! after somebody emptied or removed it, imported into an empty plan, replaced under another name, destroyed without a
//! trace.

use streamverse_acceptance::{ADDRESS, Node};
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Id, Step, action, not_tainted};

use crate::kit::{asset, clip, stores};

/// A resource as this suite puts it to the test.
struct Subject<'a> {
    node: &'a Node,
    /// Its type, without `streamverse_`.
    kind: &'static str,
    /// What else must be there.
    beside: String,
    /// Its arguments but for `name`, before and after a change in place.
    before: String,
    after: String,
}

impl Subject<'_> {
    fn hcl(&self, name: &str, arguments: &str) -> String {
        format!(
            "{}{}resource \"streamverse_{}\" \"it\" {{\n  name = \"{name}\"\n  {arguments}\n}}\n",
            self.node.block(),
            self.beside,
            self.kind
        )
    }

    fn done(&self) -> Result<(), Failure> {
        let cli = Cli::terraform()?;
        let at = format!("streamverse_{}.it", self.kind);
        let owner = self.kind.replace('_', "-");
        let spoilt = |empty: bool| {
            let owner = owner.clone();
            move |_: &tfplugin_testing::cli::Context<'_>| {
                self.node.behind(&owner, "one", empty)?;
                Ok(())
            }
        };
        Case::new(&cli)
            .named(self.kind)
            .provider(ADDRESS, self.node.provider())
            .step(
                Step::apply(self.hcl("one", &self.before))
                    .named("create")
                    .plan(action(&at, Action::Create))
                    .state(not_tainted(&at)),
            )
            .step(
                Step::apply(self.hcl("one", &self.after))
                    .named("change in place")
                    .plan(action(&at, Action::Update)),
            )
            .step(
                Step::reapply()
                    .named("somebody emptied it")
                    .before(spoilt(true))
                    .plan(action(&at, Action::Update)),
            )
            .step(
                Step::reapply()
                    .named("somebody removed it")
                    .before(spoilt(false))
                    .plan(action(&at, Action::Create)),
            )
            .step(Step::import(&at, Id::attribute("name")).ignoring(&["timeouts"]))
            .step(
                Step::apply(self.hcl("two", &self.after))
                    .named("another name")
                    .plan(action(&at, Action::Replace))
                    .after(|_| {
                        let left = self.node.owners()?;
                        let old =
                            left.iter().any(|it| it.kind.as_str() == owner && it.name.as_str() == "one");
                        if old { Err("the old one is still there".into()) } else { Ok(()) }
                    }),
            )
            .check_destroyed(|_| self.node.nothing_left().map_err(Into::into))
            .run()
            .map(|_| ())
    }
}

fn done(
    kind: &'static str,
    beside: impl FnOnce(&Node) -> String,
    arguments: impl Fn(&Node, u32) -> String,
) -> Result<(), Failure> {
    let Some(node) = Node::start() else { return Ok(()) };
    let (beside, before, after) = (beside(&node), arguments(&node, 1), arguments(&node, 2));
    Subject { node: &node, kind, beside, before, after }.done()
}

fn nothing(_: &Node) -> String {
    String::new()
}

const OF_STORES: &str =
    "object_store = streamverse_object_store.media.url\n  catalogue = streamverse_catalogue.main.url";

#[test]
fn an_object_store_is_done() -> Result<(), Failure> {
    done("object_store", nothing, |_, number| format!("s3 = {{ bucket = \"media-{number}\" }}"))
}

#[test]
fn an_event_log_is_done() -> Result<(), Failure> {
    done("event_log", nothing, |_, number| {
        format!("kafka = {{ brokers = [\"a.example:9092\"], partitions = {number} }}")
    })
}

#[test]
fn a_catalogue_is_done() -> Result<(), Failure> {
    done("catalogue", nothing, |_, number| {
        format!("postgres = {{ host = \"h{number}.example\", user = \"u\", database = \"d\" }}")
    })
}

#[test]
fn a_cache_is_done() -> Result<(), Failure> {
    done("cache", nothing, |_, number| format!("redis = {{ host = \"cache.example\", database = {number} }}"))
}

#[test]
fn a_transcoder_is_done() -> Result<(), Failure> {
    done(
        "transcoder",
        |_| stores().to_owned(),
        |_, number| {
            format!("concurrency = {number}\n  event_log = streamverse_event_log.work.url\n  {OF_STORES}")
        },
    )
}

#[test]
fn an_origin_is_done() -> Result<(), Failure> {
    done(
        "origin",
        |_| stores().to_owned(),
        |node, number| format!("port = {}\n  memory = \"{}MiB\"\n  {OF_STORES}", node.ports[0], 32 * number),
    )
}

#[test]
fn an_edge_is_done() -> Result<(), Failure> {
    done("ats_edge", nothing, |node, number| {
        format!(
            "port = {}\n  origins = [{{ url = \"http://127.0.0.1:{}\" }}]\n  storage = \"64MiB\"\n  memory = \"32MiB\"\n  cache = {{ manifests = \"{number}s\" }}",
            node.ports[1], node.ports[0]
        )
    })
}

#[test]
fn a_web_player_is_done() -> Result<(), Failure> {
    done(
        "web_player",
        |_| stores().to_owned(),
        |node, number| {
            format!(
                "port = {}\n  title = \"Title {number}\"\n  catalogue = streamverse_catalogue.main.url\n  delivery = \"http://127.0.0.1:{}\"",
                node.ports[2], node.ports[1]
            )
        },
    )
}

#[test]
fn a_drm_config_is_done() -> Result<(), Failure> {
    done("drm_config", nothing, |_, number| {
        format!(
            "systems = [\"clearkey\"]\n  crypto_period = \"{number}m\"\n  key_service = \"keys://127.0.0.1:1?secret=key-service.main\""
        )
    })
}

#[test]
fn a_vod_asset_is_done() -> Result<(), Failure> {
    let Some(node) = Node::start() else { return Ok(()) };
    let (file, digest) = clip(&node, "film.mp4", 3);
    // Everything beside the asset is what the other tests have; the asset itself is this suite's.
    let all = asset(&file, &digest);
    let (beside, _) = all.split_once("resource \"streamverse_vod_asset\"").unwrap();
    let arguments = |number: u32| {
        format!(
            "title = \"Title {number}\"\n  ladder = streamverse_transcode_ladder.small.definition\n  transcoder = streamverse_transcoder.main.name\n  source = {{ url = \"file://{}\", digest = \"{digest}\" }}",
            file.display()
        )
    };
    Subject {
        node: &node,
        kind: "vod_asset",
        beside: format!("{}{beside}", stores()),
        before: arguments(1),
        after: arguments(2),
    }
    .done()
}

/// A channel whose assets nobody made: it is there, and ready once something can be shown.
fn channel(port: u16, title: &str) -> String {
    format!(
        "port = {port}\n  title = \"{title}\"\n  start = \"2026-11-26T12:00:00Z\"\n  slate = \"slate\"\n  sources = {{ film = {{ duration_ms = 60000 }}, slate = {{}} }}\n  schedule = {{ order = {{ items = [\"film\"] }} }}\n  timeouts = {{ create = \"4s\", update = \"4s\" }}\n  {OF_STORES}"
    )
}

#[test]
fn a_channel_is_done() -> Result<(), Failure> {
    done(
        "fast_channel",
        |_| stores().to_owned(),
        |node, number| channel(node.ports[0], &format!("Title {number}")),
    )
}

#[test]
fn a_guide_is_done() -> Result<(), Failure> {
    done(
        "epg",
        |node| {
            format!(
                "{}resource \"streamverse_fast_channel\" \"one\" {{\n  name = \"one\"\n  {}\n}}\n",
                stores(),
                channel(node.ports[0], "One")
            )
        },
        |node, number| {
            format!(
                "port = {}\n  days_ahead = {number}\n  channels = [streamverse_fast_channel.one.definition]",
                node.ports[1]
            )
        },
    )
}
