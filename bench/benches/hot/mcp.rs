//! What is done with the bytes of MCP messages.

use std::hint::black_box;

use agentapi_crds::tenant_config::ToolsConfig;
use agentapi_gateway::domain::mcp::{
    Edit, Envelope, ListKind, ServerMessage, ToolFilter, merge, rename_items, rewrite_uris, splice,
    split_name, tool_digest, without_withheld,
};
use anyhow::{Context, Result};
use criterion::Criterion;
use serde_json::json;

/// As a client calls a tool on the federated endpoint.
const CALL: &str = r#"{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{"name":"notes__add_note","arguments":{"title":"Groceries","text":"Bread, butter, and whatever looks good at the market.","tags":["home","weekly"]},"_meta":{"progressToken":"p-42"}}}"#;
const TOOLS: usize = 100;
const RESULT_BYTES: usize = 1024;

pub(crate) fn measure(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("mcp");
    group.bench_function("envelope peek", |bencher| {
        bencher.iter(|| Envelope::peek(black_box(CALL.as_bytes())));
    });
    let large = large_call();
    group.bench_function("strict check of 64 KiB of arguments", |bencher| {
        bencher.iter(|| Envelope::peek(black_box(large.as_bytes())));
    });
    let envelope = Envelope::peek(CALL.as_bytes())?;
    let span = envelope.name_span().context("the call has a name")?;
    group.bench_function("name splice", |bencher| {
        bencher.iter(|| {
            let (_, own) = split_name(black_box("notes__add_note"))?;
            Some(splice(CALL, &[Edit::string(span.clone(), own)]))
        });
    });

    let list = list();
    group.bench_function("renamed list of 100 tools", |bencher| {
        bencher.iter(|| {
            rename_items(
                ListKind::Tools,
                black_box(&list),
                Some(("notes", "notes")),
                |_| true,
            )
        });
    });
    let (items, _) = rename_items(ListKind::Tools, &list, Some(("notes", "notes")), |_| true)?;
    group.bench_function("merged list of 100 tools", |bencher| {
        bencher.iter(|| merge(ListKind::Tools, black_box(&items), &[]));
    });
    let filter = ToolFilter::compile(&ToolsConfig {
        prefix: None,
        allow: vec!["get_*".to_owned(), "add_*".to_owned()],
        deny: vec!["*_admin".to_owned()],
    })?;
    group.bench_function("tool filter", |bencher| {
        bencher.iter(|| filter.offers(black_box("add_note")));
    });
    group.bench_function("filtered list of 100 tools", |bencher| {
        bencher.iter(|| without_withheld(black_box(&list), |tool| filter.offers(tool)));
    });

    let result = result();
    group.bench_function("URIs rewritten in a result of 1 KiB", |bencher| {
        bencher.iter(|| rewrite_uris(black_box(&result), "notes").len());
    });
    let answer = format!(r#"{{"jsonrpc":"2.0","id":42,"result":{result}}}"#);
    group.bench_function("peek at a server's answer of 1 KiB", |bencher| {
        bencher.iter(|| ServerMessage::peek(black_box(&answer)).is_some());
    });
    let tool = tool(7);
    group.bench_function("tool digest", |bencher| {
        bencher.iter(|| tool_digest(black_box(&tool), None));
    });
    group.finish();
    Ok(())
}

fn large_call() -> String {
    let lines: Vec<String> = (0..1024)
        .map(|line| format!("line {line:>4}: {}", "x".repeat(48)))
        .collect();
    let arguments = json!({ "lines": lines });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "notes__add", "arguments": arguments } })
        .to_string()
}

fn tool(number: usize) -> serde_json::Value {
    json!({
        "name": format!("get_{number}"), "title": format!("Tool {number}"),
        "description": "Reads one thing and says what it is, in a sentence or two.",
        "inputSchema": { "type": "object", "properties": { "id": { "type": "string" }, "limit": { "type": "integer" } }, "required": ["id"] },
    })
}

fn list() -> String {
    let tools: Vec<_> = (0..TOOLS).map(tool).collect();
    json!({ "tools": tools }).to_string()
}

fn result() -> String {
    let link =
        json!({ "type": "resource_link", "uri": "notes://home/groceries", "name": "groceries" });
    let text = json!({ "type": "text", "text": "x".repeat(RESULT_BYTES) });
    json!({ "content": [text, link] }).to_string()
}
