// Reads our AsyncAPI document with the specification's own parser: it must find no error in it.
const { readFileSync } = require("node:fs");
const { Parser } = require("@asyncapi/parser");

async function main() {
  const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
  const errors = diagnostics.filter(({ severity }) => severity === 0);
  for (const { path, message } of errors) {
    console.error(`asyncapi: ${path.join("/")}: ${message}`);
  }
  if (errors.length > 0 || !document) {
    process.exit(1);
  }
  const messages = document.allMessages().all().length;
  console.log(`asyncapi: the parser reads the document, ${messages} messages`);
}

main();
