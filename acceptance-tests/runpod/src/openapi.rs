//! RunPod's own API description, to which requests and answers are held.

use std::path::PathBuf;

use serde_json::Value;

use crate::schema::Checker;

/// The description, if it is there.
pub(crate) struct Description {
    checker: Checker,
}

/// An operation of the description.
#[derive(Clone, Copy)]
pub(crate) struct Operation<'a> {
    about: &'a Value,
}

impl Description {
    /// Where it is: below `STREAMVERSE_SHARED`, or beside the checkout. It is not ours to copy.
    pub(crate) fn place() -> PathBuf {
        let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
        let shared = std::env::var_os("STREAMVERSE_SHARED").map_or_else(beside, PathBuf::from);
        shared.join("contracts/runpod/openapi-v2.json")
    }

    pub(crate) fn load() -> Option<Description> {
        let text = std::fs::read(Description::place()).ok()?;
        Some(Description { checker: Checker::new(serde_json::from_slice(&text).ok()?) })
    }

    /// The operation of a call.
    pub(crate) fn operation(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        let paths = self.checker.document().get("paths")?.as_object()?;
        let wanted: Vec<&str> = path.trim_matches('/').split('/').collect();
        let fits = |template: &str| {
            let parts: Vec<&str> = template.trim_matches('/').split('/').collect();
            parts.len() == wanted.len()
                && parts.iter().zip(&wanted).all(|(part, it)| part == it || part.starts_with('{'))
        };
        // What is spelled out goes before what is a variable: /v2/registries/delegations, /v2/registries/{id}.
        let plain = paths.iter().find(|(template, _)| template.as_str() == path);
        let (_, operations) = plain.or_else(|| paths.iter().find(|(template, _)| fits(template)))?;
        Some(Operation { about: operations.get(method.to_ascii_lowercase())? })
    }

    /// What is wrong with a request's query. Parameters that are not declared are ignored, as the API does.
    pub(crate) fn query(&self, operation: Operation<'_>, query: &[(String, String)]) -> Vec<String> {
        let mut wrong = Vec::new();
        let parameters = operation.about.get("parameters").and_then(Value::as_array);
        for parameter in parameters.into_iter().flatten().filter_map(|it| self.checker.resolve(it)) {
            let name = parameter["name"].as_str().unwrap_or_default();
            let Some((_, text)) = query.iter().find(|(given, _)| given == name) else { continue };
            let schema = self.checker.resolve(&parameter["schema"]).unwrap_or(&Value::Null);
            let value = match schema["type"].as_str() {
                Some("array") => {
                    Value::Array(text.split(',').map(|part| Value::String(part.to_owned())).collect())
                }
                Some("integer" | "number" | "boolean") => serde_json::from_str(text).unwrap_or(Value::Null),
                _ => Value::String(text.clone()),
            };
            wrong.extend(
                self.checker.check(schema, &value).into_iter().map(|fault| format!("?{name}{fault}")),
            );
        }
        wrong
    }

    /// What is wrong with a request's body.
    pub(crate) fn body(&self, operation: Operation<'_>, body: Option<&Value>) -> Vec<String> {
        let Some(wanted) = operation.about.get("requestBody").and_then(|it| self.checker.resolve(it)) else {
            return body.map(|_| "there must be no body".to_owned()).into_iter().collect();
        };
        match body {
            Some(body) => self.checker.check(&wanted["content"]["application/json"]["schema"], body),
            None => vec!["a body is required".to_owned()],
        }
    }

    /// What is wrong with an answer: the stand-in's own fault, or a fault that a test asked for badly.
    pub(crate) fn answer(&self, operation: Operation<'_>, status: u16, body: Option<&Value>) -> Vec<String> {
        let responses = &operation.about["responses"];
        let declared =
            responses.get(status.to_string()).or_else(|| responses.get("default").filter(|_| status >= 400));
        let Some(response) = declared.and_then(|it| self.checker.resolve(it)) else {
            return vec![format!("{status} is no answer of this operation")];
        };
        let content = response.get("content").and_then(Value::as_object).and_then(|it| it.values().next());
        match (content, body) {
            (Some(content), Some(body)) => self.checker.check(&content["schema"], body),
            (None, None) => Vec::new(),
            (Some(_), None) => vec!["the answer has no body".to_owned()],
            (None, Some(_)) => vec!["the answer must have no body".to_owned()],
        }
    }
}
