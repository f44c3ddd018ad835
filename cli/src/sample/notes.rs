//! Notes: an MCP server over standard input and output. What is written lives
//! as long as the process, which is as long as the MCP session.

mod book;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{
    GetPromptResult, ListResourceTemplatesResult, ListResourcesResult, PaginatedRequestParams,
    PromptMessage, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    RequestMetaObject, Resource, ResourceContents, ResourceTemplate, Role, ServerCapabilities,
};
use rmcp::service::RequestContext;
use rmcp::{
    ErrorData, Peer, RoleServer, ServerHandler, ServiceExt, prompt, prompt_handler, prompt_router,
    tool, tool_handler, tool_router,
};
use schemars::JsonSchema;
use serde::Deserialize;

use self::book::{Book, Note, Notes};
use super::progress::Progress;
use crate::failure::Failure;

/// URI of a note is this and its number.
const NOTE_URI: &str = "note://notes/";
/// Pause between two imported notes, so that progress can be watched.
const IMPORT_PAUSE: Duration = Duration::from_millis(30);

/// Serves one client on standard input and output.
pub(crate) async fn run() -> Result<(), Failure> {
    let title = std::env::var("NOTES_TITLE").unwrap_or_else(|_| "Notes".to_owned());
    let server = NotesServer {
        title,
        book: Arc::default(),
    };
    let service = server
        .serve(rmcp::transport::stdio())
        .await
        .map_err(|error| {
            Failure::new(
                "no MCP client initialized a session on standard input",
                "agentapi demo",
            )
            .because(error)
        })?;
    let ended = service.waiting().await;
    ended
        .map(|_| ())
        .map_err(|error| Failure::new("the notes server broke off", "agentapi demo").because(error))
}

#[derive(Clone)]
struct NotesServer {
    title: String,
    book: Arc<Mutex<Book>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct AddNote {
    /// A line that says what the note is about.
    title: String,
    /// The note itself.
    #[serde(default)]
    text: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct NoteNumber {
    /// Number of the note.
    id: u32,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct EditNote {
    /// Number of the note.
    id: u32,
    /// The new text.
    text: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct SearchNotes {
    /// Words to look for in titles and texts, in any case.
    query: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct ImportNotes {
    /// One note a line: its title, and after a colon its text.
    lines: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Summarize {
    /// Who will read the summary.
    audience: Option<String>,
}

#[tool_router]
impl NotesServer {
    /// Write a new note
    #[tool(annotations(read_only_hint = false, destructive_hint = false))]
    fn add_note(&self, Parameters(AddNote { title, text }): Parameters<AddNote>) -> Json<Note> {
        Json(self.book().add(title, text))
    }

    /// Read one note
    #[tool(annotations(read_only_hint = true))]
    fn get_note(
        &self,
        Parameters(NoteNumber { id }): Parameters<NoteNumber>,
    ) -> Result<Json<Note>, String> {
        self.book().get(id).map(Json)
    }

    /// List all notes
    #[tool(annotations(read_only_hint = true))]
    fn list_notes(&self) -> Json<Notes> {
        Json(self.book().all())
    }

    /// Find notes by words
    #[tool(annotations(read_only_hint = true))]
    fn search_notes(
        &self,
        Parameters(SearchNotes { query }): Parameters<SearchNotes>,
    ) -> Json<Notes> {
        Json(self.book().search(&query))
    }

    /// Replace the text of a note
    #[tool(annotations(read_only_hint = false, idempotent_hint = true))]
    fn edit_note(
        &self,
        Parameters(EditNote { id, text }): Parameters<EditNote>,
    ) -> Result<Json<Note>, String> {
        self.book().edit(id, text).map(Json)
    }

    /// Delete a note
    #[tool(annotations(read_only_hint = false, destructive_hint = true))]
    fn delete_note(
        &self,
        Parameters(NoteNumber { id }): Parameters<NoteNumber>,
    ) -> Result<Json<Note>, String> {
        self.book().delete(id).map(Json)
    }

    /// Write many notes, reporting progress after each
    #[tool(annotations(read_only_hint = false, destructive_hint = false))]
    async fn import_notes(
        &self,
        Parameters(ImportNotes { lines }): Parameters<ImportNotes>,
        meta: RequestMetaObject,
        client: Peer<RoleServer>,
    ) -> Result<Json<Notes>, ErrorData> {
        let progress = Progress::new(client, meta, lines.len());
        let mut imported = Vec::with_capacity(lines.len());
        for line in lines {
            let (title, text) = line.split_once(':').unwrap_or((&line, ""));
            let note = self
                .book()
                .add(title.trim().to_owned(), text.trim().to_owned());
            imported.push(note);
            progress
                .report(imported.len(), format!("imported {}", title.trim()))
                .await?;
            tokio::time::sleep(IMPORT_PAUSE).await;
        }
        Ok(Json(Notes { notes: imported }))
    }
}

#[prompt_router]
impl NotesServer {
    /// Ask for a summary of all notes
    #[prompt]
    async fn summarize_notes(
        &self,
        Parameters(Summarize { audience }): Parameters<Summarize>,
    ) -> GetPromptResult {
        let audience = audience.as_deref().unwrap_or("their author");
        let notes = self.book().all().notes;
        let lines: Vec<_> = notes
            .iter()
            .map(|note| format!("- {}: {}", note.title, note.text))
            .collect();
        let text = format!(
            "Summarize these notes for {audience}:\n{}",
            lines.join("\n")
        );
        GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)])
    }
}

#[tool_handler]
#[prompt_handler]
impl ServerHandler for NotesServer {
    fn get_info(&self) -> rmcp::model::ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_prompts()
            .build();
        rmcp::model::ServerConfig::new(capabilities)
            .with_server_info(super::implementation("agentapi-sample-notes", &self.title))
            .with_instructions("Notes live as long as this session.")
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let notes = self.book().all().notes;
        let resources = notes.into_iter().map(|note| {
            Resource::new(
                format!("{NOTE_URI}{}", note.id),
                format!("note-{}", note.id),
            )
            .with_title(note.title)
            .with_mime_type("text/plain")
        });
        Ok(ListResourcesResult::with_all_items(resources.collect()))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = ResourceTemplate::new(format!("{NOTE_URI}{{id}}"), "note")
            .with_description("One note by its number");
        Ok(ListResourceTemplatesResult::with_all_items(vec![template]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let number = request
            .uri
            .strip_prefix(NOTE_URI)
            .and_then(|id| id.parse().ok());
        let note = number.and_then(|id| self.book().get(id).ok());
        let Some(note) = note else {
            let message = format!("there is no resource {}", request.uri);
            return Err(ErrorData::resource_not_found(message, None));
        };
        let text = format!("{}\n\n{}", note.title, note.text);
        Ok(ReadResourceResult::new(vec![ResourceContents::text(text, request.uri)]).into())
    }
}

impl NotesServer {
    /// The notes. A panic elsewhere leaves them readable: each change is one step.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
