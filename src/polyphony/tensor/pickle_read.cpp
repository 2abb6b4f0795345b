#include <algorithm>
#include <cstring>
#include <deque>
#include <map>

#include <ATen/ops/as_strided.h>
#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/tensor/pickle.h>
#include <polyphony/tensor/pickle_object.h>

namespace polyphony::tensor {
namespace {

/// The pickle machine, of protocols 2 to 4, for plain data. What a pickle may name and make besides
/// is for those who derive from it; no code is run.
class Machine {
 public:
  /// Reads one pickle.
  Value run() {
    while (true) {
      const char op = static_cast<char>(raw(1));
      if (op == '.') return value_of(pop(), bytes_.size(), source_, wording_.what);
      step(op);
    }
  }
  /// The place behind what was read.
  std::size_t end() const { return at_; }

 protected:
  struct Wording {
    std::string what;     ///< "checkpoint"
    const char* again;    ///< what to do where it is damaged
    const char* instead;  ///< what to do where it holds what is not read
  };
  Machine(std::string_view bytes, const std::string& source, Wording wording)
      : bytes_(bytes), source_(source), wording_(std::move(wording)) {}
  ~Machine() = default;

  /// A class or a function, by its dotted name.
  virtual void global(const std::string& name) = 0;
  /// Does an opcode that is not of plain data. @return false: it is not known
  virtual bool step_code(char op) = 0;

  [[noreturn]] void refuse(const std::string& what, const std::string& remedy) const {
    throw DataError(source_ + ": " + what, remedy);
  }
  [[noreturn]] void damaged() const {
    refuse(fmt::format("the {} is damaged at byte {} of its pickle", wording_.what, at_),
           wording_.again);
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
    const std::string_view view = bytes_.substr(at_, count);
    at_ += count;
    return view;
  }

  Object& pop() {
    Object& object = top();
    stack_.pop_back();
    return object;
  }
  Object& top() {
    if (stack_.empty() || stack_.back() == nullptr) damaged();
    return *stack_.back();
  }
  Object& top(Object::What what) {
    if (top().what != what) damaged();
    return top();
  }
  Object& push(Object::What what) {
    pool_.emplace_back().what = what;
    stack_.push_back(&pool_.back());
    return pool_.back();
  }
  void push(Value value) { push(Object::What::kPlain).plain = std::move(value); }

  const std::string& text(const Object& object) const {
    if (object.plain.kind() != Value::Kind::kString) damaged();
    return object.plain.as_string();
  }
  std::int64_t integer(const Object& object) const {
    if (object.plain.kind() != Value::Kind::kInt) damaged();
    return object.plain.as_int();
  }
  std::vector<std::int64_t> integers(const Object& tuple) const {
    if (tuple.what != Object::What::kTuple) damaged();
    std::vector<std::int64_t> values;
    for (const Object* item : tuple.items) values.push_back(integer(*item));
    return values;
  }

 private:
  void step(char op) {
    switch (static_cast<unsigned char>(op)) {
      case 0x80:
        take(1);
        return;
      case 0x95:
        take(8);
        return;
      case '(':
        stack_.push_back(nullptr);
        return;  // a mark
      case 'N':
        return push(Value());
      case 0x88:
        return push(Value(true));
      case 0x89:
        return push(Value(false));
      case 'J':
        return push(Value(static_cast<std::int64_t>(static_cast<std::int32_t>(raw(4)))));
      case 'K':
        return push(Value(static_cast<std::int64_t>(raw(1))));
      case 'M':
        return push(Value(static_cast<std::int64_t>(raw(2))));
      case 0x8a:
        return push(Value(long_integer(raw(1))));
      case 'G':
        return push(Value(number()));
      case 'X':
        return push(Value(std::string(take(raw(4)))));
      case 0x8c:
        return push(Value(std::string(take(raw(1)))));
      case ']':
        push(Object::What::kList);
        return;
      case '}':
        push(Object::What::kDict);
        return;
      case ')':
        push(Object::What::kTuple);
        return;
      default:
        step_container(op);
    }
  }

  void step_container(char op) {
    switch (static_cast<unsigned char>(op)) {
      case 'a':
        return extend(pop_last(1));
      case 'e':
        return extend(pop_to_mark());
      case 't':
        return make_tuple(pop_to_mark());
      case 0x85:
        return make_tuple(pop_last(1));
      case 0x86:
        return make_tuple(pop_last(2));
      case 0x87:
        return make_tuple(pop_last(3));
      case 's':
        return fill(pop_last(2));
      case 'u':
        return fill(pop_to_mark());
      case 'q':
        memo_[raw(1)] = &top();
        return;
      case 'r':
        memo_[raw(4)] = &top();
        return;
      case 0x94:
        memo_.emplace(memo_.size(), &top());
        return;
      case 'h':
        return recall(raw(1));
      case 'j':
        return recall(raw(4));
      default:
        step_name(op);
    }
  }

  void step_name(char op) {
    switch (static_cast<unsigned char>(op)) {
      case 'c': {
        const std::string module = line();
        return global(module + "." + line());
      }
      case 0x93: {
        const std::string name = text(pop());
        return global(text(pop()) + "." + name);
      }
      default:
        if (step_code(op)) return;
        refuse(fmt::format("opcode 0x{:02x} is not of plain data", static_cast<unsigned char>(op)),
               wording_.instead);
    }
  }

  std::vector<const Object*> pop_to_mark() {
    const auto mark = std::find(stack_.rbegin(), stack_.rend(), nullptr);
    if (mark == stack_.rend()) damaged();
    std::vector<const Object*> objects(mark.base(), stack_.end());
    stack_.erase(std::prev(mark.base()), stack_.end());
    return objects;
  }
  std::vector<const Object*> pop_last(std::size_t count) {
    std::vector<const Object*> objects(count);
    for (std::size_t i = count; i-- > 0;) objects[i] = &pop();
    return objects;
  }
  void make_tuple(std::vector<const Object*> items) {
    push(Object::What::kTuple).items = std::move(items);
  }
  void extend(const std::vector<const Object*>& items) {
    auto& list = top(Object::What::kList).items;
    list.insert(list.end(), items.begin(), items.end());
  }
  void fill(const std::vector<const Object*>& items) {
    auto& dict = top(Object::What::kDict).items;
    if (items.size() % 2 != 0) damaged();
    dict.insert(dict.end(), items.begin(), items.end());
  }
  void recall(std::uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) damaged();
    stack_.push_back(found->second);
  }

  std::string line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) damaged();
    std::string text(bytes_.substr(at_, end - at_));
    at_ = end + 1;
    return text;
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

  const std::string_view bytes_;
  const std::string& source_;
  const Wording wording_;
  std::size_t at_ = 0;
  std::deque<Object> pool_;
  std::vector<Object*> stack_;  ///< a null pointer is a mark
  std::map<std::uint64_t, Object*> memo_;
};

/// Reads what torch.save writes.
class TensorReader final : public Machine {
 public:
  TensorReader(std::string_view bytes, const StorageLoader& load, const std::string& source)
      : Machine(bytes, source,
                {"checkpoint", "take another copy or an earlier checkpoint",
                 "save the checkpoint with torch.save, with tensors and plain containers alone"}),
        load_(load) {}

 private:
  void global(const std::string& name) override {
    const bool storage =
        std::any_of(std::begin(kStorageClasses), std::end(kStorageClasses),
                    [&](const auto& known) { return name == std::string("torch.") + known.name; });
    if (!storage && name != "torch._utils._rebuild_tensor_v2" &&
        name != "torch._utils._rebuild_tensor" && name != "collections.OrderedDict" &&
        name != "torch._utils._rebuild_parameter") {
      refuse(fmt::format("the checkpoint wants to run '{}'", name),
             "polyphony reads tensors and plain data only; save it without that object");
    }
    push(Object::What::kGlobal).name = name;
  }

  bool step_code(char op) override {
    switch (op) {
      case 'Q':
        persistent();
        return true;
      case 'R':
        reduce();
        return true;
      case 'b':
        pop();  // an OrderedDict's attributes hold no data
        top(Object::What::kDict);
        return true;
      default:
        return false;
    }
  }

  void persistent() {
    const Object& tuple = pop();
    if (tuple.what != Object::What::kTuple || tuple.items.size() < 5) damaged();
    const auto known = std::find_if(
        std::begin(kStorageClasses), std::end(kStorageClasses),
        [&](const auto& one) { return tuple.items[1]->name == std::string("torch.") + one.name; });
    if (known == std::end(kStorageClasses)) damaged();
    // A storage that is a part of another, of PyTorch before 0.4.
    const bool part =
        tuple.items.size() > 5 && (tuple.items[5]->what != Object::What::kPlain ||
                                   tuple.items[5]->plain.kind() != Value::Kind::kNone);
    if (part) damaged();
    push(Object::What::kStorage).storage = {text(*tuple.items[2]), known->type,
                                            integer(*tuple.items[4])};
  }

  void reduce() {
    const Object& arguments = pop();
    const Object& callee = pop();
    if (callee.what != Object::What::kGlobal || arguments.what != Object::What::kTuple) damaged();
    if (callee.name == "torch._utils._rebuild_tensor_v2" ||
        callee.name == "torch._utils._rebuild_tensor") {
      push(Value(rebuild(arguments.items)));
    } else if (callee.name == "torch._utils._rebuild_parameter") {
      if (arguments.items.empty()) damaged();
      if (arguments.items[0]->plain.kind() != Value::Kind::kTensor) damaged();
      push(arguments.items[0]->plain);
    } else if (callee.name == "collections.OrderedDict" && arguments.items.empty()) {
      push(Object::What::kDict);
    } else {
      damaged();
    }
  }

  at::Tensor rebuild(const std::vector<const Object*>& items) {
    if (items.size() < 4 || items[0]->what != Object::What::kStorage) damaged();
    const StorageRef& storage = items[0]->storage;
    const std::int64_t offset = integer(*items[1]);
    const std::vector<std::int64_t> shape = integers(*items[2]);
    const std::vector<std::int64_t> strides = integers(*items[3]);
    if (shape.size() != strides.size() || offset < 0 || storage.elements < 0) damaged();
    const std::int64_t elements = storage.elements;
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
    auto [found, is_new] = storages_.try_emplace(storage.key);
    if (is_new) found->second = load_(storage);
    if (found->second.scalar_type() != storage.type || found->second.numel() < elements) damaged();
    return at::as_strided(found->second, shape, strides, offset);
  }

  const StorageLoader& load_;
  std::map<std::string, at::Tensor> storages_;
};

/// Reads objects as the data that they would be made of.
class ObjectReader final : public Machine {
 public:
  ObjectReader(std::string_view bytes, const std::set<std::string>& classes,
               const std::string& source, const std::string& what)
      : Machine(bytes, source,
                {what, "take another copy, or write it again", "save it without such objects"}),
        classes_(classes),
        what_(what) {}

 private:
  void global(const std::string& name) override {
    if (!classes_.contains(name)) {
      refuse(fmt::format("the {} holds '{}', which is not read", what_, name),
             "polyphony reads plain data only and runs no code of a pickle; save it without that");
    }
    push(Object::What::kInstance).name = name;
  }

  bool step_code(char op) override {
    switch (static_cast<unsigned char>(op)) {
      case 'R':
      case 0x81:  // NEWOBJ
        make_instance();
        return true;
      case 'b':
        set_state();
        return true;
      case 'C':
        push_bytes(raw(1));
        return true;
      case 'B':
        push_bytes(raw(4));
        return true;
      case 0x8e:
      case 0x96:  // bytearray
        push_bytes(raw(8));
        return true;
      case 0x8d:
        push(Value(std::string(take(raw(8)))));
        return true;
      default:
        return false;
    }
  }

  void push_bytes(std::uint64_t size) {
    push(Value(std::string(take(size))));
    const Object& bytes = pop();
    push(Object::What::kTuple).items = {&bytes};
    const Object& arguments = pop();
    Object& instance = push(Object::What::kInstance);
    instance.name = "bytes";
    instance.items = {&arguments};
  }

  /// What a class or function and its arguments would make. A functools.partial is what it calls.
  void make_instance() {
    const Object& arguments = pop();
    const Object* callee = &pop();
    if (arguments.what != Object::What::kTuple) damaged();
    if (callee->name == "functools.partial" && !callee->items.empty()) {
      const auto& partial = callee->items[0]->items;
      if (partial.empty()) damaged();
      callee = partial[0];
    }
    if (callee->what != Object::What::kInstance) damaged();
    Object& instance = push(Object::What::kInstance);
    instance.name = callee->name;
    instance.items = {&arguments};
  }

  void set_state() {
    const Object& state = pop();
    if (top().what == Object::What::kInstance && top().items.size() == 1) {
      top().items.push_back(&state);
    } else if (top().what != Object::What::kDict) {  // an OrderedDict's attributes hold no data
      damaged();
    }
  }

  const std::set<std::string>& classes_;
  const std::string& what_;
};

}  // namespace

Value unpickle(const std::string& bytes, const StorageLoader& load, const std::string& source) {
  return TensorReader(bytes, load, source).run();
}

Value unpickle_next(std::string_view& bytes, const StorageLoader& load, const std::string& source) {
  TensorReader reader(bytes, load, source);
  Value value = reader.run();
  bytes.remove_prefix(reader.end());
  return value;
}

Value unpickle_objects(const std::string& bytes, const std::set<std::string>& classes,
                       const std::string& source, const std::string& what) {
  return ObjectReader(bytes, classes, source, what).run();
}

}  // namespace polyphony::tensor
