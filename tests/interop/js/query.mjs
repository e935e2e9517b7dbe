// Asks factro something and prints the answer, the Core API's JSON:
//   node query.mjs acme task.getTask '{"taskId":"…"}'
import { connect } from "@nats-io/transport-node";

const [cloud, operation, data = "{}"] = process.argv.slice(2);
const nc = await connect({ servers: process.env.NATS_URL });
const answer = await nc.request(`factro.query.${cloud}.${operation}`, data, { timeout: 30_000 });

const status = answer.headers?.get("Nats-Service-Error-Code");
if (status) {
  const { code, message } = answer.json();
  console.error(`${status} ${code}: ${message}`);
  process.exitCode = 1;
} else {
  // An answer that is too large for a message is in the object store; @nats-io/obj reads it.
  console.log(answer.headers?.get("Factro-Object") || answer.string());
}
await nc.close();
