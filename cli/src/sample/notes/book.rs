//! The notes themselves.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

/// One note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Note {
    /// Number of the note, from 1, never used twice.
    pub(super) id: u32,
    /// A line that says what the note is about.
    pub(super) title: String,
    /// The note itself.
    pub(super) text: String,
}

/// Some notes.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Notes {
    /// The notes, oldest first.
    pub(super) notes: Vec<Note>,
}

/// All notes of a session.
#[derive(Debug, Default)]
pub(super) struct Book {
    notes: BTreeMap<u32, Note>,
    last: u32,
}

impl Book {
    pub(super) fn add(&mut self, title: String, text: String) -> Note {
        self.last += 1;
        let note = Note {
            id: self.last,
            title,
            text,
        };
        self.notes.insert(note.id, note.clone());
        note
    }

    pub(super) fn get(&self, id: u32) -> Result<Note, String> {
        self.notes.get(&id).cloned().ok_or_else(|| missing(id))
    }

    pub(super) fn edit(&mut self, id: u32, text: String) -> Result<Note, String> {
        let note = self.notes.get_mut(&id).ok_or_else(|| missing(id))?;
        note.text = text;
        Ok(note.clone())
    }

    pub(super) fn delete(&mut self, id: u32) -> Result<Note, String> {
        self.notes.remove(&id).ok_or_else(|| missing(id))
    }

    pub(super) fn all(&self) -> Notes {
        Notes {
            notes: self.notes.values().cloned().collect(),
        }
    }

    pub(super) fn search(&self, query: &str) -> Notes {
        let query = query.to_lowercase();
        let matches = |text: &str| text.to_lowercase().contains(&query);
        let found = self
            .notes
            .values()
            .filter(|note| matches(&note.title) || matches(&note.text));
        Notes {
            notes: found.cloned().collect(),
        }
    }
}

fn missing(id: u32) -> String {
    format!("there is no note {id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Book {
        let mut book = Book::default();
        book.add("Milk".to_owned(), "two bottles".to_owned());
        book.add("Paint".to_owned(), "blue, like milk glass".to_owned());
        book
    }

    fn ids(notes: Notes) -> Vec<u32> {
        notes.notes.iter().map(|note| note.id).collect()
    }

    #[test]
    fn search_looks_into_titles_and_texts_without_regard_to_case() {
        assert_eq!(ids(book().search("MILK")), [1, 2]);
    }

    #[test]
    fn the_number_of_a_deleted_note_is_not_used_again() {
        let mut book = book();
        book.delete(2).unwrap();
        book.add("Bread".to_owned(), String::new());
        assert_eq!(ids(book.all()), [1, 3]);
    }

    #[test]
    fn a_missing_note_is_named() {
        assert_eq!(
            book().edit(9, String::new()),
            Err("there is no note 9".to_owned())
        );
    }
}
