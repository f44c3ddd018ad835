"""An MCP server on FastMCP that takes tokens of one issuer, for itself only."""

import os
import socket

from fastmcp import FastMCP
from fastmcp.server.auth.providers.jwt import JWTVerifier
from fastmcp.server.dependencies import get_access_token

if __name__ == "__main__":
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/mcp"
    issuer = os.environ["ISSUER"]
    verifier = JWTVerifier(jwks_uri=f"{issuer}/jwks", issuer=issuer, audience=url, algorithm="ES256")
    server = FastMCP("protected", auth=verifier)

    @server.tool
    def whoami() -> str:
        """Says who asks."""
        return get_access_token().claims["sub"]

    print(f"ready {url}", flush=True)
    server.run(transport="http", host="127.0.0.1", port=port, show_banner=False)
