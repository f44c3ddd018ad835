// A real OpenID Connect provider (oidc-provider) that issues JWT access tokens
// to one confidential client. Usage: AGENTAPI_TEST_NODE=… node issuer.mjs ORGANIZATION
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { generateKeyPairSync } from "node:crypto";
import { pathToFileURL } from "node:url";

// The packages are installed outside of this folder.
const installed = createRequire(`${process.env.AGENTAPI_TEST_NODE}/`);
const { Provider } = await import(pathToFileURL(installed.resolve("oidc-provider")));

const organization = process.argv[2];
const keys = [
  ["RS256", generateKeyPairSync("rsa", { modulusLength: 2048 })],
  ["ES256", generateKeyPairSync("ec", { namedCurve: "P-256" })],
  ["EdDSA", generateKeyPairSync("ed25519")],
].map(([alg, { privateKey }]) => ({ ...privateKey.export({ format: "jwk" }), alg, use: "sig", kid: alg.toLowerCase() }));

const server = createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const url = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(url, {
  jwks: { keys },
  clients: [
    {
      client_id: "agent",
      client_secret: "agent-secret-of-a-test-only",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    },
  ],
  scopes: keys.map((key) => key.alg),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      // The resource's last path segment chooses the signing algorithm.
      getResourceServerInfo: (_context, resource) => ({
        scope: keys.map((key) => key.alg).join(" "),
        audience: "agentapi",
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: resource.split("/").pop() } },
      }),
    },
  },
  extraTokenClaims: () => ({ org_id: organization, roles: ["user"] }),
});
server.on("request", provider.callback());
console.log(`ready ${url}`);
