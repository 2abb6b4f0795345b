#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <polyphony/tensor/value.h>

namespace polyphony::tensor {

/// A NumPy array of a pickle, in C order: cells are int, float, bool, or for object arrays whatever
/// they hold.
struct NumpyArray {
  std::vector<std::int64_t> shape;
  std::vector<Value> cells;
};

/// The classes that a pickled array names (NumPy 1 and 2).
std::vector<std::string> numpy_classes();

/// An array of unpickle_objects, whole.
/// @throws DataError beginning with `source`, naming a dtype that is not read
NumpyArray numpy_array(const Value& object, const std::string& source);

/// A NumPy scalar as a plain value; any other value as it is.
Value numpy_scalar(const Value& value, const std::string& source);

/// The class of an object of unpickle_objects; "" for plain data.
std::string class_of(const Value& value);

}  // namespace polyphony::tensor
