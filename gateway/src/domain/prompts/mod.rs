//! Composition of prompts.
