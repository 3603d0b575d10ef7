// The page in a browser without a screen: what it hears in the clip, and through a microphone that plays the clip.
// SPDX-License-Identifier: Apache-2.0
// Usage: node test.mjs FOLDER [SCREENSHOT.png]   (FOLDER: of build.py; the browser: $CHROMIUM, or chromium)
import { spawn } from "node:child_process";
import { createReadStream, existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, resolve } from "node:path";

const folder = resolve(process.argv[2] ?? "build");
const screenshot = process.argv[3] && resolve(process.argv[3]);
const kinds = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json",
  ".wasm": "application/wasm", ".wav": "audio/wav" };
const LONGEST_WAIT = 90_000;

let answer = () => {};
const server = createServer((request, response) => {
  const path = new URL(request.url, "http://localhost").pathname;
  if (request.method === "POST") {
    let text = "";
    request.on("data", (part) => (text += part));
    request.on("end", () => (response.end(), answer(JSON.parse(text))));
    return;
  }
  const file = join(folder, path === "/" ? "index.html" : path);
  if (!file.startsWith(folder) || !existsSync(file)) return response.writeHead(404).end();
  response.writeHead(200, { "Content-Type": kinds[extname(file)] ?? "application/octet-stream" });
  createReadStream(file).pipe(response);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const page = `http://127.0.0.1:${server.address().port}/`;

// Asks the browser through its debugging pipe: file descriptors 3 and 4, messages that end with a zero.
function debuggerOf(browser) {
  const waiting = new Map();
  let text = "";
  browser.stdio[4].on("data", (part) => {
    const messages = (text += part).split("\0");
    text = messages.pop();
    for (const { id, result } of messages.map((message) => JSON.parse(message))) {
      waiting.get(id)?.(result);
      waiting.delete(id);
    }
  });
  let last = 0;
  return (method, params = {}, sessionId = undefined) => {
    browser.stdio[3].write(`${JSON.stringify({ id: ++last, method, params, sessionId })}\0`);
    return new Promise((done) => waiting.set(last, done));
  };
}

async function photograph(ask, path) {
  const { targetInfos } = await ask("Target.getTargets");
  const { targetId } = targetInfos.find(({ type }) => type === "page");
  const { sessionId } = await ask("Target.attachToTarget", { targetId, flatten: true });
  const { data } = await ask("Page.captureScreenshot", { format: "png" }, sessionId);
  await writeFile(path, Buffer.from(data, "base64"));
}

// Opens the page, and gives what it posts; a picture of it then, where there is a path for one.
async function open(query, { flags = [], picture } = {}) {
  const profile = await mkdtemp(join(tmpdir(), "grucore-web-"));
  const posted = new Promise((done) => (answer = done));
  const browser = spawn(process.env.CHROMIUM ?? "chromium", [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", `--user-data-dir=${profile}`,
    "--autoplay-policy=no-user-gesture-required", "--window-size=900,640", "--remote-debugging-pipe", ...flags,
    page + query,
  ], { stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"] });
  const ask = debuggerOf(browser);
  let said = "";
  browser.stderr.on("data", (part) => (said += part));
  const ended = new Promise((done) => browser.on("exit", done));
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`no answer from ${query}\n${said}`)), LONGEST_WAIT);
  });
  try {
    const result = await Promise.race([posted, late]);
    if (result.failure) throw new Error(result.failure);
    if (picture) await Promise.race([photograph(ask, picture), late]);
    return result;
  } finally {
    clearTimeout(timer);
    browser.kill();
    await ended;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

const expected = JSON.parse(await readFile(join(folder, "work/expected.json")));
const { labels, sample_rate, window_samples, hop_samples } = JSON.parse(await readFile(join(folder, "settings.json")));
const frameOf = (at) => Math.round((at * sample_rate - window_samples) / hop_samples);
const failures = [];

const clip = await open("?test=clip", { picture: screenshot });
const words = clip.heard.map(({ word, at }) => ({ word: labels[word], frame: frameOf(at) }));
console.log(`clip: ${words.map(({ word }) => word).join(" ")}; ${(clip.seconds / clip.took).toFixed(0)} times real time`);
// The window of the features is summed up in float here and in double there: a word may settle a frame apart.
const same = words.length === expected.heard.length &&
  words.every(({ word, frame }, i) => word === expected.heard[i].word && Math.abs(frame - expected.heard[i].frame) <= 1);
if (!same) failures.push(`Python heard ${JSON.stringify(expected.heard)}, the browser ${JSON.stringify(words)}`);

// The microphone plays the clip over and over, from wherever it is when the page opens it.
const live = await open("?test=microphone", {
  flags: ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    `--use-file-for-fake-audio-capture=${join(folder, "clip.wav")}`],
});
const spoken = live.heard.map(({ word }) => labels[word]);
console.log(`microphone: ${spoken.join(" ")}`);
const found = expected.heard.filter(({ word }) => spoken.includes(word)).length;
if (found < 0.7 * expected.heard.length) failures.push(`of ${expected.heard.length} words the microphone brought ${found}`);

server.close();
server.closeAllConnections();
for (const failure of failures) console.error(failure);
console.log(failures.length ? "FAILED" : "ok");
process.exitCode = failures.length ? 1 : 0;
