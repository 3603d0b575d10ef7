// Products of int8 weights where Helium multiplies sixteen of them with as many bytes of activations at once, four rows
// of weights at a time. The four weights of a row and four inputs are a word: a vector gathers those of four times four
// inputs. Included once per instruction set, inside its target region, where vectors have one lane.
// SPDX-License-Identifier: Apache-2.0

namespace grucore::detail::GRUCORE_ISA {
namespace {

template <WeightKind kKind>
constexpr bool kHasPlainPanels = kKind == WeightKind::kInt8;

// The sums of four rows over so many words of activations; at: the addresses of the first row's first four words, from
// each of which the other rows' words follow; step: bytes to the next four.
GRUCORE_INLINE int32x4_t dot_four_rows(uint32x4_t at, const unsigned char* x, uint32_t words, uint32_t step) {
  int32_t a = 0, b = 0, c = 0, d = 0;
  int32x4_t sums;
  __asm__ volatile(
      "wlstp.32 lr, %[words], 2f\n"
      "1: vldrw.u32 q0, [%[x]], #16\n"
      "vldrw.u32 q1, [%q[at]]\n"
      "vmladava.s8 %[a], q1, q0\n"
      "vldrw.u32 q1, [%q[at], #4]\n"
      "vmladava.s8 %[b], q1, q0\n"
      "vldrw.u32 q1, [%q[at], #8]\n"
      "vmladava.s8 %[c], q1, q0\n"
      "vldrw.u32 q1, [%q[at], #12]\n"
      "vmladava.s8 %[d], q1, q0\n"
      "vadd.i32 %q[at], %q[at], %[step]\n"
      "letp lr, 1b\n"
      "2: vmov %q[sums][2], %q[sums][0], %[a], %[c]\n"
      "vmov %q[sums][3], %q[sums][1], %[b], %[d]"
      : [a] "+Te"(a), [b] "+Te"(b), [c] "+Te"(c), [d] "+Te"(d), [x] "+r"(x), [at] "+w"(at), [sums] "=w"(sums)
      : [words] "r"(words), [step] "r"(step)
      : "q0", "q1", "lr", "cc", "memory");
  return sums;
}

// The same as floats, of activations of 16 bits too: an upper byte of each and a lower one, `plane` bytes apart.
GRUCORE_INLINE F32x4 sum_activations(uint32x4_t at, const unsigned char* x, uint32_t words, uint32_t step,
                                     uint32_t plane) {
  int32x4_t dots = dot_four_rows(at, x, words, step);
  if (plane) dots = vaddq_s32(vshlq_n_s32(dots, kLowerBits), dot_four_rows(at, x + plane, words, step));
  return {vcvtq_f32_s32(dots)};
}

template <WeightKind, int>
GRUCORE_OUTLINE void panel_product(const PanelProduct& panel, const unsigned char* x, const PackedWeights& weights) {
  constexpr uint32_t kBlockWords = kBlockInputs / 4;
  const uint32_t words = (weights.inputs + 3) / 4, pitch = panel.width * 4, step = 4 * pitch;
  const uint32_t first = words < kBlockWords ? words : kBlockWords;
  const uint32_t plane = weights.activation_bits == 8 ? 0 : weights.plane;
  const Float x_scale = {bit_cast<float>(load_bytes(x).v)};
  x += weights.header;
  const uint32x4_t places = {0, pitch, 2 * pitch, 3 * pitch};
  uint32x4_t at = vaddq_n_u32(places, static_cast<uint32_t>(reinterpret_cast<uintptr_t>(panel.weights)));
  const float *scale = static_cast<const float*>(panel.scale), *start = panel.start;
  float* y = panel.y;
  forget_denormals();
  for (uint32_t left = panel.width; left; left -= kFourRows, at = vaddq_n_u32(at, 16), scale += 4, y += 4) {
    F32x4 sums = sum_activations(at, x, first, step, plane);
    for (uint32_t done = kBlockWords; done < words; done += kBlockWords) {
      const uint32_t more = words - done < kBlockWords ? words - done : kBlockWords;
      sums = add(sums, sum_activations(vaddq_n_u32(at, done * pitch), x + done * 4, more, step, plane));
    }
    F32x4 result = mul(mul(sums, x_scale), load_four_floats(scale));
    if (start) result = add(load_four_floats(start), result);
    if (!met_denormals(result)) {
      store_four_floats(y, result);
    } else {
      float totals[kFourRows];
      store_four_floats(totals, sums);
      for (int r = 0; r < kFourRows; ++r) {
        const F32 product = mul(mul(load(totals + r), broadcast(x_scale.v)), load(scale + r));
        store(y + r, start ? add(load(start + r), product) : product);
      }
    }
    if (start) start += 4;
  }
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
