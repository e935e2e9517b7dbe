// Sends commands in the forms that the page does not use, and prints each result:
//   node forms.mjs structured|plain demo task.createTask '{"title":"Prüfung", …}' '{"id":"c-1"}'
// factro.mjs is the module of docs/javascript.md.
import { CloudEvent } from "cloudevents";
import { createInbox, headers } from "@nats-io/transport-node";
import { connectFactro, toEvent } from "./factro.mjs";

const [form, cloud, operation, data, attributes] = process.argv.slice(2);
const f = await connectFactro();
const command = new CloudEvent({
  source: "urn:example:script", type: `com.factro.command.${operation.split(".").pop()}`, datacontenttype: "application/json",
  data: JSON.parse(data), ...JSON.parse(attributes),
});
const h = headers();
if (form === "structured") h.set("Content-Type", "application/cloudevents+json");
h.set("Nats-Msg-Id", command.id);
const inbox = createInbox();
h.set("Factro-Reply-To", inbox);
const results = f.nc.subscribe(inbox);
await f.js.publish(`factro.command.${cloud}.${operation}`, form === "structured" ? JSON.stringify(command) : data, { headers: h });
for await (const msg of results) {
  const result = toEvent(msg);
  if (result.type === "com.factro.result.deferred") continue;
  console.log(JSON.stringify(result));
  break;
}
await f.nc.close();
