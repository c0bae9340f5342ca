//! Pages of functions.

use tfplugin_framework::{Function, Parameter};

use crate::facts;
use crate::markdown::{code, fence, indent, paragraph};
use crate::page::{Front, Page};
use crate::words;

/// The page of a function of that provider.
pub(crate) fn page(provider: &str, title: &str, function: &Function, example: Option<&str>) -> String {
    let about = if function.summary.trim().is_empty() { &function.description } else { &function.summary };
    let front = Front {
        title: &format!("{} function - {title}", function.name),
        description: about,
        has_category: true,
    };
    let mut page = Page::new(&front, &format!("function: {}", function.name));
    if let Some(message) = &function.deprecation {
        page.note(&facts::deprecation(message));
    }
    page.add(&function.summary);
    if function.description.trim() != function.summary.trim() {
        page.add(&function.description);
    }
    page.note("**Note:** Functions of providers need Terraform 1.8 or OpenTofu 1.7, or later.");
    page.example(example);
    page.add("## Signature");
    page.add(&fence("text", &signature(provider, function)));
    let arguments: Vec<String> = function
        .parameters
        .iter()
        .map(|parameter| argument(parameter, ""))
        .chain(function.variadic.iter().map(|parameter| argument(parameter, "Variadic, ")))
        .collect();
    if !arguments.is_empty() {
        page.add("## Arguments");
        page.add(&arguments.join("\n"));
    }
    page.add("## Return Type");
    page.add(&code(&function.returns.to_string()));
    page.finish()
}

/// How it is called: `provider::acme::add(a number, more number...) number`.
fn signature(provider: &str, function: &Function) -> String {
    let parameters = function.parameters.iter().map(|one| format!("{} {}", one.name, one.ty));
    let variadic = function.variadic.iter().map(|one| format!("{} {}...", one.name, one.ty));
    let parameters: Vec<String> = parameters.chain(variadic).collect();
    format!("provider::{provider}::{}({}) {}", function.name, parameters.join(", "), function.returns)
}

fn argument(parameter: &Parameter, variadic: &str) -> String {
    let nullable = if parameter.nullable { ", Nullable" } else { "" };
    let head =
        format!("1. {} ({variadic}{}{nullable})", code(&parameter.name), words::of_type(&parameter.ty));
    let (first, rest) = crate::markdown::first_paragraph(&parameter.description);
    let mut text = format!("{head} {}", paragraph(first)).trim_end().to_owned();
    if !rest.is_empty() {
        // Three columns, as wide as the number.
        let rest = indent(rest).replace("\n  ", "\n   ");
        text.push_str(&format!("\n\n {rest}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::MARK;

    fn add() -> Function {
        Function::build("add")
            .summary("Adds numbers.")
            .description("Every number counts *once*.")
            .deprecate("Use `sum`")
            .parameter::<i64>("first", "The first.\n\nIt counts.")
            .nullable_parameter::<Option<Vec<String>>>("labels", "What they are.")
            .variadic::<f64>("more", "All others.")
            .returns::<f64>()
            .handler(|_| Ok(0.0))
    }

    #[test]
    fn a_function_tells_signature_arguments_and_result() {
        let page =
            page("acme", "Acme", &add(), Some("output \"sum\" {\n  value = provider::acme::add(1)\n}\n"));
        assert_eq!(
            page,
            format!(
                "---
{MARK}
page_title: \"add function - Acme\"
subcategory: \"\"
description: |-
  Adds numbers.
---

# function: add

> **Deprecated:** Use `sum`.

Adds numbers.

Every number counts *once*.

> **Note:** Functions of providers need Terraform 1.8 or OpenTofu 1.7, or later.

## Example Usage

```terraform
output \"sum\" {{
  value = provider::acme::add(1)
}}
```

## Signature

```text
provider::acme::add(first number, labels list(string), more number...) number
```

## Arguments

1. `first` (Number) The first.

   It counts.
1. `labels` (List of String, Nullable) What they are.
1. `more` (Variadic, Number) All others.

## Return Type

`number`
"
            )
        );
    }
}
