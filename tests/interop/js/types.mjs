// Makes TypeScript of JSON Schemas, a file for each, in a folder. It reads lines {name, schema}.
//   bridge contract schema createTask | jq -c '{name: "createTask", schema: .}' | node types.mjs generated
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { compile } from "json-schema-to-typescript";

const [folder] = process.argv.slice(2);
for await (const line of createInterface({ input: process.stdin })) {
  const { name, schema } = JSON.parse(line);
  await writeFile(join(folder, `${name}.ts`), await compile(schema, name, { bannerComment: "", format: false }));
}
