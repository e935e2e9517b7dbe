// Prints events of factro's in the JSON form of CloudEvents, one a line, from the beginning of the stream:
//   node subscribe.mjs 'factro.event.acme.task.*.TaskStateChanged' [how many]
import { connect } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";
import { toEvent } from "./cloudevents-nats.mjs";

const [subject, count = Infinity] = process.argv.slice(2);
const nc = await connect({ servers: process.env.NATS_URL });
const consumer = await jetstream(nc).consumers.get("FACTRO_EVENTS_DEMO", { filter_subjects: subject });

let seen = 0;
for await (const msg of await consumer.consume()) {
  console.log(JSON.stringify(toEvent(msg)));
  if (++seen >= count) break;
}
await nc.close();
