// The samples of a spectrum. Included once per instruction set, inside its target region, after rfft-inl.h.
//
// A transform of numbers whose parts have changed places gives the inverse transform, whose parts have changed places.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// Numbers 0 to n of an even length, of which the samples two by two are the inverse transform, both parts in the
// other's place. The first and the last bin are real.
GRUCORE_INLINE void ifft_join(const RfftArgs& args, size_t plane, float* z, float* mirrored) {
  const size_t numbers = args.length / 2, bins = numbers + 1;
  for (size_t k = 0; k < bins; ++k) {
    const bool is_real = k == 0 || k == numbers;
    z[k] = mirrored[numbers - k] = args.x[k];
    z[plane + k] = mirrored[plane + numbers - k] = is_real ? 0.0f : args.x[bins + k];
  }
  for (size_t k = 0; k < numbers; k += kLanes) {
    const F32 a_r = load(z + k), a_i = load(z + plane + k);
    const F32 b_r = load(mirrored + k), b_i = load(mirrored + plane + k);
    const F32 root_r = load_up_to(args.roots + k, bins - k);
    const F32 root_i = load_up_to(args.roots + args.length + k, bins - k);
    const F32 odd_r = sub(a_r, b_r), odd_i = sub(zero(), add(a_i, b_i));
    const F32 turned_r = sub(mul(odd_r, root_r), mul(odd_i, root_i));
    const F32 turned_i = add(mul(odd_r, root_i), mul(odd_i, root_r));
    store(z + k, add(sub(a_i, b_i), turned_r));
    store(z + plane + k, add(add(a_r, b_r), turned_i));
  }
}

// The same of an odd length, whose samples are the real parts.
GRUCORE_INLINE void ifft_mirror(const RfftArgs& args, size_t plane, float* z) {
  const size_t bins = args.length / 2 + 1;
  z[0] = 0.0f;
  z[plane] = args.x[0];
  for (size_t k = 1; k < bins; ++k) {
    const float r = args.x[k], i = args.x[bins + k];
    z[k] = i;
    z[args.length - k] = 0.0f - i;
    z[plane + k] = z[plane + args.length - k] = r;
  }
}

// Numbers one after the other as the rows of a matrix, with zeros after each.
GRUCORE_INLINE void ifft_lay(const float* z, const FftMatrix& to) {
  for (uint32_t row = 0; row < to.rows; ++row, z += to.columns) {
    float* r = to.data + to.stride() * row;
    for (uint32_t i = 0; i < to.stride(); ++i) {
      r[i] = i < to.columns ? z[i] : 0.0f;
      r[to.plane + i] = i < to.columns ? z[to.plane + i] : 0.0f;
    }
  }
}

void irfft(const RfftArgs& args) {
  const size_t plane = rfft_plane(args.rows, args.columns);
  float *a = args.scratch, *b = a + 2 * plane, *mirrored = b + 2 * plane;
  const bool in_pairs = args.length % 2 == 0;
  if (in_pairs) {
    ifft_join(args, plane, b, mirrored);
  } else {
    ifft_mirror(args, plane, b);
  }
  const FftMatrix first = {a, plane, args.rows, args.columns};
  ifft_lay(b, first);
  const FftMatrix samples = fft_whole(args, first, b);
  const float factor = 1.0f / static_cast<float>(args.length);
  float* y = args.y;
  for (uint32_t row = 0; row < samples.rows; ++row) {
    const float* r = samples.data + samples.stride() * row;
    for (uint32_t i = 0; i < samples.columns; ++i) {
      *y++ = r[plane + i] * factor;
      if (in_pairs) *y++ = r[i] * factor;
    }
  }
  for (size_t n = 0; n < args.length; n += kLanes) {
    const size_t left = args.length - n;
    store_up_to(args.y + n, flush_denormals(load_up_to(args.y + n, left)), left);
  }
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
