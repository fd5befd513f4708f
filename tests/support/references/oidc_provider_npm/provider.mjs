// A certified OpenID provider on loopback. Its settings come as JSON in the file that is named; it prints
// "ready" when it listens.
import { readFileSync } from "node:fs";
import { Provider } from "oidc-provider";

const settings = JSON.parse(readFileSync(process.argv[2], "utf8"));
const provider = new Provider(settings.issuer, {
  clients: settings.clients,
  jwks: settings.jwks,
  cookies: { keys: ["of the test"] },
  ttl: { IdToken: settings.idTokenSeconds },
  pkce: { required: () => true },
  enabledJWA: { idTokenSigningAlgValues: ["RS256", "ES256"] },
  findAccount: async (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
});
provider.listen(settings.port, "127.0.0.1", () => console.log("ready"));
