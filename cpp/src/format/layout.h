// The numbers of docs/format.md.
// SPDX-License-Identifier: Apache-2.0
#ifndef GRUCORE_FORMAT_LAYOUT_H_
#define GRUCORE_FORMAT_LAYOUT_H_

#include <stddef.h>
#include <stdint.h>

namespace grucore {
namespace detail {

constexpr unsigned char kMagic[8] = {0x89, 'G', 'R', 'U', 0x0d, 0x0a, 0x1a, 0x0a};
constexpr uint32_t kVersion = 1;
constexpr size_t kSectionAlignment = 64;
constexpr size_t kHeaderBytes = 64;
constexpr size_t kValueBytes = 32;
constexpr size_t kNodeBytes = 64;
constexpr size_t kTensorBytes = 64;

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 40;
constexpr uint32_t kMaxValues = 4096;
constexpr uint32_t kMaxNodes = 4096;
constexpr uint32_t kMaxTensors = 65536;
constexpr uint32_t kMaxPorts = 64;  // inputs or outputs, of the model or of a node
constexpr uint32_t kMaxWords = 1u << 20;
constexpr uint32_t kMaxNameBytes = 1u << 20;
constexpr uint32_t kMaxNameLength = 255;
constexpr uint32_t kMaxMetadataBytes = 1u << 26;
constexpr uint32_t kMaxFeatures = 1u << 20;
constexpr uint32_t kMaxPeriod = 65536;
constexpr uint32_t kMaxSkip = 1u << 20;
constexpr uint32_t kMaxAttributes = 64;
constexpr uint32_t kMaxNodeTensors = 64;

enum class TensorDtype : uint32_t { kFloat32 = 0, kInt32 = 1, kFloat16 = 2, kInt8 = 3, kInt4 = 4 };
enum class Layout : uint32_t { kRowMajor = 1, kPanel16 = 2, kRows = 3 };
enum class Role : uint32_t {
  kWeightIh = 1,
  kWeightHh = 2,
  kWeightHn = 3,
  kBias = 4,
  kWeight = 5,
  kInitialState = 6,
  kTable = 7,
  kScale = 8,
  kShift = 9,
  kSlope = 10,
  kIndex = 11,
  kWeightIhScale = 12,
  kWeightHhScale = 13,
  kWeightHnScale = 14,
  kWeightScale = 15,
  kTableScale = 16,
  kInputRange = 17,
  kTestInput = 64,
  kTestOutput = 65,
};

}  // namespace detail
}  // namespace grucore

#endif  // GRUCORE_FORMAT_LAYOUT_H_
