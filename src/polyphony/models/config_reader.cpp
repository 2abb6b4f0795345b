#include <polyphony/models/config_reader.h>

#include <cmath>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <polyphony/base/error.h>
#include <polyphony/base/json.h>

namespace polyphony::models {
namespace {

using Json = nlohmann::json;

// gelu_fast and gelu_pytorch_tanh are gelu_new but for rounding, gelu_python is gelu.
constexpr std::pair<const char*, nn::Activation> kActivations[] = {
    {"gelu", nn::Activation::kGelu},
    {"gelu_python", nn::Activation::kGelu},
    {"gelu_new", nn::Activation::kGeluTanh},
    {"gelu_fast", nn::Activation::kGeluTanh},
    {"gelu_pytorch_tanh", nn::Activation::kGeluTanh},
    {"relu", nn::Activation::kRelu},
    {"silu", nn::Activation::kSilu},
    {"swish", nn::Activation::kSilu},
    {"tanh", nn::Activation::kTanh}};

/// What Python calls false.
bool is_false(const Json& value) {
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<double>() == 0;
  return value.empty();  // null, "", [], {}
}

}  // namespace

ConfigReader::ConfigReader(const Json& json, std::string source)
    : json_(json), source_(std::move(source)) {}

const Json* ConfigReader::find(const char* key) const {
  asked_.insert(key);
  const auto found = json_.find(key);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

/// Null pointer if the key is absent. @throws DataError for null
const Json* ConfigReader::value(const char* key) const {
  asked_.insert(key);
  const auto found = json_.find(key);
  if (found == json_.end()) return nullptr;
  if (found->is_null()) fail(key, "is null, want a value", "give it, or take the key away");
  return &*found;
}

void ConfigReader::wrong_type(const char* key, const char* wanted) const {
  fail(key, fmt::format("is {}, want {}", json_.at(key).dump(), wanted));
}

void ConfigReader::flag(const char* key, bool& value) const {
  asked_.insert(key);
  const auto found = json_.find(key);
  if (found == json_.end()) return;
  if (!found->is_null() && !found->is_boolean()) wrong_type(key, "true or false");
  value = found->is_boolean() && found->get<bool>();
}

void ConfigReader::text(const char* key, std::string& value) const {
  const Json* given = this->value(key);
  if (given == nullptr) return;
  if (!given->is_string()) wrong_type(key, "a text");
  value = given->get<std::string>();
}

void ConfigReader::number(const char* key, double& value, double least) const {
  const Json* given = this->value(key);
  if (given == nullptr) return;
  if (!given->is_number()) wrong_type(key, "a number");
  value = given->get<double>();
  check(key, std::isfinite(value) && value >= least,
        fmt::format("is {}, want at least {}", value, least));
}

void ConfigReader::count(const char* key, std::int64_t& value, std::int64_t least) const {
  const Json* given = this->value(key);
  if (given == nullptr) return;
  const double number = given->is_number() ? given->get<double>() : 0.5;
  if (number != std::floor(number) || std::abs(number) > 1e15) wrong_type(key, "a whole number");
  value = static_cast<std::int64_t>(number);
  check(key, value >= least, fmt::format("is {}, want at least {}", value, least));
}

void ConfigReader::counts(const char* key, std::vector<std::int64_t>& values) const {
  const Json* given = value(key);
  if (given == nullptr) return;
  if (!given->is_array()) wrong_type(key, "a list of whole numbers");
  values.clear();
  for (const Json& item : *given) {
    if (!item.is_number_integer()) wrong_type(key, "a list of whole numbers");
    values.push_back(item.get<std::int64_t>());
    check(key, values.back() >= 1, fmt::format("holds {}, want at least 1", values.back()));
  }
}

void ConfigReader::share(const char* key, double& value) const {
  number(key, value);
  check(key, value <= 1, fmt::format("is {}, want 0 to 1", value));
}

void ConfigReader::share_or_null(const char* key, double& value) const {
  if (find(key) != nullptr) share(key, value);
}

void ConfigReader::activation(const char* key, nn::Activation& value) const {
  std::string name;
  text(key, name);
  if (find(key) == nullptr) return;
  std::vector<std::string> names;
  for (const auto& [known, item] : kActivations) {
    if (name == known) {
      value = item;
      return;
    }
    names.emplace_back(known);
  }
  fail(key, fmt::format("is '{}', which is not supported", name),
       fmt::format("take a model with one of {}", fmt::join(names, ", ")));
}

void ConfigReader::refuse(const char* key, const std::string& remedy) const {
  const Json* given = find(key);
  if (given == nullptr || is_false(*given)) return;
  fail(key, fmt::format("is {}, which is not supported", given->dump()), remedy);
}

void ConfigReader::check(const char* key, bool holds, const std::string& what) const {
  if (!holds) fail(key, what);
}

void ConfigReader::fail(const char* key, const std::string& what, const std::string& remedy) const {
  throw DataError(fmt::format("{}: {} {}", source_, key, what), remedy);
}

}  // namespace polyphony::models
