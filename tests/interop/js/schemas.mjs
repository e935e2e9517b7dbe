// Compiles JSON Schemas as a program would that uses Ajv and tells it nothing, and holds values against them. It reads lines
// {name, schema, values} and prints for each {name, error, warnings, good}; good says of each value whether it is taken.
//   bridge contract schema createTask | jq -c '{name: "createTask", schema: ., values: [{}]}' | node schemas.mjs
import { createInterface } from "node:readline";
import { Ajv2020 } from "ajv/dist/2020.js";

let warnings = [];
for (const level of ["log", "warn", "error"]) { // Ajv logs what its strict mode does not like but takes
  console[level] = (...words) => warnings.push(words.join(" "));
}
const together = new Ajv2020();

for await (const line of createInterface({ input: process.stdin })) {
  const { name, schema, values } = JSON.parse(line);
  const told = { name, good: [] };
  warnings = [];
  try {
    const validate = new Ajv2020().compile(schema);
    told.good = values.map((value) => validate(value));
    together.addSchema(schema); // beside all others, whose ids must differ
  } catch (error) {
    told.error = error.message;
  }
  process.stdout.write(JSON.stringify({ ...told, warnings }) + "\n");
}
