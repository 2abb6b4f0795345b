#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <polyphony/tensor/pickle.h>

namespace polyphony::tensor {

/// A class that torch.save names for what a storage holds: "torch.FloatStorage".
struct StorageClass {
  const char* name;
  at::ScalarType type;
};
inline constexpr StorageClass kStorageClasses[] = {
    {"FloatStorage", at::kFloat},       {"DoubleStorage", at::kDouble}, {"HalfStorage", at::kHalf},
    {"BFloat16Storage", at::kBFloat16}, {"LongStorage", at::kLong},     {"IntStorage", at::kInt},
    {"ShortStorage", at::kShort},       {"CharStorage", at::kChar},     {"ByteStorage", at::kByte},
    {"BoolStorage", at::kBool}};

/// An object of a pickle: data, a name of code we know, or a storage. The machine's stack, its memo
/// and the containers refer to it, so that what is filled later is full wherever it is named.
struct Object {
  enum class What { kPlain, kList, kTuple, kDict, kGlobal, kStorage, kInstance };
  What what = What::kPlain;
  Value plain;                       ///< kPlain: what holds nothing
  std::string name;                  ///< kGlobal, kInstance
  StorageRef storage;                ///< kStorage
  std::vector<const Object*> items;  ///< of a container; a dict's keys and values by turns;
                                     ///< of an instance: arguments and state, as far as known
};

/// The object as data; one that is named twice is there twice.
/// @param pickled  the size of the pickle in bytes, which bounds what it may hold
/// @param what     what the pickle is, for messages: "checkpoint"
/// @throws DataError beginning with `source` where it nests too deep, contains itself, repeats
///         without bound, or is no data
Value value_of(const Object& object, std::size_t pickled, const std::string& source,
               const std::string& what);

}  // namespace polyphony::tensor
