//! The pages of a provider that has one of everything, in memory and on disk.

#![allow(clippy::unwrap_used)] // also in what the tests share

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tfplugin_docs::{Difference, Finding, Options, Pages, Stale};
use tfplugin_framework::{
    Context, DEFAULT_TIMEOUTS, DataSource, Ephemeral, Error, Function, Opened, Parts, PlanValues, Provider,
    ReadValue, Request, ResourceHandler, ResourceInfo, Result, State,
};
use tfplugin_schema::{
    Attribute, BlockNesting, Computed, NestedBlock, ObjectSchema, Path as AttributePath, Schema, Secret,
    Timeouts, Value,
};

struct Acme;

/// Talks to *Acme* clouds.
///
/// The second paragraph.
#[derive(Clone, Schema)]
struct AcmeConfig {
    /// Where Acme is.
    endpoint: Option<String>,
    /// The token.
    #[attribute(sensitive)]
    token: Option<String>,
}

/// For whom the module works.
#[derive(Clone, Schema)]
struct AcmeMeta {
    /// The team.
    team: Option<String>,
}

impl Provider for Acme {
    type Config = AcmeConfig;
    const NAME: &'static str = "acme";

    async fn configure(_: &Request, _: AcmeConfigView) -> Result<Acme> {
        Ok(Acme)
    }

    fn parts(parts: Parts<Acme>) -> Parts<Acme> {
        let add = Function::build("add")
            .summary("Adds.")
            .parameter::<i64>("a", "One.")
            .returns::<i64>()
            .handler(|arguments| arguments.get::<i64>(0));
        parts.resource_by_hand(Cache).data_source::<Zone>().ephemeral::<Token>().function(add)
    }

    fn meta() -> Option<ObjectSchema> {
        Some(AcmeMeta::object())
    }
}

/// A zone.
#[derive(Clone, Schema)]
struct Zone {
    /// Its name.
    name: String,
    /// Its number.
    number: Computed<i64>,
    /// How long it may take.
    timeouts: Timeouts,
}

impl DataSource for Zone {
    type Provider = Acme;
    const NAME: &'static str = "zone";

    async fn read(_: &Context<Acme>, _: Zone) -> Result<State<Zone>> {
        Err(Error::bug("only documented"))
    }
}

/// A token.
#[derive(Clone, Schema)]
struct Token {
    /// What it is for.
    scope: String,
    /// The token itself.
    #[attribute(sensitive)]
    value: Computed<String>,
}

impl Ephemeral for Token {
    type Provider = Acme;
    const NAME: &'static str = "token";
    const DEPRECATED: Option<&'static str> = Some("Use keys.");

    async fn open(_: &Context<Acme>, _: Token) -> Result<Opened<Token>> {
        Err(Error::bug("only documented"))
    }
}

struct Cache;

fn fails<T: Send + 'static>() -> std::pin::Pin<Box<dyn Future<Output = Result<T>> + Send>> {
    Box::pin(std::future::ready(Err(Error::bug("only documented"))))
}

impl ResourceHandler for Cache {
    fn type_name(&self) -> String {
        "acme_cache".to_owned()
    }

    fn info(&self) -> ResourceInfo {
        let listener = ObjectSchema::new("Where to listen.")
            .attribute(Attribute::of::<u16>("port").describe("The port.").validate(port()));
        let secret = Secret::<String>::rules("password", true);
        let mut schema = ObjectSchema::new("A cache.")
            .attribute(Attribute::of::<String>("name").describe("Unique.").replace())
            .attribute(Attribute::of::<Timeouts>("timeouts").describe("How long it may take."))
            .attribute(
                Attribute::of::<String>("password_wo").optional().sensitive().write_only().describe("It."),
            )
            .attribute(Attribute::of::<i64>("password_wo_version").optional().describe("Its number."))
            .attribute(Attribute::of::<String>("password_ref").optional().describe("Where it is."))
            .block(NestedBlock::new("listener", BlockNesting::List, listener));
        schema.rules.extend(secret);
        ResourceInfo {
            version: 0,
            schema,
            resumable: false,
            importable: true,
            updatable: true,
            timeouts: DEFAULT_TIMEOUTS,
        }
    }

    fn create<'a>(
        &'a self,
        _: &'a Arc<Request>,
        _: PlanValues,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Value>> + Send + 'a>> {
        fails()
    }

    fn modify_plan<'a>(
        &'a self,
        _: &'a Arc<Request>,
        _: PlanValues,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(Value, Vec<AttributePath>)>> + Send + 'a>> {
        fails()
    }

    fn read<'a>(
        &'a self,
        _: &'a Arc<Request>,
        _: Value,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<ReadValue>> + Send + 'a>> {
        fails()
    }

    fn update<'a>(
        &'a self,
        _: &'a Arc<Request>,
        _: PlanValues,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Value>> + Send + 'a>> {
        fails()
    }

    fn delete<'a>(
        &'a self,
        _: &'a Arc<Request>,
        _: Value,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        fails()
    }
}

fn port() -> tfplugin_schema::validate::Range {
    tfplugin_schema::validate::range(1..=65535i64)
}

/// A folder with all examples.
fn examples() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("provider/provider.tf", "provider \"acme\" {}\n"),
        ("resources/acme_cache/resource.tf", "resource \"acme_cache\" \"a\" {\r\n  name = \"a\"\r\n}\r\n"),
        ("resources/acme_cache/import.sh", "# The name.\nterraform import acme_cache.a 'site/a'\n"),
        ("data-sources/acme_zone/data-source.tf", "data \"acme_zone\" \"a\" {}\n"),
        ("ephemeral-resources/acme_token/ephemeral-resource.tf", "ephemeral \"acme_token\" \"a\" {}\n"),
        ("functions/add/function.tf", "output \"a\" {\n  value = provider::acme::add(1)\n}\n"),
    ] {
        write(dir.path(), file, text);
    }
    dir
}

fn write(dir: &Path, file: &str, text: &str) {
    let path = dir.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn pages(examples: &Path) -> Pages {
    Pages::of::<Acme>(Options {
        address: "registry.terraform.io/acme/acme".to_owned(),
        provider_title: "Acme".to_owned(),
        examples: examples.to_owned(),
    })
}

#[test]
fn everything_that_a_provider_has_gets_a_page() {
    let examples = examples();
    let pages = pages(examples.path());
    let paths: Vec<&str> = pages.iter().map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        [
            "data-sources/zone.md",
            "ephemeral-resources/token.md",
            "functions/add.md",
            "index.md",
            "resources/cache.md",
        ]
    );
    assert_eq!(pages.findings(), []);
}

#[test]
fn a_resource_page_reads_from_title_to_import() {
    let examples = examples();
    let pages = pages(examples.path());
    assert_eq!(pages.get("resources/cache.md").unwrap(), include_str!("cache.md"));
}

#[test]
fn the_index_tells_the_configuration_and_what_modules_may_say() {
    let examples = examples();
    let pages = pages(examples.path());
    assert_eq!(pages.get("index.md").unwrap(), include_str!("index.md"));
}

#[test]
fn a_data_source_tells_its_one_deadline() {
    let examples = examples();
    let pages = pages(examples.path());
    let page = pages.get("data-sources/zone.md").unwrap();
    assert!(page.contains("\npage_title: \"acme_zone Data Source - Acme\"\n"), "{page}");
    assert!(page.contains("\n# acme_zone (Data Source)\n\nA zone.\n"), "{page}");
    let line = |name: &str| page.lines().find(|line| line.starts_with(&format!("- `{name}`"))).unwrap();
    assert!(line("read").contains("Default: `\"5m\"`."), "{page}");
    assert!(line("create").contains("Not used here."), "{page}");
}

#[test]
fn an_ephemeral_resource_says_from_when_on_it_works() {
    let examples = examples();
    let pages = pages(examples.path());
    let page = pages.get("ephemeral-resources/token.md").unwrap();
    assert!(page.contains("> **Deprecated:** Use keys.\n\nA token.\n\n> **Note:** Ephemeral"), "{page}");
    assert!(page.contains("Terraform 1.10"), "{page}");
    assert!(page.contains("- `value` (String, Sensitive) The token itself."), "{page}");
}

#[test]
fn each_missing_example_is_found_and_the_import_is_generated() {
    let empty = tempfile::tempdir().unwrap();
    write(empty.path(), "resources/acme_cash/resource.tf", "x");
    let pages = pages(empty.path());
    let missing = |page: &str, file: &str| Finding::MissingExample { page: page.into(), file: file.into() };
    assert_eq!(
        pages.findings(),
        [
            missing("data-sources/zone.md", "data-sources/acme_zone/data-source.tf"),
            missing("ephemeral-resources/token.md", "ephemeral-resources/acme_token/ephemeral-resource.tf"),
            missing("functions/add.md", "functions/add/function.tf"),
            missing("index.md", "provider/provider.tf"),
            missing("resources/cache.md", "resources/acme_cache/import.sh"),
            missing("resources/cache.md", "resources/acme_cache/resource.tf"),
            Finding::UnusedExample { folder: "resources/acme_cash".into() },
        ]
    );
    assert!(!pages.findings().iter().any(Finding::is_error));
    let page = pages.get("resources/cache.md").unwrap();
    assert!(!page.contains("## Example Usage"), "{page}");
    assert!(
        page.ends_with("```terraform\nimport {\n  to = acme_cache.example\n  id = \"ID\"\n}\n```\n"),
        "{page}"
    );
    let index = pages.get("index.md").unwrap();
    assert!(index.contains("    acme = {\n      source = \"acme/acme\"\n    }\n"), "{index}");
}

#[test]
fn the_import_block_of_the_author_is_shown_as_it_is() {
    let examples = examples();
    let block = "import {\n  to = acme_cache.b\n  id = \"site/b\"\n}\n";
    write(examples.path(), "resources/acme_cache/import-by-string-id.tf", block);
    let pages = pages(examples.path());
    let page = pages.get("resources/cache.md").unwrap();
    assert!(page.contains(&format!("```terraform\n{block}```\n")), "{page}");
    assert!(!page.contains("acme_cache.a\n"), "{page}");
}

#[test]
fn an_example_that_is_no_text_is_an_error() {
    let examples = examples();
    fs::write(examples.path().join("functions/add/function.tf"), [0xff, 0xfe]).unwrap();
    let pages = pages(examples.path());
    let [Finding::UnreadableExample { file, .. }] = pages.findings() else {
        panic!("{:?}", pages.findings())
    };
    assert_eq!(file, "functions/add/function.tf");
    assert!(pages.findings()[0].is_error());
}

#[test]
fn a_page_that_the_registry_would_refuse_is_an_error() {
    let examples = examples();
    let long = "#".repeat(500_001);
    write(examples.path(), "functions/add/function.tf", &long);
    let pages = pages(examples.path());
    let [finding @ Finding::TooLarge { page, bytes }] = pages.findings() else {
        panic!("{:?}", pages.findings())
    };
    assert!(page == "functions/add.md" && *bytes > 500_000 && finding.is_error());
}

struct Odd;

impl Provider for Odd {
    type Config = AcmeMeta;
    const NAME: &'static str = "Odd";

    async fn configure(_: &Request, _: AcmeMetaView) -> Result<Odd> {
        Ok(Odd)
    }

    fn parts(parts: Parts<Odd>) -> Parts<Odd> {
        let function = |name: &str| Function::build(name).returns::<bool>().handler(|_| Ok(true));
        parts.function(function("../../secret")).function(function("same")).function(function("same"))
    }
}

#[test]
fn names_that_are_none_and_pages_of_two_parts_are_errors() {
    let empty = tempfile::tempdir().unwrap();
    let options = Options {
        address: "odd".to_owned(),
        provider_title: "Odd".to_owned(),
        examples: empty.path().into(),
    };
    let pages = Pages::of::<Odd>(options);
    let errors: Vec<String> =
        pages.findings().iter().filter(|one| one.is_error()).map(ToString::to_string).collect();
    assert_eq!(errors.len(), 4, "{errors:?}");
    assert!(errors[0].starts_with("\"../../secret\" is no name for a function"), "{errors:?}");
    assert!(errors[1].starts_with("\"Odd\" is no name for a provider"), "{errors:?}");
    assert!(errors[2].starts_with("\"odd\" is no name for a provider's source address"), "{errors:?}");
    assert!(errors[3].starts_with("functions/same.md: is the page of two parts"), "{errors:?}");
    assert!(pages.get("functions/../../secret.md").is_none());
    assert_eq!(pages.len(), 2);
}

#[test]
fn written_pages_are_fresh_and_writing_them_again_changes_nothing() {
    let (examples, out) = (examples(), tempfile::tempdir().unwrap());
    let pages = pages(examples.path());
    let done = pages.write_to(out.path()).unwrap();
    assert_eq!((done.written, done.unchanged, done.removed), (5, 0, 0));
    assert_eq!(pages.check(out.path()), []);
    let done = pages.write_to(out.path()).unwrap();
    assert_eq!((done.written, done.unchanged, done.removed), (0, 5, 0));
}

#[test]
fn changed_missing_and_leftover_pages_are_stale_and_writing_mends_them() {
    let (examples, out) = (examples(), tempfile::tempdir().unwrap());
    let pages = pages(examples.path());
    pages.write_to(out.path()).unwrap();

    let cache = pages.get("resources/cache.md").unwrap();
    write(out.path(), "resources/cache.md", &cache.replace("A cache.\n\n", "An old cache.\n\n"));
    write(out.path(), "resources/old.md", cache);
    fs::remove_file(out.path().join("index.md")).unwrap();
    write(out.path(), "functions/add.md", &format!("{}\nMore.\n", pages.get("functions/add.md").unwrap()));
    // Not ours: a guide, and a page that somebody wrote for something of their own.
    write(out.path(), "guides/start.md", cache);
    write(out.path(), "resources/by_hand.md", "---\npage_title: \"x\"\n---\n");

    let stale = pages.check(out.path());
    let told: Vec<String> = stale.iter().map(ToString::to_string).collect();
    let lines = pages.get("functions/add.md").unwrap().lines().count();
    assert_eq!(
        told,
        [
            &*format!("functions/add.md:{}: is \"\", should be the end of the page", lines + 1),
            "index.md: is missing",
            "resources/cache.md:11: is \"An old cache.\", should be \"A cache.\"",
            "resources/old.md: is left over: nothing in the provider has this page",
        ]
    );

    let done = pages.write_to(out.path()).unwrap();
    assert_eq!((done.written, done.unchanged, done.removed), (3, 2, 1));
    assert_eq!(pages.check(out.path()), []);
    assert!(!out.path().join("resources/old.md").exists());
    assert!(out.path().join("guides/start.md").exists() && out.path().join("resources/by_hand.md").exists());
}

#[test]
fn a_page_written_by_hand_is_never_overwritten() {
    let (examples, out) = (examples(), tempfile::tempdir().unwrap());
    let pages = pages(examples.path());
    write(out.path(), "resources/cache.md", "# By hand\n");
    let stale = pages.check(out.path());
    assert!(stale.contains(&Stale { page: "resources/cache.md".into(), difference: Difference::ByHand }));
    let error = pages.write_to(out.path()).unwrap_err().to_string();
    assert!(error.contains("resources/cache.md: was not generated here"), "{error}");
    assert_eq!(fs::read_to_string(out.path().join("resources/cache.md")).unwrap(), "# By hand\n");
    assert!(!out.path().join("index.md").exists());
}

#[test]
fn a_checkout_with_other_line_ends_is_fresh() {
    let (examples, out) = (examples(), tempfile::tempdir().unwrap());
    let pages = pages(examples.path());
    pages.write_to(out.path()).unwrap();
    write(out.path(), "index.md", &pages.get("index.md").unwrap().replace('\n', "\r\n"));
    assert_eq!(pages.check(out.path()), []);
}
