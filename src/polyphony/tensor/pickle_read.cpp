#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>

#include <ATen/ops/as_strided.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/tensor/pickle.h>

namespace polyphony::tensor {
namespace {

struct StorageClass {
  const char* name;
  at::ScalarType type;
};
constexpr std::array kStorageClasses = {
    StorageClass{"FloatStorage", at::kFloat}, StorageClass{"DoubleStorage", at::kDouble},
    StorageClass{"HalfStorage", at::kHalf},   StorageClass{"BFloat16Storage", at::kBFloat16},
    StorageClass{"LongStorage", at::kLong},   StorageClass{"IntStorage", at::kInt},
    StorageClass{"ShortStorage", at::kShort}, StorageClass{"CharStorage", at::kChar},
    StorageClass{"ByteStorage", at::kByte},   StorageClass{"BoolStorage", at::kBool}};

/// What stands on the machine's stack: data, a mark, a name of code we know, or a storage.
struct Slot {
  enum class What { kValue, kMark, kGlobal, kStorage };
  What what = What::kValue;
  Value value;
  std::string global;
  std::optional<StorageRef> storage;
};

/// The pickle machine, of protocols 2 to 4, without code.
class Reader {
 public:
  Reader(const std::string& bytes, const StorageLoader& load, const std::string& source)
      : bytes_(bytes), load_(load), source_(source) {}

  Value run() {
    while (true) {
      const char op = static_cast<char>(raw(1));
      if (op == '.') return pop().value;
      step(op);
    }
  }

 private:
  [[noreturn]] void refuse(const std::string& what, const std::string& remedy) const {
    throw DataError(source_ + ": " + what, remedy);
  }
  [[noreturn]] void damaged() const {
    refuse(fmt::format("the checkpoint is damaged at byte {} of its pickle", at_),
           "take another copy or an earlier checkpoint");
  }

  std::uint64_t raw(std::size_t count) {
    std::uint64_t value = 0;
    const std::string_view view = take(count);
    for (std::size_t i = 0; i < count; ++i) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(view[i])) << (8 * i);
    }
    return value;
  }
  std::string_view take(std::size_t count) {
    if (count > bytes_.size() - at_) damaged();
    const std::string_view view = std::string_view(bytes_).substr(at_, count);
    at_ += count;
    return view;
  }
  std::string line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string::npos) damaged();
    std::string text = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return text;
  }

  Slot pop() {
    if (stack_.empty()) damaged();
    Slot slot = std::move(stack_.back());
    stack_.pop_back();
    return slot;
  }
  Slot& top() {
    if (stack_.empty()) damaged();
    return stack_.back();
  }
  std::vector<Slot> pop_to_mark() {
    const auto mark = std::find_if(stack_.rbegin(), stack_.rend(),
                                   [](const Slot& slot) { return slot.what == Slot::What::kMark; });
    if (mark == stack_.rend()) damaged();
    std::vector<Slot> slots(std::make_move_iterator(mark.base()), std::make_move_iterator(stack_.end()));
    stack_.erase(std::prev(mark.base()), stack_.end());
    return slots;
  }
  void push(Value value) { stack_.push_back({Slot::What::kValue, std::move(value), {}, {}}); }

  void step(char op) {
    switch (static_cast<unsigned char>(op)) {
      case 0x80: take(1); return;
      case 0x95: take(8); return;
      case '(': stack_.push_back({Slot::What::kMark, {}, {}, {}}); return;
      case 'N': push(Value()); return;
      case 0x88: push(Value(true)); return;
      case 0x89: push(Value(false)); return;
      case 'J': push(Value(static_cast<std::int64_t>(static_cast<std::int32_t>(raw(4))))); return;
      case 'K': push(Value(static_cast<std::int64_t>(raw(1)))); return;
      case 'M': push(Value(static_cast<std::int64_t>(raw(2)))); return;
      case 0x8a: push(Value(long_integer(raw(1)))); return;
      case 'G': push(Value(number())); return;
      case 'X': push(Value(std::string(take(raw(4))))); return;
      case 0x8c: push(Value(std::string(take(raw(1))))); return;
      case ']': push(Value::list()); return;
      case '}': push(Value::dict()); return;
      case ')': push(Value::tuple()); return;
      default: step_container(op);
    }
  }

  void step_container(char op) {
    switch (static_cast<unsigned char>(op)) {
      case 'a': {
        Slot item = pop();
        top().value.append(std::move(item.value));
        return;
      }
      case 'e':
        for (std::vector<Slot> items = pop_to_mark(); Slot& item : items) top().value.append(std::move(item.value));
        return;
      case 't': make_tuple(pop_to_mark()); return;
      case 0x85: make_tuple(pop_last(1)); return;
      case 0x86: make_tuple(pop_last(2)); return;
      case 0x87: make_tuple(pop_last(3)); return;
      case 's': fill(pop_last(2)); return;
      case 'u': fill(pop_to_mark()); return;
      case 'q': memo_[raw(1)] = top(); return;
      case 'r': memo_[raw(4)] = top(); return;
      case 0x94: memo_[memo_.size()] = top(); return;
      case 'h': recall(raw(1)); return;
      case 'j': recall(raw(4)); return;
      default: step_code(op);
    }
  }

  void step_code(char op) {
    switch (static_cast<unsigned char>(op)) {
      case 'c': {
        const std::string module = line();
        global(module + "." + line());
        return;
      }
      case 0x93: {
        const std::string name = pop().value.as_string();
        global(pop().value.as_string() + "." + name);
        return;
      }
      case 'Q': persistent(); return;
      case 'R': reduce(); return;
      case 'b': pop(); return;  // the state of an OrderedDict: its attributes, which hold no data
      default:
        refuse(fmt::format("opcode 0x{:02x} is not of plain data", static_cast<unsigned char>(op)),
               "save the checkpoint with torch.save, with tensors and plain containers alone");
    }
  }

  std::vector<Slot> pop_last(std::size_t count) {
    if (stack_.size() < count) damaged();
    const auto begin = stack_.end() - static_cast<std::ptrdiff_t>(count);
    std::vector<Slot> slots(std::make_move_iterator(begin), std::make_move_iterator(stack_.end()));
    stack_.erase(begin, stack_.end());
    return slots;
  }

  void make_tuple(std::vector<Slot> items) {
    Slot tuple;
    tuple.value = Value::tuple();
    for (Slot& item : items) {
      if (item.what == Slot::What::kGlobal) tuple.global = item.global;
      if (item.what == Slot::What::kStorage) tuple.storage = item.storage;
      tuple.value.append(std::move(item.value));
    }
    stack_.push_back(std::move(tuple));
  }

  void fill(std::vector<Slot> items) {
    if (items.size() % 2 != 0) damaged();
    for (std::size_t i = 0; i < items.size(); i += 2) {
      top().value.set(std::move(items[i].value), std::move(items[i + 1].value));
    }
  }

  void recall(std::uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) damaged();
    stack_.push_back(found->second);
  }

  void global(const std::string& name) {
    const bool storage = std::any_of(kStorageClasses.begin(), kStorageClasses.end(), [&](const auto& known) {
      return name == std::string("torch.") + known.name;
    });
    if (!storage && name != "torch._utils._rebuild_tensor_v2" && name != "collections.OrderedDict" &&
        name != "torch._utils._rebuild_parameter") {
      refuse(fmt::format("the checkpoint wants to run '{}'", name),
             "polyphony reads tensors and plain data only; save it without that object");
    }
    stack_.push_back({Slot::What::kGlobal, {}, name, {}});
  }

  void persistent() {
    const Slot tuple = pop();
    const auto& items = tuple.value.items();
    if (items.size() < 5) damaged();
    StorageRef ref;
    ref.key = items[2].as_string();
    ref.elements = items[4].as_int();
    for (const StorageClass& known : kStorageClasses) {
      if (tuple.global == std::string("torch.") + known.name) ref.type = known.type;
    }
    stack_.push_back({Slot::What::kStorage, {}, {}, ref});
  }

  void reduce() {
    const Slot arguments = pop();
    const Slot callee = pop();
    if (callee.what != Slot::What::kGlobal) damaged();
    if (callee.global == "collections.OrderedDict") {
      push(Value::dict());
    } else if (callee.global == "torch._utils._rebuild_parameter") {
      push(arguments.value.items().at(0));
    } else {
      push(Value(rebuild(arguments)));
    }
  }

  at::Tensor rebuild(const Slot& arguments) {
    const auto& items = arguments.value.items();
    if (!arguments.storage || items.size() < 4) damaged();
    const std::int64_t offset = items[1].as_int();
    std::vector<std::int64_t> shape;
    std::vector<std::int64_t> strides;
    for (const Value& size : items[2].items()) shape.push_back(size.as_int());
    for (const Value& stride : items[3].items()) strides.push_back(stride.as_int());
    if (shape.size() != strides.size() || offset < 0 || arguments.storage->elements < 0) damaged();
    const std::int64_t elements = arguments.storage->elements;
    std::int64_t last = std::min(offset, elements);
    const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] < 0 || strides[i] < 0) damaged();
      if (empty || shape[i] < 2) continue;
      if (strides[i] > elements / (shape[i] - 1)) damaged();
      last += (shape[i] - 1) * strides[i];
      if (last > elements) damaged();
    }
    if (!empty && last >= elements) damaged();
    auto [found, is_new] = storages_.try_emplace(arguments.storage->key);
    if (is_new) found->second = load_(*arguments.storage);
    return at::as_strided(found->second, shape, strides, offset);
  }

  double number() {
    std::uint64_t bits = 0;
    for (const char c : take(8)) bits = bits << 8 | static_cast<unsigned char>(c);
    double value = 0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

  std::int64_t long_integer(std::uint64_t length) {
    if (length > 8) refuse("an integer is beyond 64 bits", "save a smaller number");
    if (length == 0) return 0;
    const std::uint64_t value = raw(length);
    const auto shift = static_cast<int>(64 - 8 * length);
    return static_cast<std::int64_t>(value << shift) >> shift;
  }

  const std::string& bytes_;
  const StorageLoader& load_;
  const std::string& source_;
  std::size_t at_ = 0;
  std::vector<Slot> stack_;
  std::map<std::uint64_t, Slot> memo_;
  std::map<std::string, at::Tensor> storages_;
};

}  // namespace

Value unpickle(const std::string& bytes, const StorageLoader& load, const std::string& source) {
  return Reader(bytes, load, source).run();
}

}  // namespace polyphony::tensor
