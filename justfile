# One verb per task. Each calls `cargo xtask …` or a cargo command, which work
# without just.

# Show the verbs
default:
    @just --list

# Build, start and walk through the embedded mode
demo *options:
    cargo demo {{ options }}

# Format the code
format:
    cargo fmt --all

# Lint as CI does
lint:
    cargo clippy --workspace --all-targets --features agentapi-e2e/tier2,agentapi-e2e/tier3,agentapi-e2e/tier4 -- --deny warnings

# Run the tests: `just test`, `just test --tier 1`, `just test NAME`
test *options:
    cargo xtask test {{ options }}

# Write the files that come from the code
generate:
    cargo xtask generate

# Start the local control plane
up:
    cargo xtask cluster up

# Start the whole platform on it, in the foreground
run *options:
    cargo xtask cluster run {{ options }}

# Stop what was started
down *options:
    cargo xtask cluster down {{ options }}

# Everything that CI runs
ci:
    cargo xtask ci
