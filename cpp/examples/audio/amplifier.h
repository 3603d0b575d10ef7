// A GRU as an audio effect, in the form that hosts of plug-ins call: prepare once, then process from the audio thread.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_EXAMPLES_AUDIO_AMPLIFIER_H_
#define GRUCORE_EXAMPLES_AUDIO_AMPLIFIER_H_

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "grucore/grucore.hpp"

class Amplifier {
 public:
  // Reads the model and takes all memory. `largest_block`: frames that a call of process may bring at most.
  Amplifier(const std::string& path, uint32_t largest_block) : model_(grucore::SharedModel::load(path)) {
    if (model_.input_features() != 1 || model_.output_features() != 1) {
      throw std::runtime_error(path + ": expected one sample in and one out");
    }
    grucore::StreamOptions options;
    options.block = largest_block;
    // A broken sample must not stay in the state for ever.
    options.nonfinite = grucore::Nonfinite::kHold;
    stream_ = grucore::OwnedStream(model_, options);
  }

  // The callback: any number of frames. No allocation, no lock, no call of the system, whatever the samples are; the
  // host's floating-point mode may be anything and stays as it is. `out` may be `in`.
  void process(const float* in, float* out, uint32_t frames) noexcept {
    stream_.run(in, out, frames);
    // A held frame gives NaN; speakers want silence.
    if (stream_.take_flags() == 0) return;
    for (uint32_t i = 0; i < frames; ++i) out[i] = out[i] == out[i] ? out[i] : 0.0f;
  }

  // When playback starts again.
  void reset() noexcept { stream_.reset(); }

 private:
  grucore::SharedModel model_;
  grucore::OwnedStream stream_;
};

#endif  // GRUCORE_EXAMPLES_AUDIO_AMPLIFIER_H_
