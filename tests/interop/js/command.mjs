// Sends a command, waits until it is decided, and prints its result in the JSON form of CloudEvents:
//   node command.mjs acme task.createTask '{"title":"Prüfung","targetParentId":"…"}'
// It takes two more arguments: binary, structured or plain; and further attributes as JSON.
import { connect, createInbox, headers } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";
import { CloudEvent } from "cloudevents";
import { binary, structured, toEvent } from "./cloudevents-nats.mjs";

const [cloud, operation, data, mode = "binary", attributes = "{}"] = process.argv.slice(2);
const nc = await connect({ servers: process.env.NATS_URL });

const command = new CloudEvent({
  source: "urn:example:script",
  type: `com.factro.command.${operation.split(".").pop()}`,
  datacontenttype: "application/json",
  data: JSON.parse(data),
  ...JSON.parse(attributes),
});
// A plain command is the data alone.
const plain = () => [data, headers()];
const [payload, h] = { binary, structured, plain }[mode](command);

// Source and id make the command happen once, however often it is sent. The stream recognises it by the message id, which of a
// plain command is the id. A copy of each result comes to the inbox.
const inbox = createInbox();
const results = nc.subscribe(inbox);
h.set("Factro-Reply-To", inbox);
await jetstream(nc).publish(`factro.command.${cloud}.${operation}`, payload, { headers: h, msgID: mode === "plain" ? command.id : `${command.source} ${command.id}` });

for await (const msg of results) {
  const result = toEvent(msg);
  if (result.type === "com.factro.result.deferred") continue; // not decided yet
  console.log(JSON.stringify(result));
  break;
}
await nc.close();
