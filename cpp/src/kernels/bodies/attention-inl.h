// Attention of one query. Included once per instruction set, inside its target region, after the sums over features.
// SPDX-License-Identifier: Apache-2.0

namespace grucore {
namespace detail {
namespace GRUCORE_ISA {
namespace {

// Sixteen chains by index mod 16, joined as every sum over features.
GRUCORE_INLINE float score_of(const float* query, const float* key, const float* vector, size_t count) {
  Sixteen sum = no_sum();
  for (size_t i = 0; i < count; i += kParts) {
    const Sixteen q = load_sixteen(query, i, count, 0.0f), k = load_sixteen(key, i, count, 0.0f);
    if (!vector) {
      for (int p = 0; p < kPartVectors; ++p) sum.v[p] = mul_add(q.v[p], k.v[p], sum.v[p]);
      continue;
    }
    const Sixteen v = load_sixteen(vector, i, count, 0.0f);
    for (int p = 0; p < kPartVectors; ++p) {
      sum.v[p] = mul_add(v.v[p], flush_denormals(tanh_f32(add(q.v[p], k.v[p]))), sum.v[p]);
    }
  }
  return joined(sum);
}

void attend(const AttendArgs& args) {
  for (uint32_t head = 0; head < args.heads; ++head) {
    const float* query = args.query + size_t{head} * args.key_width;
    float* const y = args.y + size_t{head} * args.width;
    for (size_t i = 0; i < args.width; i += kLanes) store_up_to(y + i, zero(), args.width - i);
    if (args.length == 0) continue;
    for (uint32_t j = 0; j < args.length; ++j) {
      args.scores[j] = args.scale * score_of(query, args.keys.data + j * args.keys.stride, args.vector, args.key_width);
    }
    softmax(false, args.scores, args.scores, args.length);
    for (uint32_t j = 0; j < args.length; ++j) {
      const F32 share = broadcast(args.scores[j]);
      const float* value = args.values.data + j * args.values.stride;
      for (size_t i = 0; i < args.width; i += kLanes) {
        const size_t left = args.width - i;
        store_up_to(y + i, mul_add(share, load_up_to(value + i, left), load_up_to(y + i, left)), left);
      }
    }
    for (size_t i = 0; i < args.width; i += kLanes) {
      store_up_to(y + i, flush_denormals(load_up_to(y + i, args.width - i)), args.width - i);
    }
  }
}

}  // namespace
}  // namespace GRUCORE_ISA
}  // namespace detail
}  // namespace grucore
