//! Redis or memory: shared state that may be lost.
