// The audio thread: samples to WebAssembly, scores to words, words to the page.
// SPDX-License-Identifier: Apache-2.0

// Reports a word once, when its probability averaged over some frames passes a threshold: grucore.demo.decisions.
class Detector {
  constructor({ labels, background, threshold, smoothing_frames, refractory_frames }) {
    Object.assign(this, { threshold, refractory: refractory_frames, length: smoothing_frames });
    this.words = labels.map((_, i) => i).filter((i) => !background.includes(labels[i]));
    this.recent = new Float64Array(smoothing_frames * labels.length);
    this.means = new Float64Array(labels.length);
    this.frame = 0;
    this.armed = true;
    this.quietUntil = 0;
  }

  // The index of a label, or -1. `means` has the averages afterwards.
  push(scores) {
    const classes = scores.length;
    const at = (this.frame % this.length) * classes;
    let most = -Infinity;
    let sum = 0;
    for (let i = 0; i < classes; ++i) most = Math.max(most, scores[i]);
    for (let i = 0; i < classes; ++i) sum += this.recent[at + i] = Math.exp(scores[i] - most);
    for (let i = 0; i < classes; ++i) this.recent[at + i] /= sum;
    this.means.fill(0);
    for (let i = 0; i < this.recent.length; ++i) this.means[i % classes] += this.recent[i] / this.length;
    let best = this.words[0];
    for (const word of this.words) if (this.means[word] > this.means[best]) best = word;
    const frame = this.frame++;
    if (this.means[best] < this.threshold / 2) this.armed = true;
    if (!this.armed || frame < this.quietUntil || this.means[best] < this.threshold) return -1;
    this.armed = false;
    this.quietUntil = frame + this.refractory;
    return best;
  }
}

const FRAMES_BETWEEN_REPORTS = 5;

class Spotter extends AudioWorkletProcessor {
  constructor({ processorOptions: { module, settings } }) {
    super();
    const { exports } = new WebAssembly.Instance(module, {});
    this.engine = exports;
    exports.reset();
    const memory = exports.memory.buffer; // it does not grow: these views stay
    this.samples = new Float32Array(memory, exports.sample_buffer(), exports.most_samples());
    this.classes = exports.outputs();
    this.scores = new Float32Array(memory, exports.score_buffer(), this.classes * 16);
    this.detector = new Detector(settings);
  }

  process([[channel]]) {
    if (!channel) return true;
    for (let from = 0; from < channel.length; from += this.samples.length) {
      const part = channel.length > this.samples.length ? channel.subarray(from, from + this.samples.length) : channel;
      this.samples.set(part);
      const frames = this.engine.push(part.length);
      for (let frame = 0; frame < frames; ++frame) this.take(frame);
    }
    return true;
  }

  take(index) {
    const frame = this.detector.frame;
    const word = this.detector.push(this.scores.subarray(index * this.classes, (index + 1) * this.classes));
    if (word >= 0) this.port.postMessage({ word, frame, score: this.detector.means[word] });
    if (frame % FRAMES_BETWEEN_REPORTS === 0) this.port.postMessage({ frame, means: this.detector.means.slice() });
  }
}

registerProcessor("spotter", Spotter);
