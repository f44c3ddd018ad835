"""An MCP server on FastMCP, as somebody outside of this project would write it."""

import socket

from fastmcp import FastMCP

server = FastMCP("library", instructions="Knows a few books.")
BOOKS = {"1": "Middlemarch", "2": "Ulysses", "3": "Ü — ein Test"}


@server.tool
def find_book(id: str) -> str:
    """Finds a book by its id."""
    return BOOKS[id]


@server.tool
def list_books() -> dict[str, str]:
    """Lists all books."""
    return BOOKS


@server.resource("book://{id}")
def book(id: str) -> str:
    """One book."""
    return BOOKS[id]


@server.resource("book://all")
def books() -> str:
    """All titles."""
    return "\n".join(BOOKS.values())


@server.prompt
def review(title: str) -> str:
    """Asks for a review."""
    return f"Review {title}."


if __name__ == "__main__":
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    print(f"ready http://127.0.0.1:{port}/mcp", flush=True)
    server.run(transport="http", host="127.0.0.1", port=port, show_banner=False)
