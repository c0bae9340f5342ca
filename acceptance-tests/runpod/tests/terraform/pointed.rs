//! Terraform underlines what a refusal is about: of what is said within an attribute that attribute's line, never the resource's first.

use streamverse_runpod_stand_in::StandIn;
use tfplugin_testing::cli::{Cli, Failure, Step};

use crate::kit::{block, case};

const ENDPOINT: &str = r#"
resource "streamverse_runpod_endpoint" "it" {
  name    = "it"
  image   = "registry.example/worker:1"
  scaling = { queue_delay = "4s" }
  gpu     = { pools = ["ADA_48_PRO"] }
  workers = { max = 1 }
}
"#;

/// An attribute, what it becomes, and what is said of it.
const WRONG: [(&str, &str, &str); 5] = [
    ("{ queue_delay = \"4s\" }", "{ queue_delay = \"100ms\" }", "`scaling.queue_delay` is 500ms at least"),
    ("{ max = 1 }", "{ min = 2, max = 1 }", "`workers.max` is 1 and `workers.min` is 2"),
    ("{ max = 1 }", "{ idle_timeout = \"2h\" }", "`workers.idle_timeout` is whole seconds"),
    ("[\"ADA_48_PRO\"] }", "[\"ADA_48\"] }", "\"ADA_48\" in `gpu.pools`"),
    ("[\"ADA_48_PRO\"] }", "[\"ADA_48_PRO\"], min_cuda_version = \"12\" }", "`gpu.min_cuda_version`"),
];

#[test]
fn a_refusal_of_what_is_within_an_attribute_is_told_at_its_line() -> Result<(), Failure> {
    let cli = Cli::terraform()?;
    let it = &StandIn::start();
    let mut case = case(&cli);
    for (right, wrong, says) in WRONG {
        let hcl = ENDPOINT.replace(right, wrong);
        let line = hcl.lines().find(|line| line.contains(wrong)).unwrap_or_default().trim();
        let named = line.split(' ').next().unwrap_or_default().to_owned();
        case = case.step(Step::validate(format!("{}{hcl}", block(it))).named(wrong).expect_error_at(
            "streamverse_runpod_endpoint.it",
            &named,
            says,
        ));
    }
    let template = "resource \"streamverse_runpod_template\" \"it\" {\n  name = \"it\"\n  image = \"registry.example/worker:1\"\n  allowed_cuda_versions = [\"12\"]\n}\n";
    case.step(Step::validate(format!("{}{template}", block(it))).expect_error_at(
        "streamverse_runpod_template.it",
        "allowed_cuda_versions",
        "`allowed_cuda_versions` is MAJOR.MINOR",
    ))
    .run()
    .map(|_| ())
}
