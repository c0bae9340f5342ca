//! Which versions of CUDA a host must have.

use serde_json::{Map, Value};

use crate::world::{Answer, refuse};

/// What hosts are asked for.
#[derive(Debug)]
pub(crate) enum Cuda {
    Any,
    /// So much or more, by numbers: 12.11 is above 12.2.
    Least(Vec<u32>),
    /// One of these exactly.
    OneOf(Vec<String>),
}

impl Cuda {
    /// What a pod asks for by its `gpu`, which takes the place of all that its template asks for.
    pub(crate) fn of_pod(gpu: &Value, template: Option<&Map<String, Value>>) -> Result<Cuda, Answer> {
        let said = ["allowedCudaVersions", "minCudaVersion"].iter().any(|it| gpu.get(it).is_some());
        let allowed = if said {
            gpu.get("allowedCudaVersions")
        } else {
            template.and_then(|it| it.get("allowedCudaVersions"))
        };
        let allowed = texts(allowed);
        Cuda::of(gpu.get("minCudaVersion").and_then(Value::as_str), allowed)
    }

    /// A floor or a set. An empty set asks for nothing.
    pub(crate) fn of(least: Option<&str>, allowed: Vec<String>) -> Result<Cuda, Answer> {
        match (least, allowed.is_empty()) {
            (Some(_), false) => {
                Err(refuse(400, "a CUDA floor and a set of CUDA versions exclude each other"))
            }
            (Some(least), true) => Ok(Cuda::Least(numbers(least))),
            (None, false) => Ok(Cuda::OneOf(allowed)),
            (None, true) => Ok(Cuda::Any),
        }
    }

    /// Whether a host of this version will do.
    pub(crate) fn allows(&self, version: &str) -> bool {
        match self {
            Cuda::Any => true,
            Cuda::Least(least) => numbers(version) >= *least,
            Cuda::OneOf(allowed) => allowed.iter().any(|it| it == version),
        }
    }
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').filter_map(|it| it.parse().ok()).collect()
}

fn texts(of: Option<&Value>) -> Vec<String> {
    let all = of.and_then(Value::as_array).into_iter().flatten();
    all.filter_map(|it| it.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let least = Cuda::of(Some("12.2"), Vec::new()).unwrap();
        assert!(least.allows("12.11") && least.allows("12.2") && least.allows("13.0"));
        assert!(!least.allows("12.1") && !least.allows("11.8"));
        assert!(Cuda::of(Some("12"), Vec::new()).unwrap().allows("12.0"));
    }

    #[test]
    fn what_a_pod_says_of_cuda_takes_the_place_of_all_that_its_template_does() {
        let template = json!({ "allowedCudaVersions": ["12.4"] });
        let of = |gpu: Value| Cuda::of_pod(&gpu, template.as_object()).unwrap();
        assert!(of(json!({ "id": "g" })).allows("12.4") && !of(json!({ "id": "g" })).allows("12.8"));
        let least = of(json!({ "minCudaVersion": "12.6" }));
        assert!(least.allows("12.8") && !least.allows("12.4"));
        assert!(of(json!({ "allowedCudaVersions": [] })).allows("11.8"));
        let both = json!({ "allowedCudaVersions": ["12.4"], "minCudaVersion": "12.4" });
        assert_eq!(Cuda::of_pod(&both, None).unwrap_err().0, 400);
    }
}
