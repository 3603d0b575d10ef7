// The page: sound from the clip or the microphone, through the worklet; words and scores on the screen.
// SPDX-License-Identifier: Apache-2.0
const [settings, wasm] = await Promise.all([
  fetch("settings.json").then((answer) => answer.json()),
  fetch("spotter.wasm").then((answer) => answer.arrayBuffer()),
]);
const module = await WebAssembly.compile(wasm);
const find = (id) => document.getElementById(id);
find("size").textContent = `${(wasm.byteLength / 1000).toFixed(0)} kB`;

const meters = settings.labels.map((label) => {
  const row = document.createElement("label");
  const meter = document.createElement("meter");
  row.append(label, meter);
  if (!settings.background.includes(label)) find("bars").append(row);
  return meter;
});

// ------------------------------------------------------------------------------------------------- the picture

const canvas = find("wave");
const paint = canvas.getContext("2d");
const colourOf = (element) => getComputedStyle(element).color;

// The loudest sample of each column, from left to right, and words where they were heard.
function draw(samples, seconds, heard) {
  const { width, height } = canvas;
  const middle = height * 0.6;
  paint.clearRect(0, 0, width, height);
  paint.fillStyle = colourOf(find("status"));
  const each = samples.length / width;
  const loudest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0.1);
  for (let column = 0; column < width; ++column) {
    let most = 0;
    for (let i = Math.floor(column * each); i < (column + 1) * each; ++i) most = Math.max(most, Math.abs(samples[i]));
    const half = (most / loudest) * height * 0.36;
    paint.fillRect(column, middle - half, 1, 1 + 2 * half);
  }
  paint.fillStyle = colourOf(canvas);
  paint.font = "600 26px system-ui, sans-serif";
  paint.textAlign = "center";
  heard.forEach(({ word, at }, i) => {
    const x = (at / seconds) * width;
    paint.fillRect(x - 1, 62, 2, height - 70);
    paint.fillText(settings.labels[word], Math.min(Math.max(x, 30), width - 30), i % 2 ? 54 : 28);
  });
}

// ------------------------------------------------------------------------------------------------- listening

// `show` gets the mean of each class, now and then.
async function listen(context, heard, show) {
  await context.audioWorklet.addModule("worklet.js");
  const node = new AudioWorkletNode(context, "spotter", { numberOfOutputs: 1, processorOptions: { module, settings } });
  node.port.onmessage = ({ data }) => {
    if (data.means) return data.means.forEach(show);
    // The frame's last sample.
    const at = (data.frame * settings.hop_samples + settings.window_samples) / settings.sample_rate;
    heard.push({ word: data.word, at, score: data.score });
    find("status").textContent = heard.map(({ word }) => settings.labels[word]).join(", ");
  };
  return node;
}

// As fast as it goes: what the whole clip says.
async function transcribe() {
  const bytes = await fetch("clip.wav").then((answer) => answer.arrayBuffer());
  const decoder = new OfflineAudioContext(1, 1, settings.sample_rate);
  const clip = await decoder.decodeAudioData(bytes);
  const context = new OfflineAudioContext(1, clip.length, settings.sample_rate);
  const heard = [];
  meters.forEach((meter) => (meter.value = 0));
  const node = await listen(context, heard, (mean, i) => (meters[i].value = Math.max(meters[i].value, mean)));
  const source = new AudioBufferSourceNode(context, { buffer: clip });
  source.connect(node).connect(context.destination);
  source.start();
  const begin = performance.now();
  await context.startRendering();
  const took = (performance.now() - begin) / 1000;
  await new Promise((done) => setTimeout(done, 100)); // messages that are still under way
  draw(clip.getChannelData(0), clip.duration, heard);
  return { heard, clip, took };
}

let context = null;

async function stop() {
  find("stop").disabled = true;
  if (context) await context.close();
  context = null;
}

async function play() {
  await stop();
  const { clip, heard } = await transcribe();
  context = new AudioContext({ sampleRate: settings.sample_rate });
  const source = new AudioBufferSourceNode(context, { buffer: clip });
  source.connect(context.destination);
  source.onended = stop;
  source.start();
  find("stop").disabled = false;
  return heard;
}

// The last seconds of the microphone, for as long as it is open.
async function open() {
  await stop();
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  const own = (context = new AudioContext({ sampleRate: settings.sample_rate }));
  const heard = [];
  const source = new MediaStreamAudioSourceNode(own, { mediaStream: stream });
  const analyser = new AnalyserNode(own, { fftSize: 2048 });
  const node = await listen(own, heard, (mean, i) => (meters[i].value = mean));
  source.connect(analyser);
  source.connect(node);
  find("stop").disabled = false;
  find("status").textContent = "Listening.";
  const seconds = 8;
  const shown = new Float32Array(seconds * settings.sample_rate);
  const block = new Float32Array(analyser.fftSize);
  let seen = own.currentTime;
  const begin = seen;
  const tick = () => {
    if (context !== own) return stream.getTracks().forEach((track) => track.stop());
    const fresh = Math.min(Math.round((own.currentTime - seen) * settings.sample_rate), block.length);
    seen = own.currentTime;
    analyser.getFloatTimeDomainData(block);
    shown.copyWithin(0, fresh);
    shown.set(block.subarray(block.length - fresh), shown.length - fresh);
    const left = seen - begin - seconds;
    const recent = heard.filter(({ at }) => at > left).map((one) => ({ ...one, at: one.at - left }));
    draw(shown, seconds, recent);
    requestAnimationFrame(tick);
  };
  tick();
  return heard;
}

const report = (failure) => (find("status").textContent = `${failure.name}: ${failure.message}`);
find("clip").onclick = () => play().catch(report);
find("microphone").onclick = () => open().catch(report);
find("stop").onclick = () => stop();

// ------------------------------------------------------------------------------------------------- its test

// test.mjs opens the page with ?test=clip or ?test=microphone, and waits for what it says.
const test = new URLSearchParams(location.search).get("test");
const say = (result) => fetch("result", { method: "POST", body: JSON.stringify(result) });
try {
  if (test === "clip") {
    const { heard, clip, took } = await transcribe();
    find("status").textContent = heard.map(({ word }) => settings.labels[word]).join(", ");
    await say({ heard, seconds: clip.duration, took });
  } else if (test === "microphone") {
    const heard = await open();
    await new Promise((done) => setTimeout(done, 1000 * settings.clip_seconds + 2000));
    await say({ heard });
    await stop();
  }
} catch (failure) {
  await say({ failure: String(failure.stack) });
}
