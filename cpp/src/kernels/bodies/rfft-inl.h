// The spectrum of real samples. Included once per instruction set, inside its target region.
//
// Even lengths are one complex transform of half as many numbers, whose spectrum is then taken apart. The numbers lie
// in a matrix row by row: its columns are transformed, the matrix is turned over, its columns are transformed again.
// So vectors run along rows, and each number is computed by the same operations at any width of vector.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// A pass of radix P over all columns: `rest` butterflies of each, whose inputs stand `rest` rows apart.
struct FftPass {
  const float* from;
  float* to;
  size_t plane;   // from a real part to its imaginary part
  size_t stride;  // numbers of a row
  uint32_t rest;
  const float* roots;
  size_t length;  // of the roots
  size_t step;    // from a root of this pass to the next one
};

template <int P>
GRUCORE_INLINE void fft_butterfly(F32* re, F32* im) {
  if constexpr (P == 2) {
    const F32 r = re[0], i = im[0];
    re[0] = add(r, re[1]);
    im[0] = add(i, im[1]);
    re[1] = sub(r, re[1]);
    im[1] = sub(i, im[1]);
  } else if constexpr (P == 3) {
    const F32 half = broadcast(0.5f), sine = broadcast(0x1.bb67aep-1f);
    const F32 sum_r = add(re[1], re[2]), sum_i = add(im[1], im[2]);
    const F32 r = mul(sine, sub(re[1], re[2])), i = mul(sine, sub(im[1], im[2]));
    const F32 mid_r = sub(re[0], mul(half, sum_r)), mid_i = sub(im[0], mul(half, sum_i));
    re[0] = add(re[0], sum_r);
    im[0] = add(im[0], sum_i);
    re[1] = add(mid_r, i);
    im[1] = sub(mid_i, r);
    re[2] = sub(mid_r, i);
    im[2] = add(mid_i, r);
  } else if constexpr (P == 4) {
    const F32 even_r = add(re[0], re[2]), even_i = add(im[0], im[2]);
    const F32 far_r = sub(re[0], re[2]), far_i = sub(im[0], im[2]);
    const F32 odd_r = add(re[1], re[3]), odd_i = add(im[1], im[3]);
    const F32 near_r = sub(re[1], re[3]), near_i = sub(im[1], im[3]);
    re[0] = add(even_r, odd_r);
    im[0] = add(even_i, odd_i);
    re[1] = add(far_r, near_i);
    im[1] = sub(far_i, near_r);
    re[2] = sub(even_r, odd_r);
    im[2] = sub(even_i, odd_i);
    re[3] = sub(far_r, near_i);
    im[3] = add(far_i, near_r);
  } else {
    static_assert(P == 5, "radix");
    // Cosines and sines of 72 and 144 degrees.
    const F32 c1 = broadcast(0x1.3c6ef4p-2f), c2 = broadcast(-0x1.9e377ap-1f);
    const F32 s1 = broadcast(0x1.e6f0e2p-1f), s2 = broadcast(0x1.2cf230p-1f);
    const F32 sum1_r = add(re[1], re[4]), sum1_i = add(im[1], im[4]);
    const F32 sum2_r = add(re[2], re[3]), sum2_i = add(im[2], im[3]);
    const F32 dif1_r = sub(re[1], re[4]), dif1_i = sub(im[1], im[4]);
    const F32 dif2_r = sub(re[2], re[3]), dif2_i = sub(im[2], im[3]);
    const F32 mid1_r = add(re[0], add(mul(c1, sum1_r), mul(c2, sum2_r)));
    const F32 mid1_i = add(im[0], add(mul(c1, sum1_i), mul(c2, sum2_i)));
    const F32 mid2_r = add(re[0], add(mul(c2, sum1_r), mul(c1, sum2_r)));
    const F32 mid2_i = add(im[0], add(mul(c2, sum1_i), mul(c1, sum2_i)));
    const F32 far1_r = add(mul(s1, dif1_r), mul(s2, dif2_r)), far1_i = add(mul(s1, dif1_i), mul(s2, dif2_i));
    const F32 far2_r = sub(mul(s2, dif1_r), mul(s1, dif2_r)), far2_i = sub(mul(s2, dif1_i), mul(s1, dif2_i));
    re[0] = add(re[0], add(sum1_r, sum2_r));
    im[0] = add(im[0], add(sum1_i, sum2_i));
    re[1] = add(mid1_r, far1_i);
    im[1] = sub(mid1_i, far1_r);
    re[2] = add(mid2_r, far2_i);
    im[2] = sub(mid2_i, far2_r);
    re[3] = sub(mid2_r, far2_i);
    im[3] = add(mid2_i, far2_r);
    re[4] = sub(mid1_r, far1_i);
    im[4] = add(mid1_i, far1_r);
  }
}

template <int P>
GRUCORE_OUTLINE void fft_pass(const FftPass& p) {
  const size_t rest_stride = p.stride * p.rest;
  for (uint32_t g = 0; g < p.rest; ++g) {
    F32 root_r[P], root_i[P];
    for (int j = 1; j < P; ++j) {
      const float* root = p.roots + static_cast<size_t>(j) * g * p.step;
      root_r[j] = broadcast(root[0]);
      root_i[j] = broadcast(root[p.length]);
    }
    const float* column = p.from + p.stride * g;
    float* result = p.to + p.stride * P * g;
    for (size_t q = 0; q < p.stride; q += kLanes) {
      F32 re[P], im[P];
      for (int j = 0; j < P; ++j) {
        const float* from = column + rest_stride * static_cast<size_t>(j) + q;
        re[j] = load(from);
        im[j] = load(from + p.plane);
      }
      fft_butterfly<P>(re, im);
      for (int j = 0; j < P; ++j) {
        F32 r = re[j], i = im[j];
        if (j > 0 && g > 0) {  // else the root is 1
          r = sub(mul(re[j], root_r[j]), mul(im[j], root_i[j]));
          i = add(mul(re[j], root_i[j]), mul(im[j], root_r[j]));
        }
        float* to = result + p.stride * static_cast<size_t>(j) + q;
        store(to, r);
        store(to + p.plane, i);
      }
    }
  }
}

// A matrix in two planes: real parts, and `plane` floats further imaginary parts. Rows are padded to whole vectors.
struct FftMatrix {
  float* data;
  size_t plane;
  uint32_t rows, columns;

  size_t stride() const { return round_up(columns, kLanes); }
};

// Transforms each column. Returns the result, which is in the matrix or in `other`.
GRUCORE_NOINLINE float* fft_columns(const RfftArgs& args, const FftMatrix& matrix, float* other) {
  float* from = matrix.data;
  size_t stride = matrix.stride();
  for (uint32_t left = matrix.rows; left > 1;) {
    const uint32_t radix = left % 4 == 0 ? 4 : left % 2 == 0 ? 2 : left % 3 == 0 ? 3 : 5;
    const FftPass pass = {from, other, matrix.plane, stride, left / radix, args.roots, args.length, args.length / left};
    switch (radix) {
      case 2: fft_pass<2>(pass); break;
      case 3: fft_pass<3>(pass); break;
      case 4: fft_pass<4>(pass); break;
      default: fft_pass<5>(pass); break;
    }
    float* done = other;
    other = from;
    from = done;
    stride *= radix;
    left /= radix;
  }
  return from;
}

// The samples as numbers, row by row: of an even length two in each.
GRUCORE_INLINE void fft_load(const RfftArgs& args, const FftMatrix& to) {
  const bool in_pairs = args.length % 2 == 0;
  uint32_t sample = 0;
  for (uint32_t row = 0; row < to.rows; ++row) {
    float* r = to.data + to.stride() * row;
    for (uint32_t i = 0; i < to.stride(); ++i) {
      const bool is_padding = i >= to.columns;
      r[i] = is_padding || sample >= args.count ? 0.0f : args.x[sample];
      sample += is_padding ? 0 : 1;
      r[to.plane + i] = is_padding || !in_pairs || sample >= args.count ? 0.0f : args.x[sample];
      sample += is_padding || !in_pairs ? 0 : 1;
    }
  }
}

// Turns the matrix over, each number multiplied by its root.
GRUCORE_INLINE void fft_turn(const RfftArgs& args, const FftMatrix& from, const FftMatrix& to) {
  const size_t step = args.length / (from.rows * from.columns);
  for (uint32_t column = 0; column < from.columns; ++column) {
    const float* root = args.roots;
    const float* x = from.data + column;
    float* y = to.data + to.stride() * column;
    for (uint32_t row = 0; row < to.stride(); ++row, x += from.stride(), root += column * step) {
      float r = 0.0f, i = 0.0f;
      if (row < from.rows) {
        r = x[0];
        i = x[from.plane];
        if (row > 0 && column > 0) {
          r = x[0] * root[0] - x[from.plane] * root[args.length];
          i = x[0] * root[args.length] + x[from.plane] * root[0];
        }
      }
      y[row] = r;
      y[to.plane + row] = i;
    }
  }
}

// The numbers without padding, the first one once more at their end; and all of them from the end to the start.
GRUCORE_INLINE void fft_gather(const FftMatrix& from, float* z, float* mirrored) {
  const uint32_t numbers = from.rows * from.columns;
  uint32_t k = 0;
  for (uint32_t row = 0; row < from.rows; ++row) {
    const float* x = from.data + from.stride() * row;
    for (uint32_t i = 0; i < from.columns; ++i, ++k) {
      z[k] = mirrored[numbers - k] = x[i];
      z[from.plane + k] = mirrored[from.plane + numbers - k] = x[from.plane + i];
    }
  }
  z[numbers] = mirrored[0] = z[0];
  z[from.plane + numbers] = mirrored[from.plane] = z[from.plane];
}

// Twice the spectrum of the samples, of that of the even ones plus i times the odd ones: bins 0 to `numbers`.
GRUCORE_INLINE void fft_part(const RfftArgs& args, size_t plane, float* z, const float* mirrored) {
  const size_t bins = args.length / 2 + 1;
  for (size_t k = 0; k < bins; k += kLanes) {
    const F32 a_r = load(z + k), a_i = load(z + plane + k);
    const F32 b_r = load(mirrored + k), b_i = load(mirrored + plane + k);
    const F32 root_r = load_up_to(args.roots + k, bins - k);
    const F32 root_i = load_up_to(args.roots + args.length + k, bins - k);
    const F32 odd_r = add(a_i, b_i), odd_i = sub(b_r, a_r);
    const F32 turned_r = sub(mul(odd_r, root_r), mul(odd_i, root_i));
    const F32 turned_i = add(mul(odd_r, root_i), mul(odd_i, root_r));
    store(z + k, add(add(a_r, b_r), turned_r));
    store(z + plane + k, add(sub(a_i, b_i), turned_i));
  }
}

// The result, of parts that are `1 / scale` times too large.
GRUCORE_INLINE void fft_write(const RfftArgs& args, size_t plane, const float* z, float scale) {
  const size_t bins = args.length / 2 + 1;
  const bool is_complex = args.form == Spectrum::kComplex;
  const F32 factor = broadcast(args.form == Spectrum::kPower ? scale * scale : scale);
  for (size_t k = 0; k < bins; k += kLanes) {
    const F32 r = load(z + k), i = load(z + plane + k);
    F32 result = is_complex ? r : add(mul(r, r), mul(i, i));
    if (args.form == Spectrum::kMagnitude) result = sqrt(result);
    store_up_to(args.y + k, flush_denormals(mul(factor, result)), bins - k);
    if (is_complex) store_up_to(args.y + bins + k, flush_denormals(mul(factor, i)), bins - k);
  }
}

// The transform of a matrix, row by row in the one that it returns, which is the matrix or `other`.
GRUCORE_INLINE FftMatrix fft_whole(const RfftArgs& args, const FftMatrix& first, float* other) {
  float* columns = fft_columns(args, first, other);
  const FftMatrix second = {columns == first.data ? other : first.data, first.plane, first.columns, first.rows};
  fft_turn(args, {columns, first.plane, first.rows, first.columns}, second);
  return {fft_columns(args, second, columns), first.plane, first.columns, first.rows};
}

void rfft(const RfftArgs& args) {
  const size_t plane = rfft_plane(args.rows, args.columns);
  float *a = args.scratch, *b = a + 2 * plane, *mirrored = b + 2 * plane;
  const FftMatrix first = {a, plane, args.rows, args.columns};
  fft_load(args, first);
  const FftMatrix spectrum = fft_whole(args, first, b);
  float* z = spectrum.data == a ? b : a;
  fft_gather(spectrum, z, mirrored);
  const bool in_pairs = args.length % 2 == 0;
  if (in_pairs) fft_part(args, plane, z, mirrored);
  fft_write(args, plane, z, in_pairs ? 0.5f : 1.0f);
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
