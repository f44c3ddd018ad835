//! Has the crate built again when a migration is added: the macro that embeds
//! them notices changed files only.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
