// Has the AsyncAPI initiative's own parser judge a document, and prints what it found:
//   bridge contract asyncapi | node asyncapi.mjs
import { text } from "node:stream/consumers";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(await text(process.stdin));
for (const { severity, code, path, message } of diagnostics) {
  console.log(JSON.stringify({ severity, code, path: path.join("/"), message }));
}
console.log(JSON.stringify({
  version: document?.version(),
  channels: document?.allChannels().length,
  operations: document?.allOperations().length,
}));
