#include <polyphony/tensor/pickle_object.h>

#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::tensor {
namespace {

/// Python's limit is about 1000; a checkpoint's data nests a handful of levels.
constexpr int kDeepest = 200;
/// What references to the same object may add to the value, in values and bytes of text: without a
/// bound, a few hundred bytes of lists of lists of lists would fill any memory.
constexpr std::size_t kMostRepeated = 4'000'000;

/// Copies objects out of the graph that a pickle makes.
class Unfolding {
 public:
  Unfolding(std::size_t pickled, const std::string& source, const std::string& what)
      : most_(pickled + kMostRepeated), source_(source), what_(what) {}

  Value value_of(const Object& object, int depth) {
    if (depth > kDeepest) {
      refuse(fmt::format("the {}'s data nests deeper than {} levels", what_, kDeepest),
             "save flatter data, which does not contain itself");
    }
    const bool has_text = object.plain.kind() == Value::Kind::kString;
    made_ += 1 + (has_text ? object.plain.as_string().size() : 0);
    if (made_ > most_) {
      refuse(fmt::format("the {} repeats the same objects too often", what_),
             "save it without repetitions");
    }
    switch (object.what) {
      case Object::What::kPlain:
        return object.plain;
      case Object::What::kList:
        return sequence_of(object, Value::list(), depth);
      case Object::What::kTuple:
        return sequence_of(object, Value::tuple(), depth);
      case Object::What::kDict:
        return dict_of(object, depth);
      case Object::What::kInstance:
        return instance_of(object, depth);
      case Object::What::kGlobal:
      case Object::What::kStorage:
        break;
    }
    refuse("the checkpoint holds the name of a class or a bare storage where data belongs",
           "save the checkpoint with torch.save, with tensors and plain containers alone");
  }

 private:
  [[noreturn]] void refuse(const std::string& what, const std::string& remedy) const {
    throw DataError(source_ + ": " + what, remedy);
  }

  Value sequence_of(const Object& object, Value sequence, int depth) {
    for (const Object* item : object.items) sequence.append(value_of(*item, depth + 1));
    return sequence;
  }

  Value dict_of(const Object& object, int depth) {
    Value dict = Value::dict();
    for (std::size_t i = 0; i < object.items.size(); i += 2) {
      Value key = value_of(*object.items[i], depth + 1);
      dict.set(std::move(key), value_of(*object.items[i + 1], depth + 1));
    }
    return dict;
  }

  Value instance_of(const Object& object, int depth) {
    Value dict = Value::dict();
    dict.set("class", Value(object.name));
    for (std::size_t i = 0; i < 2; ++i) {
      const bool known = i < object.items.size();
      dict.set(i == 0 ? "args" : "state", known ? value_of(*object.items[i], depth + 1) : Value());
    }
    return dict;
  }

  std::size_t most_;
  const std::string& source_;
  const std::string& what_;
  std::size_t made_ = 0;  ///< values given so far, and bytes of text in them
};

}  // namespace

Value value_of(const Object& object, std::size_t pickled, const std::string& source,
               const std::string& what) {
  return Unfolding(pickled, source, what).value_of(object, 0);
}

}  // namespace polyphony::tensor
