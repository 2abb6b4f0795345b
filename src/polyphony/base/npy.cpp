#include <polyphony/base/npy.h>

#include <algorithm>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/files.h>

namespace polyphony {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
/// NumPy's own headers of plain arrays are of some hundred bytes.
constexpr std::size_t kLongestHeader = 64 * 1024;

[[noreturn]] void unfit(const std::filesystem::path& path, const std::string& what) {
  throw DataError(path.string() + ": " + what,
                  "write it anew, e.g. numpy.save(path, x.astype('float32'))");
}

struct Layout {
  std::size_t data_at = 0;
  std::string header;
};

Layout read_layout(const std::string& bytes, const std::filesystem::path& path) {
  if (!std::string_view(bytes).starts_with(kMagic) || bytes.size() < 12)
    unfit(path, "no .npy file");
  const auto byte = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i]));
  };
  const bool wide = byte(6) >= 2;
  const std::size_t begin = wide ? 12 : 10;
  std::size_t length = byte(8) | byte(9) << 8;
  if (wide) length |= byte(10) << 16 | byte(11) << 24;
  if (length > kLongestHeader) unfit(path, "the header is longer than 64 KiB");
  if (bytes.size() < begin + length) unfit(path, "the file is truncated in its header");
  return {begin + length, bytes.substr(begin, length)};
}

/// What stands between `open` and `close` after the header's key; `open` may be empty.
std::string header_value(const std::string& header, const std::string& key, std::string_view open,
                         char close, const std::filesystem::path& path) {
  const std::string quoted = "'" + key + "':";
  const std::size_t found = header.find(quoted);
  if (found == std::string::npos) unfit(path, "the header is damaged");
  const std::size_t at = header.find_first_not_of(' ', found + quoted.size());
  if (at == std::string::npos || header.compare(at, open.size(), open) != 0) {
    unfit(path, "the header is damaged");
  }
  const std::size_t begin = at + open.size();
  const std::size_t end = header.find(close, begin);
  if (end == std::string::npos) unfit(path, "the header is damaged");
  return header.substr(begin, end - begin);
}

/// "2, 3" or "6," or "": a dimension a number.
std::vector<std::int64_t> read_shape(const std::string& text, const std::filesystem::path& path) {
  constexpr std::size_t kMostDigits = 12;
  constexpr const char* kDigits = "0123456789";
  if (text.find_first_not_of("0123456789, ") != std::string::npos)
    unfit(path, "the shape is damaged");
  std::vector<std::int64_t> shape;
  std::size_t begin = text.find_first_of(kDigits);
  while (begin != std::string::npos) {
    const std::size_t end = std::min(text.find_first_not_of(kDigits, begin), text.size());
    if (end - begin > kMostDigits) unfit(path, "the shape is not believable");
    shape.push_back(std::stoll(text.substr(begin, end - begin)));
    begin = text.find_first_of(kDigits, end);
  }
  return shape;
}

template <class T>
std::vector<float> read_values(const std::string& bytes, std::size_t at, std::size_t count) {
  std::vector<T> values(count);
  std::memcpy(values.data(), bytes.data() + at, count * sizeof(T));
  return std::vector<float>(values.begin(), values.end());
}

template <>
std::vector<float> read_values<double>(const std::string& bytes, std::size_t at,
                                       std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    double value = 0;
    std::memcpy(&value, bytes.data() + at + i * sizeof(double), sizeof(double));
    values[i] = static_cast<float>(value);
  }
  return values;
}

}  // namespace

NpyArray load_npy(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  const Layout layout = read_layout(bytes, path);
  const std::string type = header_value(layout.header, "descr", "'", '\'', path);
  const std::string fortran = header_value(layout.header, "fortran_order", "", ',', path);
  NpyArray array;
  array.shape = read_shape(header_value(layout.header, "shape", "(", ')', path), path);
  if (fortran != "True" && fortran != "False") unfit(path, "the header is damaged");
  if (fortran == "True") unfit(path, "the array is in Fortran order");
  if (type != "<f4" && type != "<f8")
    unfit(path, "the array is of type '" + type + "', not float32");
  const std::size_t width = type == "<f4" ? sizeof(float) : sizeof(double);
  const std::size_t room = (bytes.size() - layout.data_at) / width;
  std::size_t count = 1;
  for (const std::int64_t size : array.shape) {
    if (size != 0 && count > room / static_cast<std::size_t>(size) + 1)
      unfit(path, "the file is truncated");
    count *= static_cast<std::size_t>(size);
  }
  if (count > room) {
    unfit(path, fmt::format("the file is truncated: {} values of {} are there", room, count));
  }
  array.values = width == sizeof(float) ? read_values<float>(bytes, layout.data_at, count)
                                        : read_values<double>(bytes, layout.data_at, count);
  return array;
}

void save_npy(const std::filesystem::path& path, const NpyArray& array) {
  std::string shape;
  for (const std::int64_t size : array.shape) shape += fmt::format("{}, ", size);
  if (array.shape.size() > 1) shape.resize(shape.size() - 2);
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", shape);
  constexpr std::size_t kAlignment = 64;
  const std::size_t unpadded = kMagic.size() + 4 + header.size() + 1;
  header.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  header += '\n';
  std::string bytes(kMagic);
  bytes += '\x01';
  bytes += '\x00';
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(array.values.data()),
               array.values.size() * sizeof(float));
  write_file(path, bytes);
}

}  // namespace polyphony
