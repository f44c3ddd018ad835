// A real authorization server (oidc-provider) with two clients of a gateway: one for
// connecting accounts, a public one for logins. Its interactions are the package's own
// pages: whatever name is given logs in.
// Usage: AGENTAPI_TEST_NODE=… node authorization_server.mjs ORGANIZATION GATEWAY
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { pathToFileURL } from "node:url";

// The packages are installed outside of this folder.
const installed = createRequire(`${process.env.AGENTAPI_TEST_NODE}/`);
const { Provider } = await import(pathToFileURL(installed.resolve("oidc-provider")));

const [organization, gateway] = process.argv.slice(2);
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const key = { ...privateKey.export({ format: "jwk" }), alg: "ES256", use: "sig", kid: "es256" };

const server = createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const url = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(url, {
  jwks: { keys: [key] },
  cookies: { keys: [randomBytes(16).toString("hex")] },
  clients: [
    {
      client_id: "gateway",
      client_secret: "s3cret:of a test/only+",
      grant_types: ["authorization_code", "refresh_token"],
      redirect_uris: [`${gateway}/v1/oauth/callback`],
      response_types: ["code"],
      id_token_signed_response_alg: "ES256",
      application_type: "native",
    },
    {
      client_id: "login",
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code"],
      redirect_uris: [`${gateway}/v1/oauth/login`],
      response_types: ["code"],
      id_token_signed_response_alg: "ES256",
      application_type: "native",
    },
  ],
  scopes: ["openid", "offline_access"],
  claims: { openid: ["sub", "org_id", "roles"] },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, org_id: organization, roles: ["user"] }),
  }),
  features: {
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, resource) => ({
        scope: "openid offline_access",
        audience: resource,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "ES256" } },
      }),
      // Refreshes name the resource again; logins name none.
      defaultResource: () => [],
      useGrantedResource: () => true,
    },
  },
  rotateRefreshToken: true,
});
server.on("request", provider.callback());
console.log(`ready ${url}`);
