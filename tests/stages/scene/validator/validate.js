// Validates GLB files: one JSON line a file, read from the arguments or, where there are none, from
// standard input, a path a line.
"use strict";

const fs = require("fs");
const validator = require("gltf-validator");

async function main() {
  const named = process.argv.slice(2);
  const paths = named.length ? named : fs.readFileSync(0, "utf8").split("\n").filter(Boolean);
  for (const path of paths) {
    const report = await validator.validateBytes(new Uint8Array(fs.readFileSync(path)), {
      maxIssues: 50,
    });
    const { numErrors, numWarnings, messages } = report.issues;
    const { totalTriangleCount } = report.info;
    console.log(JSON.stringify({ path, numErrors, numWarnings, messages, totalTriangleCount }));
  }
}

main();
