#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <polyphony/tensor/value.h>

namespace polyphony::tensor {

/// Pickle protocol 2 of plain data, as torch.save writes it; tensor i's bytes are storage "i".
/// @param storages  gets the tensors, contiguous, in storage order
std::string pickle(const Value& value, std::vector<at::Tensor>& storages);

/// What a pickle says of a tensor's bytes.
struct StorageRef {
  std::string key;
  at::ScalarType type = at::kFloat;
  std::int64_t elements = 0;
};
/// Gives a storage as a 1-D tensor.
using StorageLoader = std::function<at::Tensor(const StorageRef&)>;

/// Reads plain data and tensors; refuses everything that names code.
/// @throws DataError beginning with `source`
Value unpickle(const std::string& bytes, const StorageLoader& load, const std::string& source);
/// Reads the first of several pickles, and takes it away from `bytes`. @throws as unpickle
Value unpickle_next(std::string_view& bytes, const StorageLoader& load, const std::string& source);

/// Reads plain data and objects of the classes (and functions) that are named; none is made or
/// called. An object is a dict: "class" (its name), "args" (a tuple, what it would be made with)
/// and "state" (what would be given to it, or None). A class that is named only has args None;
/// bytes are an object of the class "bytes" with one str.
/// @param what  for messages, e.g. "table"
/// @throws DataError beginning with `source`; it names the class where it is another
Value unpickle_objects(const std::string& bytes, const std::set<std::string>& classes,
                       const std::string& source, const std::string& what);

}  // namespace polyphony::tensor
