//! The whole definition of done for each resource: create, no second plan, change in place, what another hand changed, import, another
//! name, a lost answer, an empty account.

use serde_json::{Value, json};
use streamverse_runpod_stand_in::StandIn;
use tfplugin_testing::cli::{Action, Case, Cli, Failure, Id, Step, action, not_tainted};

use crate::kit::{PASSWORD, block, case, only, text};

struct Subject {
    /// The resource.
    resource: &'static str,
    /// The kind in the ledger, and its path.
    kind: &'static str,
    path: &'static str,
    before: String,
    after: String,
    /// What `after` must have made of it.
    is: Value,
    /// What another hand changes besides the name, and how it was; null where RunPod changes nothing of it.
    spoil: Value,
    /// What import cannot know.
    unknown: &'static [&'static str],
}

impl Subject {
    fn hcl(&self, block: &str, name: &str, arguments: &str) -> String {
        format!("{block}resource \"{}\" \"it\" {{\n  name = \"{name}\"\n  {arguments}\n}}\n", self.resource)
    }

    fn done(&self) -> Result<(), Failure> {
        let cli = Cli::terraform()?;
        let it = &StandIn::start();
        let block = &block(it);
        let at = &format!("{}.it", self.resource);
        let id = std::cell::RefCell::new(String::new());
        let ours = |name: &str| {
            let all = it.things(self.kind);
            let prefix = format!("streamverse.test.{name}");
            let fits = |name: &str| name == prefix || name.starts_with(&format!("{prefix}_"));
            let mut found: Vec<Value> = all.into_iter().filter(|one| fits(&text(one, "name"))).collect();
            assert!(found.len() < 2, "{found:#?}");
            found.pop()
        };
        let changed = |body: &Value| {
            let (status, told) = it.api("PATCH", &format!("{}/{}", self.path, id.borrow()), Some(body));
            assert_eq!(status, 200, "{told}");
        };
        let change = if self.resource == "streamverse_runpod_registry_credential" {
            Action::Replace
        } else {
            Action::Update
        };
        let mut case: Case<'_> = case(&cli)
            .named(self.resource)
            .step(
                // The answer of the first create is lost.
                Step::apply(self.hcl(block, "one", &self.before))
                    .named("create")
                    .before(|_| {
                        it.settings(&json!({ "list_lag_ms": 300 }));
                        it.faults(&json!([{ "method": "POST", "path": self.path, "what": "lose" }]));
                        Ok(())
                    })
                    .plan(action(at, Action::Create))
                    .state(not_tainted(at))
                    .after(|_| {
                        let one = ours("one").unwrap();
                        *id.borrow_mut() = text(&one, "id");
                        let made = it
                            .account()
                            .entries
                            .iter()
                            .filter(|one| one.event == "created" && one.name.contains(".one"))
                            .count();
                        assert_eq!((made, it.clear_faults()), (1, 0), "{:?}", it.calls());
                        Ok(())
                    }),
            )
            .step(
                Step::apply(self.hcl(block, "one", &self.after))
                    .named("change")
                    .plan(action(at, change))
                    .after(|_| {
                        let one = ours("one").unwrap();
                        for (member, value) in self.is.as_object().unwrap() {
                            assert_eq!(&one[member], value, "{member}: {one:#}");
                        }
                        let same = *id.borrow() == text(&one, "id");
                        assert_eq!(same, change == Action::Update, "{one:#}");
                        *id.borrow_mut() = text(&one, "id");
                        Ok(())
                    }),
            );
        if !self.spoil.is_null() {
            for (what, body) in [
                ("somebody changed it", self.spoil.clone()),
                ("somebody renamed it", json!({ "name": "mine" })),
            ] {
                if body == json!({}) {
                    continue;
                }
                case = case.step(
                    Step::reapply()
                        .named(what)
                        .before(move |_| {
                            changed(&body);
                            Ok(())
                        })
                        .plan(action(at, Action::Update))
                        .after(|_| {
                            let one = ours("one").unwrap();
                            for (member, value) in self.spoil.as_object().unwrap() {
                                assert_ne!(&one[member], value, "it was not repaired: {one:#}");
                            }
                            Ok(())
                        }),
                );
            }
        }
        case.step(
            Step::reapply()
                .named("somebody deleted it")
                .before(|_| {
                    let (status, told) = it.api("DELETE", &format!("{}/{}", self.path, id.borrow()), None);
                    assert_eq!(status, 204, "{told}");
                    Ok(())
                })
                .plan(action(at, Action::Create))
                .after(|_| {
                    *id.borrow_mut() = text(&ours("one").unwrap(), "id");
                    Ok(())
                }),
        )
        .step({
            let import = Step::import(at, Id::attribute("name"))
                .config(self.hcl(block, "one", &self.after))
                .ignoring(self.unknown);
            if self.unknown.is_empty() { import.by_block() } else { import }
        })
        .step(
            Step::apply(self.hcl(block, "two", &self.after))
                .named("another name")
                .plan(action(at, Action::Replace))
                .after(|_| {
                    assert!(ours("one").is_none(), "the old one is still there");
                    assert!(ours("two").is_some());
                    Ok(())
                }),
        )
        .check_destroyed(|_| it.clean().map_err(Into::into))
        .run()
        .map(|_| ())
    }
}

#[test]
fn a_template_is_done() -> Result<(), Failure> {
    Subject {
        resource: "streamverse_runpod_template",
        kind: "template",
        path: "/v2/templates",
        before: "image = \"registry.example/worker:1\"".into(),
        after: "image = \"registry.example/worker:2\"\n  args = \"run\"\n  disk_gb = 30\n  env = { MODE = \"cpu\" }\n  ports = [\"8080/http\"]\n  serverless = true\n  persistent_volume = { size_gb = 20, path = \"/work\" }\n  allowed_cuda_versions = [\"12.8\"]".into(),
        is: json!({ "image": "registry.example/worker:2", "args": "run", "disk": 30, "env": { "MODE": "cpu" }, "ports": ["8080/http"],
            "serverless": true, "startSsh": false, "mounts": { "persistent": { "size": 20, "path": "/work" } } }),
        spoil: json!({ "image": "registry.example/other:1", "env": { "MODE": "gpu", "MORE": "1" } }),
        unknown: &[],
    }
    .done()
}

#[test]
fn a_network_volume_is_done() -> Result<(), Failure> {
    Subject {
        resource: "streamverse_runpod_network_volume",
        kind: "volume",
        path: "/v2/network-volumes",
        before: "size_gb = 20\n  data_center = \"EU-RO-1\"".into(),
        after: "size_gb = 30\n  data_center = \"EU-RO-1\"".into(),
        is: json!({ "size": 30, "dataCenter": "EU-RO-1" }),
        // It never shrinks, so that its size is not repaired: the next test.
        spoil: json!({}),
        unknown: &[],
    }
    .done()
}

#[test]
fn a_volume_that_was_grown_by_hand_keeps_its_size_and_is_followed() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let it = &StandIn::start();
    let hcl = |size: u32| {
        format!(
            "{}resource \"streamverse_runpod_network_volume\" \"it\" {{\n  name = \"it\"\n  data_center = \"EU-RO-1\"\n  size_gb = {size}\n}}\n",
            block(it)
        )
    };
    case(&cli)
        .step(Step::apply(hcl(20)))
        .step(
            Step::apply(hcl(20))
                .named("somebody grew it")
                .before(|_| {
                    let id = text(&it.things("volume").pop().unwrap(), "id");
                    let (status, told) =
                        it.api("PATCH", &format!("/v2/network-volumes/{id}"), Some(&json!({ "size": 40 })));
                    assert_eq!(status, 200, "{told}");
                    Ok(())
                })
                .expect_error("It has 40 GB"),
        )
        .step(
            Step::apply(hcl(40))
                .named("the configuration follows")
                .plan(action("streamverse_runpod_network_volume.it", Action::NoOp)),
        )
        .check_destroyed(|_| it.clean().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn a_registry_credential_is_done() -> Result<(), Failure> {
    Subject {
        resource: "streamverse_runpod_registry_credential",
        kind: "registry",
        path: "/v2/registries",
        before: "username = \"robot\"\n  password_wo = \"planted-registry-password-90ce\"\n  password_wo_version = 1".into(),
        after: "username = \"robot\"\n  password_ref = \"env:REGISTRY_PASSWORD\"".into(),
        is: json!({ "_login": format!("robot:{PASSWORD}") }),
        spoil: Value::Null,
        unknown: &["username", "password_ref"],
    }
    .done()
}

#[test]
fn an_endpoint_is_done() -> Result<(), Failure> {
    Subject {
        resource: "streamverse_runpod_endpoint",
        kind: "endpoint",
        path: "/v2/serverless",
        before: "image = \"registry.example/worker:1\"\n  scaling = { queue_delay = \"4s\" }\n  gpu = { pools = [\"ADA_48_PRO\"] }\n  workers = {}".into(),
        after: "image = \"registry.example/worker:2\"\n  scaling = { request_count = 4 }\n  gpu = { pools = [\"AMPERE_24\", \"ADA_48_PRO\"], excluded = [\"NVIDIA L4\"], min_cuda_version = \"12.4\" }\n  workers = { max = 7 }\n  env = { MODE = \"gpu\" }\n  data_centers = [\"EU-RO-1\"]\n  execution_timeout = \"10m\"\n  flashboot = \"FLASHBOOT\"".into(),
        is: json!({ "image": "registry.example/worker:2", "scaling": { "type": "REQUEST_COUNT", "requestCount": 4 }, "timeout": 600_000,
            "workers": { "min": 0, "max": 7 }, "dataCenterIds": ["EU-RO-1"], "flashboot": "FLASHBOOT" }),
        spoil: json!({ "workers": { "min": 1, "max": 9 }, "timeout": 1000 }),
        unknown: &[],
    }
    .done()
}

#[test]
fn what_a_configuration_stops_saying_is_the_template_s_again() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let it = &StandIn::start();
    let at = "streamverse_runpod_endpoint.it";
    let config = |rest: &str, max: u32| {
        format!(
            "{}resource \"streamverse_runpod_template\" \"t\" {{\n  name = \"t\"\n  image = \"registry.example/worker:1\"\n  args = \"serve\"\n  disk_gb = 30\n  ports = [\"80/http\"]\n  serverless = true\n  env = {{ A = \"1\", B = \"1\" }}\n}}\nresource \"streamverse_runpod_endpoint\" \"it\" {{\n  name = \"it\"\n  template_id = streamverse_runpod_template.t.id\n  scaling = {{ queue_delay = \"4s\" }}\n  gpu = {{ pools = [\"AMPERE_80\"] }}\n  workers = {{ max = {max} }}\n  {rest}\n}}\n",
            block(it)
        )
    };
    let own = "image = \"registry.example/worker:2\"\n  args = \"debug\"\n  disk_gb = 40\n  ports = [\"81/http\"]\n  env = { B = \"2\", C = \"2\" }";
    let has = |image: &str, args: &str, disk: u32, port: &str, env: Value| {
        let is = only(it, "endpoint");
        let all = [&is["image"], &is["args"], &is["disk"], &is["ports"][0], &is["env"]];
        assert_eq!(all, [&json!(image), &json!(args), &json!(disk), &json!(port), &env]);
        Ok(())
    };
    let both = json!({ "A": "1", "B": "2", "C": "2" });
    case(&cli)
        .step(Step::apply(config(own, 3)).named("its own").after(|_| {
            has("registry.example/worker:2", "debug", 40, "81/http", both.clone())
        }))
        .step(Step::apply(config(own, 4)).named("something else changes").after(|_| {
            has("registry.example/worker:2", "debug", 40, "81/http", both.clone())
        }))
        .step(
            Step::apply(config("env = { B = \"3\" }", 4))
                .named("the template's again")
                .plan(action(at, Action::Update))
                .after(|_| has("registry.example/worker:1", "serve", 30, "80/http", json!({ "A": "1", "B": "3" }))),
        )
        .step(
            Step::apply(config("", 4))
                .named("and its environment")
                .plan(action(at, Action::Update))
                .after(|_| has("registry.example/worker:1", "serve", 30, "80/http", json!({ "A": "1", "B": "1" }))),
        )
        .step(Step::apply(config(own, 4)))
        .step(
            Step::plan_only(config("", 4))
                .named("the template is gone")
                .before(|_| {
                    let id = text(&only(it, "template"), "id");
                    it.faults(&json!([{ "method": "GET", "path": format!("/v2/templates/{id}"), "after": 1, "what": { "answer": { "status": 404 } } }]));
                    Ok(())
                })
                .expect_error("(?s)no template .* any more.*image, args, disk_gb, ports, env.*cannot be restored"),
        )
        .check_destroyed(|_| it.clean().map_err(Into::into))
        .run()
        .map(|_| ())
}

#[test]
fn what_an_endpoint_takes_of_a_template_is_not_compared() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let it = &StandIn::start();
    let config = |image: &str, max: u32| {
        format!(
            "{}resource \"streamverse_runpod_template\" \"t\" {{\n  name = \"t\"\n  image = \"{image}\"\n  serverless = true\n  env = {{ A = \"1\" }}\n  registry_credential_id = streamverse_runpod_registry_credential.r.id\n}}\nresource \"streamverse_runpod_registry_credential\" \"r\" {{\n  name = \"r\"\n  username = \"robot\"\n  password_ref = \"env:REGISTRY_PASSWORD\"\n  lifecycle {{ create_before_destroy = true }}\n}}\nresource \"streamverse_runpod_endpoint\" \"it\" {{\n  name = \"it\"\n  template_id = streamverse_runpod_template.t.id\n  scaling = {{ queue_delay = \"500ms\" }}\n  gpu = {{ pools = [\"AMPERE_80\"] }}\n  workers = {{ max = {max}, idle_timeout = \"30s\" }}\n  network_volume_ids = [streamverse_runpod_network_volume.v.id]\n}}\nresource \"streamverse_runpod_network_volume\" \"v\" {{\n  name = \"v\"\n  size_gb = 10\n  data_center = \"EU-RO-1\"\n}}\n",
            block(it)
        )
    };
    case(&cli)
        .step(Step::apply(config("registry.example/worker:1", 3)))
        .step(Step::apply(config("registry.example/worker:2", 5)).after(|_| {
            let endpoint = only(it, "endpoint");
            assert_eq!(
                endpoint["image"], "registry.example/worker:1",
                "RunPod copied the template when it was named"
            );
            assert_eq!(endpoint["workers"], json!({ "min": 0, "max": 5, "idleTimeout": 30 }));
            Ok(())
        }))
        .check_destroyed(|_| it.clean().map_err(Into::into))
        .run()
        .map(|_| ())
}
