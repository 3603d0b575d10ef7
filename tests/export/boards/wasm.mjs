// SPDX-License-Identifier: Apache-2.0
// Runs a module of wasm.c in node: node wasm.mjs FILE
import { readFileSync } from "node:fs";

let memory;
const host = {
  print: (at, length) => process.stdout.write(Buffer.from(new Uint8Array(memory.buffer, at, length))),
  finish: (status) => { process.exitCode = status; },
};
const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), { host });
memory = instance.exports.memory;
instance.exports.begin();
