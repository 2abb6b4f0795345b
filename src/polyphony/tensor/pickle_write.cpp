#include <cstring>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/tensor/pickle.h>
#include <polyphony/tensor/pickle_object.h>

namespace polyphony::tensor {
namespace {

const char* storage_class(at::ScalarType type) {
  for (const StorageClass& known : kStorageClasses) {
    if (known.type == type) return known.name;
  }
  throw DataError(fmt::format("a tensor of {} cannot be saved", c10::toString(type)),
                  "convert it to a real floating-point, integer or bool type before saving");
}

/// Writes opcodes of protocol 2.
class Writer {
 public:
  explicit Writer(std::vector<at::Tensor>& storages) : storages_(storages) { out_ = "\x80\x02"; }

  std::string finish(const Value& value) {
    write(value);
    out_ += '.';
    return std::move(out_);
  }

 private:
  void write(const Value& value) {
    switch (value.kind()) {
      case Value::Kind::kNone:
        out_ += 'N';
        return;
      case Value::Kind::kBool:
        out_ += value.as_bool() ? '\x88' : '\x89';
        return;
      case Value::Kind::kInt:
        integer(value.as_int());
        return;
      case Value::Kind::kFloat:
        number(value.as_float());
        return;
      case Value::Kind::kString:
        text(value.as_string());
        return;
      case Value::Kind::kList:
        sequence(value, "](", 'e');
        return;
      case Value::Kind::kTuple:
        sequence(value, "(", 't');
        return;
      case Value::Kind::kDict:
        dict(value);
        return;
      case Value::Kind::kTensor:
        tensor(value.as_tensor());
        return;
    }
  }

  void raw(std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out_ += static_cast<char>(value >> (8 * i) & 0xff);
  }

  void integer(std::int64_t value) {
    if (value >= INT32_MIN && value <= INT32_MAX) {
      out_ += 'J';
      raw(static_cast<std::uint64_t>(value), 4);
    } else {
      out_ += "\x8a\x08";
      raw(static_cast<std::uint64_t>(value), 8);
    }
  }

  void number(double value) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    out_ += 'G';
    for (int shift = 56; shift >= 0; shift -= 8) out_ += static_cast<char>(bits >> shift & 0xff);
  }

  void text(const std::string& value) {
    out_ += 'X';
    raw(value.size(), 4);
    out_ += value;
  }

  void global(const char* module, const char* name) {
    out_ += 'c';
    out_ += module;
    out_ += '\n';
    out_ += name;
    out_ += '\n';
  }

  void sequence(const Value& value, const char* begin, char end) {
    out_ += begin;
    for (const Value& item : value.items()) write(item);
    out_ += end;
  }

  void dict(const Value& value) {
    out_ += "}(";
    for (const auto& [key, item] : value.entries()) {
      write(key);
      write(item);
    }
    out_ += 'u';
  }

  void sizes(at::IntArrayRef values) {
    out_ += '(';
    for (const std::int64_t value : values) integer(value);
    out_ += 't';
  }

  void tensor(const at::Tensor& original) {
    const at::Tensor whole = original.detach().cpu().contiguous();
    global("torch._utils", "_rebuild_tensor_v2");
    out_ += "((";
    text("storage");
    global("torch", storage_class(whole.scalar_type()));
    text(std::to_string(storages_.size()));
    text("cpu");
    integer(whole.numel());
    out_ += "tQ";
    integer(0);
    sizes(whole.sizes());
    sizes(whole.strides());
    out_ += '\x89';
    global("collections", "OrderedDict");
    out_ += ")RtR";
    storages_.push_back(whole);
  }

  std::vector<at::Tensor>& storages_;
  std::string out_;
};

}  // namespace

std::string pickle(const Value& value, std::vector<at::Tensor>& storages) {
  return Writer(storages).finish(value);
}

}  // namespace polyphony::tensor
