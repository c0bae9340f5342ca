//! A provider with one resource: `first_note`, a note in a text file.

use std::{fs, process::ExitCode};

use tfplugin_framework::{Context, ErrorExt as _, Parts, Plan, Provider, Read, Request, Resource, Result};
use tfplugin_framework::{Schema, Stored, provider, resource, serve};

/// Keeps notes in text files.
#[derive(Clone, Schema)]
struct First {}

#[provider(name = "first")]
impl Provider for First {
    type Config = First;

    async fn configure(_: &Request, _: FirstView) -> Result<First> {
        Ok(First {})
    }

    fn parts(parts: Parts<First>) -> Parts<First> {
        parts.resource::<Note>()
    }
}

/// A note in a text file.
#[derive(Clone, Schema)]
struct Note {
    /// The file, in a folder that exists. Another path is another note.
    #[attribute(replace, validate(length = 1..))]
    path: String,
    /// What the note says.
    text: String,
}

#[resource(name = "note")]
impl Resource for Note {
    type Provider = First;

    async fn create(_: &Context<First>, plan: Plan<Self>) -> Result<Note> {
        fs::write(&plan.path, &plan.text).context("Cannot write the note").at(Note::path())?;
        Ok(plan.into_inner())
    }

    async fn read(cx: &Context<First>, stored: Stored<Self>) -> Result<Read<Self>> {
        let there = fs::exists(&stored.path)?;
        Ok(if there { Read::Found(Note::import(cx, &stored.path).await?) } else { Read::Gone })
    }

    async fn update(cx: &Context<First>, _: Stored<Self>, plan: Plan<Self>) -> Result<Note> {
        Note::create(cx, plan).await
    }

    async fn delete(_: &Context<First>, stored: Stored<Self>) -> Result<()> {
        if fs::exists(&stored.path)? { Ok(fs::remove_file(&stored.path)?) } else { Ok(()) }
    }

    async fn import(_: &Context<First>, path: &str) -> Result<Note> {
        let text = fs::read_to_string(path).context("Cannot read the note")?;
        Ok(Note { path: path.to_owned(), text })
    }
}

#[cfg(test)]
mod tests;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("docs") {
        return tfplugin_docs::main::<First>("registry.terraform.io/acme/first");
    }
    serve::<First>("registry.terraform.io/acme/first")
}
