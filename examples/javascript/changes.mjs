// Prints what changes at factro, one line for each change.   node changes.mjs acme [durable] [filter]
import { connect, nanos } from "@nats-io/transport-node";
import { AckPolicy, DeliverPolicy, JetStreamApiCodes, JetStreamApiError, jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";

const [cloud, durable = "printer", filter = `factro.change.${cloud}.>`] = process.argv.slice(2);
if (!cloud) {
  console.error("usage: node changes.mjs CLOUD [DURABLE] [FILTER]");
  process.exit(2);
}
const nc = await connect({ servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222", name: durable, maxReconnectAttempts: -1 });
const js = jetstream(nc);
const stream = `FACTRO_CHANGES_${cloud.toUpperCase()}`;
const state = await new Kvm(js).open(`FACTRO_STATE_${cloud.toUpperCase()}`);

// The consumer is durable: the next start goes on where this one ended. The first one begins with all that the stream holds.
async function consumer() {
  try {
    return await js.consumers.get(stream, durable);
  } catch (err) {
    if (!(err instanceof JetStreamApiError && err.code === JetStreamApiCodes.ConsumerNotFound)) throw err;
  }
  const manager = await js.jetstreamManager();
  await manager.consumers.add(stream, {
    durable_name: durable,
    filter_subject: filter,
    deliver_policy: DeliverPolicy.All,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(5_000), // without a word from us for so long, the change comes again
    max_ack_pending: 1, // one at a time, in order
    max_deliver: -1,
  });
  return js.consumers.get(stream, durable);
}

// A change has only the fields that differ. What the object is called is in its state, unless it is new or gone.
async function titleOf(key, { before, after }) {
  const here = { ...before, ...after };
  const named = "title" in here || "name" in here ? here : ((await state.get(key))?.json() ?? {});
  return named.title ?? named.name ?? "";
}

const text = (value) => (value === undefined ? "nothing" : JSON.stringify(value));

async function line(msg) {
  const attribute = (name) => decodeURIComponent(msg.headers.get(`ce-${name}`));
  const [, , , resource, token, what] = msg.subject.split("."); // the token is the id, unless it has what no subject may have
  const { before, after, changed, status } = msg.json();
  const parts = [attribute("time"), resource, attribute("subject"), text(await titleOf(`${cloud}.${resource}.${token}`, { before, after })), what];
  if (what === "updated") parts.push(changed.map((field) => `${field}: ${text(before[field])} -> ${text(after[field])}`).join(", "));
  if (what === "deleted" && status) parts.push(`(factro answered ${status})`);
  if (attribute("factrosender")) parts.push(`by ${attribute("factrosender")}`); // it was a command on NATS that did this
  return parts.join(" ");
}

const messages = await (await consumer()).consume({ max_messages: 1 });
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => messages.close());
for await (const msg of messages) {
  try {
    console.log(await line(msg));
    await msg.ackAck(); // a change whose acknowledgement is lost comes again
  } catch (err) {
    console.error(`${msg.subject}: ${err.message}`);
    msg.nak(1000);
  }
}
await nc.drain();
