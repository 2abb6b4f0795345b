#include <polyphony/tensor/numpy_array.h>

#include <cmath>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::tensor {
namespace {

using Kind = Value::Kind;

[[noreturn]] void damaged(const std::string& source) {
  throw DataError(source + ": an array of the table is damaged",
                  "take another copy, or write it again");
}

/// What a dtype says: 'i', 'u', 'f', 'b' or 'O', and bytes of an element.
struct DType {
  char kind = 'O';
  std::size_t size = 8;
};

DType dtype_of(const Value& object, const std::string& source) {
  if (class_of(object) != "numpy.dtype" || object.at("args").items().empty()) damaged(source);
  const std::string name = object.at("args").items()[0].as_string();
  const Value& state = object.at("state");
  std::string order = "|";
  if (state.kind() == Kind::kTuple && state.items().size() > 1)
    order = state.items()[1].as_string();
  const bool known = name == "O8" || name == "O4" || name == "i8" || name == "i4" || name == "i2" ||
                     name == "i1" || name == "u8" || name == "u4" || name == "u2" || name == "u1" ||
                     name == "f8" || name == "f4" || name == "b1";
  if (!known || order == ">") {
    throw DataError(
        fmt::format("{}: an array of NumPy's type '{}{}'", source, order == "|" ? "" : order, name),
        "strings (object) and little-endian integers are read; convert with astype");
  }
  return {name[0], static_cast<std::size_t>(name[1] - '0')};
}

template <typename T>
T number(std::string_view bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

Value cell(const DType& type, std::string_view bytes) {
  if (type.kind == 'f') {
    return Value(type.size == 4 ? static_cast<double>(number<float>(bytes))
                                : number<double>(bytes));
  }
  if (type.kind == 'b') return Value(bytes[0] != 0);
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), type.size);
  const int unused = static_cast<int>(64 - 8 * type.size);
  if (type.kind == 'u') return Value(static_cast<std::int64_t>(value));
  return Value(static_cast<std::int64_t>(value << unused) >> unused);
}

/// The bytes that Python's protocol 2 writes as text of Latin-1.
std::string from_latin1(const std::string& text, const std::string& source) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      bytes += text[i];
    } else if (lead <= 0xC3 && i + 1 < text.size()) {
      bytes += static_cast<char>((lead & 3U) << 6U | (static_cast<unsigned char>(text[++i]) & 63U));
    } else {
      damaged(source);
    }
  }
  return bytes;
}

std::string bytes_of(const Value& object, const std::string& source) {
  const std::string name = class_of(object);
  if (name != "bytes" && name != "_codecs.encode") damaged(source);
  const auto& arguments = object.at("args").items();
  if (arguments.empty()) damaged(source);
  if (name == "bytes") return arguments[0].as_string();
  if (arguments.size() != 2 || arguments[1].as_string() != "latin1") damaged(source);
  return from_latin1(arguments[0].as_string(), source);
}

std::vector<Value> cells_of(const DType& type, const Value& data, std::size_t count,
                            const std::string& source) {
  if (type.kind == 'O') {
    if (data.kind() != Kind::kList || data.items().size() != count) damaged(source);
    return data.items();
  }
  const std::string bytes = bytes_of(data, source);
  if (bytes.size() != count * type.size) damaged(source);
  std::vector<Value> cells;
  cells.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    cells.push_back(cell(type, std::string_view(bytes).substr(i * type.size, type.size)));
  }
  return cells;
}

/// From column-major to row-major; more than two dimensions do not occur in tables.
std::vector<Value> row_major(const std::vector<Value>& cells,
                             const std::vector<std::int64_t>& shape) {
  if (shape.size() != 2) return cells;
  std::vector<Value> turned;
  turned.reserve(cells.size());
  for (std::int64_t row = 0; row < shape[0]; ++row) {
    for (std::int64_t column = 0; column < shape[1]; ++column) {
      turned.push_back(cells[static_cast<std::size_t>(column * shape[0] + row)]);
    }
  }
  return turned;
}

/// Elements of a shape of at most two dimensions.
std::size_t count_of(const std::vector<std::int64_t>& shape, const std::string& source) {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  std::int64_t count = 1;
  if (shape.size() > 2) damaged(source);
  for (const std::int64_t size : shape) {
    if (size < 0 || size > kMost) damaged(source);
    count *= size;
  }
  return static_cast<std::size_t>(count);
}

NumpyArray array_of(const Value& shape, const Value& dtype, const Value& data, bool fortran,
                    const std::string& source) {
  NumpyArray array;
  for (const Value& size : shape.items()) array.shape.push_back(size.as_int());
  array.cells = cells_of(dtype_of(dtype, source), data, count_of(array.shape, source), source);
  if (fortran) array.cells = row_major(array.cells, array.shape);
  return array;
}

bool is_one_of(const std::string& name, std::string_view part) {
  return name == fmt::format("numpy.core.{}", part) || name == fmt::format("numpy._core.{}", part);
}

}  // namespace

std::vector<std::string> numpy_classes() {
  std::vector<std::string> names = {"numpy.ndarray", "numpy.dtype", "_codecs.encode"};
  for (const char* core : {"numpy.core.", "numpy._core."}) {
    for (const char* part :
         {"multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer"}) {
      names.push_back(std::string(core) + part);
    }
  }
  return names;
}

std::string class_of(const Value& value) {
  if (value.kind() != Kind::kDict) return {};
  const Value* name = value.find("class");
  return name != nullptr && value.find("args") != nullptr ? name->as_string() : std::string();
}

NumpyArray numpy_array(const Value& object, const std::string& source) {
  const std::string name = class_of(object);
  if (is_one_of(name, "multiarray._reconstruct")) {
    // state: version, shape, dtype, Fortran order, data
    const Value& state = object.at("state");
    if (state.kind() != Kind::kTuple || state.items().size() != 5) damaged(source);
    const auto& parts = state.items();
    return array_of(parts[1], parts[2], parts[4], parts[3].as_bool(), source);
  }
  if (is_one_of(name, "numeric._frombuffer")) {
    const auto& parts = object.at("args").items();  // bytes, dtype, shape, order
    if (parts.size() != 4) damaged(source);
    return array_of(parts[2], parts[1], parts[0], parts[3].as_string() == "F", source);
  }
  throw DataError(fmt::format("{}: '{}' where a NumPy array belongs", source,
                              name.empty() ? "plain data" : name),
                  "only plain columns are read; convert with astype(object)");
}

Value numpy_scalar(const Value& value, const std::string& source) {
  if (!is_one_of(class_of(value), "multiarray.scalar")) return value;
  const auto& parts = value.at("args").items();  // dtype, bytes
  if (parts.size() != 2) damaged(source);
  return cells_of(dtype_of(parts[0], source), parts[1], 1, source)[0];
}

}  // namespace polyphony::tensor
