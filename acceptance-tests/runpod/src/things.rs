//! Templates, network volumes, registry credentials and serverless endpoints: what the API does with them.

use serde_json::{Map, Value, json};

use crate::stock::{GPUS, Stock};
use crate::world::{Answer, Thing, World, now, public, refuse};

/// What a container has where nothing is said.
fn container(body: &Map<String, Value>, base: Option<&Map<String, Value>>) -> Map<String, Value> {
    let usual = json!({ "args": "", "disk": 20, "env": {}, "ports": [], "registry": null });
    let mut made = Map::new();
    for (name, value) in usual.as_object().into_iter().flatten() {
        made.insert(name.clone(), value.clone());
    }
    for from in [base, Some(body)].into_iter().flatten() {
        for name in ["image", "args", "disk", "ports", "registry"] {
            if let Some(value) = from.get(name) {
                made.insert(name.to_owned(), value.clone());
            }
        }
        // Merged key by key; the body's values win.
        if let Some(Value::Object(env)) = from.get("env")
            && let Some(Value::Object(all)) = made.get_mut("env")
        {
            all.extend(env.clone());
        }
    }
    made
}

fn flag(body: &Map<String, Value>, name: &str, usual: bool) -> Value {
    body.get(name).cloned().unwrap_or(Value::Bool(usual))
}

impl World {
    fn registry_fault(&self, body: &Map<String, Value>) -> Option<Answer> {
        let id = body.get("registry")?.as_str()?;
        (!self.has("registry", id)).then(|| refuse(400, format!("registry {id} does not exist")))
    }

    /// The template that a body names. Nobody keeps a link to it: what it says is taken over once.
    pub(crate) fn template(
        &self,
        body: &Map<String, Value>,
        serverless: bool,
    ) -> Result<Option<&Map<String, Value>>, Answer> {
        let Some(id) = body.get("templateId").and_then(Value::as_str) else { return Ok(None) };
        match self.of("template").get(id) {
            Some(template) if template.body.get("serverless") == Some(&Value::Bool(serverless)) => {
                Ok(Some(&template.body))
            }
            Some(_) => Err(refuse(422, "templateId: the template is of the other kind")),
            None => Err(refuse(404, format!("template {id} does not exist"))),
        }
    }

    /// The container of a body and the template that it names.
    pub(crate) fn container(
        &self,
        body: &Map<String, Value>,
        serverless: bool,
    ) -> Result<Map<String, Value>, Answer> {
        if let Some(fault) = self.registry_fault(body) {
            return Err(fault);
        }
        Ok(container(body, self.template(body, serverless)?))
    }

    pub(crate) fn create_template(&mut self, body: &Map<String, Value>) -> Answer {
        if let Some(fault) = self.registry_fault(body) {
            return fault;
        }
        let mut made = container(body, None);
        made.insert("id".to_owned(), json!(self.fresh_id()));
        made.insert("name".to_owned(), body["name"].clone());
        made.insert("mounts".to_owned(), body.get("mounts").cloned().unwrap_or_else(|| json!({})));
        made.insert("category".to_owned(), body.get("category").cloned().unwrap_or_else(|| json!("NVIDIA")));
        for (name, usual) in
            [("serverless", false), ("public", false), ("startSsh", true), ("startJupyter", true)]
        {
            made.insert(name.to_owned(), flag(body, name, usual));
        }
        let versions = body.get("allowedCudaVersions").cloned().unwrap_or_else(|| json!([]));
        made.insert("allowedCudaVersions".to_owned(), versions);
        (201, Some(self.add("template", made)))
    }

    pub(crate) fn create_volume(&mut self, body: &Map<String, Value>) -> Answer {
        let centre = body["dataCenter"].as_str().unwrap_or_default();
        if !Stock::is_centre(centre) {
            return refuse(400, format!("data center {centre} does not exist"));
        }
        let tiers = Stock::tiers(centre);
        if body.get("type").is_some_and(|tier| !tiers.iter().any(|it| tier == it)) {
            return refuse(400, format!("data center {centre} has no such storage tier"));
        }
        let mut made = body.clone();
        made.entry("type").or_insert_with(|| json!(tiers.first()));
        made.insert("id".to_owned(), json!(self.fresh_id()));
        (201, Some(self.add("volume", made)))
    }

    pub(crate) fn create_registry(&mut self, body: &Map<String, Value>) -> Answer {
        let mut made = Map::new();
        made.insert("id".to_owned(), json!(self.fresh_id()));
        made.insert("name".to_owned(), body["name"].clone());
        // For tests alone, which ask for it by the control API: the API itself never shows it.
        let login = format!(
            "{}:{}",
            body["username"].as_str().unwrap_or_default(),
            body["password"].as_str().unwrap_or_default()
        );
        made.insert("_login".to_owned(), json!(login));
        (201, Some(self.add("registry", made)))
    }

    /// What is wrong with an endpoint's rules between fields; `whole` is it as it will be.
    fn endpoint_fault(&self, whole: &Map<String, Value>, idle_given: bool) -> Option<Answer> {
        let at = |path: &str| Value::Object(whole.clone()).pointer(path).cloned().unwrap_or(Value::Null);
        if at("/gpu").is_null() == at("/cpu").is_null() {
            return Some(refuse(400, "Set exactly one of gpu or cpu"));
        }
        if at("/type") == "QUEUE" && at("/scaling/type") == "REQUEST_COUNT" && idle_given {
            return Some(refuse(
                400,
                "workers.idleTimeout is not applicable to queue-based endpoints scaling on requestCount",
            ));
        }
        if at("/type") == "LOAD_BALANCER" && at("/scaling/type") != "REQUEST_COUNT" {
            return Some(refuse(400, "load-balancing endpoints scale on requestCount"));
        }
        if at("/workers/min").as_u64() > at("/workers/max").as_u64() {
            return Some(refuse(400, "workers.min is above workers.max"));
        }
        let pools = at("/gpu/pools");
        let pools: Vec<&str> = pools.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if let Some(pool) = pools.iter().find(|pool| !GPUS.iter().any(|gpu| gpu.2 == **pool)) {
            return Some(refuse(400, format!("gpu.pools: {pool} is no pool")));
        }
        let excluded = at("/gpu/excludedTypes");
        for ty in excluded.as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !GPUS.iter().any(|gpu| gpu.0 == ty.trim() && pools.contains(&gpu.2)) {
                return Some(refuse(
                    400,
                    format!("gpu.excludedTypes: {ty} is not a GPU type in one of the pools"),
                ));
            }
        }
        let centres = at("/dataCenterIds");
        if let Some(centre) = centres
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .find(|it| !Stock::is_centre(it))
        {
            return Some(refuse(400, format!("data center {centre} does not exist")));
        }
        let volumes = at("/networkVolumes");
        let gone = volumes
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .find(|id| !self.has("volume", id));
        gone.map(|id| refuse(404, format!("network volume {id} does not exist")))
    }

    pub(crate) fn create_endpoint(&mut self, body: &Map<String, Value>) -> Answer {
        let mut made = match self.container(body, true) {
            Ok(container) => container,
            Err(fault) => return fault,
        };
        let idle_given = body.get("workers").is_some_and(|it| it.get("idleTimeout").is_some());
        for name in ["name", "type", "scaling", "cpu"] {
            if let Some(value) = body.get(name) {
                made.insert(name.to_owned(), value.clone());
            }
        }
        if let Some(gpu) = body.get("gpu") {
            let mut whole = json!({ "count": 1, "allowedCudaVersions": [], "minCudaVersion": null });
            merge(&mut whole, gpu);
            made.insert("gpu".to_owned(), whole);
        }
        let mut workers = json!({ "min": 0, "max": 3, "idleTimeout": 10 });
        merge(&mut workers, body.get("workers").unwrap_or(&Value::Null));
        made.insert("workers".to_owned(), workers);
        for (name, usual) in
            [("dataCenterIds", json!([])), ("networkVolumes", json!([])), ("flashboot", json!("OFF"))]
        {
            made.insert(name.to_owned(), body.get(name).cloned().unwrap_or(usual));
        }
        // The description's default is not what happens: left out, it is none.
        made.insert("timeout".to_owned(), body.get("timeout").cloned().unwrap_or_else(|| json!(0)));
        if let Some(fault) = self.endpoint_fault(&made, idle_given) {
            return fault;
        }
        let id = self.fresh_id();
        made.insert("requestUrls".to_owned(), urls(&id, made["type"] == "QUEUE"));
        made.insert("id".to_owned(), json!(id));
        made.insert("createdAt".to_owned(), json!(now()));
        hide_idle(&mut made);
        (201, Some(self.add("endpoint", made)))
    }

    pub(crate) fn patch_endpoint(&mut self, id: &str, body: &Map<String, Value>) -> Answer {
        let Some(thing) = self.of("endpoint").get(id) else { return refuse(404, "endpoint not found") };
        let mut whole = thing.body.clone();
        let template = match self.container(body, true) {
            Ok(container) => container,
            Err(fault) => return fault,
        };
        // As if the template's settings were in the body, with those of the body before them; environments are merged.
        let templated = body.contains_key("templateId");
        if templated {
            whole.extend(template);
        }
        if body.contains_key("gpu") && whole.get("gpu").is_none() {
            return refuse(400, "the compute family of an endpoint cannot be changed");
        }
        let idle_given = body.get("workers").is_some_and(|it| it.get("idleTimeout").is_some());
        for (name, value) in
            body.iter().filter(|(name, _)| *name != "templateId" && !(templated && *name == "env"))
        {
            match (name.as_str(), whole.get_mut(name)) {
                ("workers", Some(place)) => merge(place, value),
                ("gpu", Some(place)) => {
                    if value.get("pools").is_some() {
                        place.as_object_mut().map(|gpu| gpu.remove("excludedTypes"));
                    }
                    merge(place, value);
                    if place["minCudaVersion"] == "" {
                        place["minCudaVersion"] = Value::Null;
                    }
                }
                _ => _ = whole.insert(name.clone(), value.clone()),
            }
        }
        if let Some(fault) = self.endpoint_fault(&whole, idle_given) {
            return fault;
        }
        hide_idle(&mut whole);
        let told = public(&whole);
        if let Some(thing) = self.find("endpoint", id) {
            thing.body = whole;
        }
        (200, Some(told))
    }

    pub(crate) fn patch_template(&mut self, id: &str, body: &Map<String, Value>) -> Answer {
        if let Some(fault) = self.registry_fault(body) {
            return fault;
        }
        let Some(thing) = self.find("template", id) else { return refuse(404, "template not found") };
        for (name, value) in body {
            // An empty `mounts` leaves what is there.
            let empty_mounts = name == "mounts" && value.as_object().is_some_and(Map::is_empty);
            if !empty_mounts {
                thing.body.insert(name.clone(), value.clone());
            }
        }
        (200, Some(public(&thing.body)))
    }

    pub(crate) fn patch_volume(&mut self, id: &str, body: &Map<String, Value>) -> Answer {
        let Some(thing) = self.find("volume", id) else { return refuse(404, "network volume not found") };
        if body.get("size").and_then(Value::as_f64).is_some_and(|size| size < thing.number_of("size")) {
            return refuse(400, "the size of a network volume cannot be decreased");
        }
        thing.body.extend(body.clone());
        (200, Some(public(&thing.body)))
    }

    /// `DELETE` of everything but pods. A template is refused while a pod's `template` says it or an endpoint is bound to it; of what this API
    /// makes neither keeps a link, so that nothing here holds one.
    pub(crate) fn delete(&mut self, kind: &'static str, id: &str) -> Answer {
        let pulls = |pod: &Thing| pod.ended.is_none() && pod.text("registry") == id;
        if kind == "registry" && self.of("pod").values().any(pulls) {
            return refuse(400, "the registry credential is in use by a pod");
        }
        if self.remove(kind, id, "terminated").is_none() {
            return refuse(404, format!("{kind} not found"));
        }
        if kind == "registry" {
            // Templates lose the reference without a word.
            for template in self.things.get_mut("template").into_iter().flat_map(|all| all.values_mut()) {
                if template.text("registry") == id {
                    template.body.insert("registry".to_owned(), Value::Null);
                }
            }
        }
        (204, None)
    }
}

fn merge(into: &mut Value, from: &Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from.clone());
    }
}

/// What does not apply is not told.
fn hide_idle(endpoint: &mut Map<String, Value>) {
    let counts = endpoint.get("scaling").is_some_and(|it| it["type"] == "REQUEST_COUNT");
    if counts && endpoint.get("type").is_some_and(|it| it == "QUEUE") {
        endpoint
            .get_mut("workers")
            .and_then(Value::as_object_mut)
            .map(|workers| workers.remove("idleTimeout"));
    }
}

fn urls(id: &str, queue: bool) -> Value {
    if !queue {
        let base = format!("https://{id}.api.runpod.ai");
        return json!({ "base": base, "health": format!("{base}/ping") });
    }
    let of = |rest: &str| format!("https://api.runpod.ai/v2/{id}/{rest}");
    json!({ "run": of("run"), "runSync": of("runsync"), "status": of("status/{job_id}"), "stream": of("stream/{job_id}"),
        "cancel": of("cancel/{job_id}"), "retry": of("retry/{job_id}"), "purgeQueue": of("purge-queue"), "health": of("health") })
}
