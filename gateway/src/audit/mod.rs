//! The record of every privileged act.
