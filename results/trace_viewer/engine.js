// Runs the engine of the Perfetto viewer, a web worker, in Node: node engine.js FOLDER REQUESTS REPLIES
// FOLDER holds engine_bundle.js and trace_processor*.wasm; REQUESTS is a file of messages, each after
// its length (4 bytes, little endian); what the engine answers is written to REPLIES.
"use strict";
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const [folder, requests, replies] = process.argv.slice(2);
const file = (url) => fs.readFileSync(path.join(folder, path.basename(String(url))));

// What the bundle expects of a worker. It refuses to start where it sees Node.
Object.defineProperty(process, "type", { value: "renderer" });
globalThis.self = globalThis;
globalThis.WorkerGlobalScope = function () {};
globalThis.location = { href: "http://localhost/engine_bundle.js" };
globalThis.importScripts = () => {};
globalThis.fetch = async (url) =>
  new Response(file(url), { headers: { "Content-Type": "application/wasm" } });
globalThis.XMLHttpRequest = class {
  open(_method, url) {
    this.url = url;
  }
  send() {
    this.status = 200;
    this.response = new Uint8Array(file(this.url)).buffer;
    if (this.onload) this.onload();
  }
};
vm.runInThisContext(file("engine_bundle.js").toString());

const answers = fs.openSync(replies, "w");
const port = { postMessage: (bytes) => fs.writeSync(answers, bytes) };
self.onmessage({ data: port });
// The engine does not say when it is ready; it answers each message before the call returns.
setTimeout(() => {
  const bytes = fs.readFileSync(requests);
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    port.onmessage({ data: new Uint8Array(bytes.subarray(at + 4, at + 4 + length)) });
    at += 4 + length;
  }
  process.exit(0);
}, 5000);
