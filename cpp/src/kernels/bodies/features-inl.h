// Reductions over the features of one row. Included once per instruction set, inside its target region.
//
// Sixteen partial sums by index mod 16, joined as 8-4-2-1: the same order for every vector width.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

constexpr int kParts = 16;
constexpr int kPartVectors = kParts / kLanes;

// Sixteen values from index i on, `fill` past the end.
struct Sixteen {
  F32 v[kPartVectors];
};

GRUCORE_INLINE Sixteen load_sixteen(const float* x, size_t i, size_t count, float fill) {
  Sixteen values;
  if (count - i >= static_cast<size_t>(kParts)) {
    for (int p = 0; p < kPartVectors; ++p) values.v[p] = load(x + i + static_cast<size_t>(p) * kLanes);
    return values;
  }
  float padded[kParts];
  for (size_t j = 0; j < static_cast<size_t>(kParts); ++j) padded[j] = i + j < count ? x[i + j] : fill;
  for (int p = 0; p < kPartVectors; ++p) values.v[p] = load(padded + p * kLanes);
  return values;
}

GRUCORE_INLINE float joined(const Sixteen& values) {
  float parts[kParts];
  for (int p = 0; p < kPartVectors; ++p) store(parts + p * kLanes, values.v[p]);
  for (int half = kParts / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) {
      if constexpr (kLanes == 1) {
        store(parts + i, add(load(parts + i), load(parts + i + half)));
      } else {
        parts[i] = parts[i] + parts[i + half];
      }
    }
  }
  return parts[0];
}
GRUCORE_INLINE F32 join_sum(const Sixteen& values) { return broadcast(joined(values)); }

GRUCORE_INLINE Sixteen no_sum() {
  Sixteen sum;
  for (int p = 0; p < kPartVectors; ++p) sum.v[p] = zero();
  return sum;
}

GRUCORE_INLINE F32 sum_of(const float* x, size_t count) {
  Sixteen sum = no_sum();
  for (size_t i = 0; i < count; i += kParts) {
    const Sixteen values = load_sixteen(x, i, count, 0.0f);
    for (int p = 0; p < kPartVectors; ++p) sum.v[p] = add(sum.v[p], values.v[p]);
  }
  return join_sum(sum);
}

// The largest value; NaN is passed over here and comes back with the exponentials.
GRUCORE_INLINE F32 max_of(const float* x, size_t count) {
  float most = x[0];
  Sixteen best = load_sixteen(x, 0, count, most);
  for (size_t i = kParts; i < count; i += kParts) {
    const Sixteen values = load_sixteen(x, i, count, most);
    for (int p = 0; p < kPartVectors; ++p) best.v[p] = select(gt(values.v[p], best.v[p]), values.v[p], best.v[p]);
  }
  float parts[kParts];
  for (int p = 0; p < kPartVectors; ++p) store(parts + p * kLanes, best.v[p]);
  for (int i = 0; i < kParts; ++i) most = parts[i] > most ? parts[i] : most;
  return broadcast(most);
}

void softmax(bool logarithm, float* y, const float* x, size_t count) {
  const F32 most = max_of(x, count);
  for (size_t i = 0; i < count; i += kLanes) {
    store_up_to(y + i, exp_f32(sub(load_up_to(x + i, count - i), most)), count - i);
  }
  const F32 total = sum_of(y, count);
  const F32 log_total = logarithm ? log_f32(total) : zero();
  for (size_t i = 0; i < count; i += kLanes) {
    const F32 result =
        logarithm ? sub(sub(load_up_to(x + i, count - i), most), log_total) : div(load_up_to(y + i, count - i), total);
    store_up_to(y + i, flush_denormals(result), count - i);
  }
}

void layer_norm(float epsilon, float* y, const float* x, const float* scale, const float* shift, size_t count) {
  const F32 features = broadcast(static_cast<float>(count));
  const F32 mean = div(sum_of(x, count), features);
  float mean_value[kLanes];
  store(mean_value, mean);
  Sixteen squares = no_sum();
  for (size_t i = 0; i < count; i += kParts) {
    const Sixteen values = load_sixteen(x, i, count, mean_value[0]);  // whose difference from the mean is 0
    for (int p = 0; p < kPartVectors; ++p) {
      const F32 difference = sub(values.v[p], mean);
      squares.v[p] = add(squares.v[p], mul(difference, difference));
    }
  }
  const F32 variance = div(join_sum(squares), features);
  const F32 deviation = sqrt(add(variance, broadcast(epsilon)));
  for (size_t i = 0; i < count; i += kLanes) {
    const size_t left = count - i;
    const F32 normal = div(sub(load_up_to(x + i, left), mean), deviation);
    const F32 result = add(mul(normal, load_up_to(scale + i, left)), load_up_to(shift + i, left));
    store_up_to(y + i, flush_denormals(result), left);
  }
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
