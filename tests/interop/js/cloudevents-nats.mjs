// CloudEvents on NATS messages, after the NATS protocol binding of CloudEvents 1.0. The cloudevents package has
// bindings for HTTP, Kafka and MQTT but none for NATS; this is all that is missing.
import { CloudEvent } from "cloudevents";
import { headers } from "@nats-io/transport-node";

const structuredType = "application/cloudevents+json";

// Reads a message in structured mode (one JSON object) or in binary mode (attributes in headers, JSON data).
export function toEvent(msg) {
  if (msg.headers?.get("Content-Type").startsWith(structuredType)) return new CloudEvent(msg.json());
  const attributes = {};
  for (const name of msg.headers?.keys() ?? []) {
    if (name.startsWith("ce-")) attributes[name.slice(3)] = decodeURIComponent(msg.headers.get(name));
  }
  return new CloudEvent({ ...attributes, data: msg.json() });
}

// Returns payload and headers of an event in binary mode.
export function binary(event) {
  const { data, ...attributes } = event.toJSON();
  const h = headers();
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) h.set(`ce-${name}`, encode(String(value)));
  }
  return [JSON.stringify(data), h];
}

// Returns payload and headers of an event in structured mode.
export function structured(event) {
  const h = headers();
  h.set("Content-Type", structuredType);
  return [JSON.stringify(event), h];
}

// Percent-encodes what may not stand in a header: blanks, double quotes, percent signs, and all that is not ASCII.
function encode(value) {
  return value.replace(/[^!#$&-~]+/gu, encodeURIComponent);
}
