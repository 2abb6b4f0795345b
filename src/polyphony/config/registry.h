#pragma once

#include <memory>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

#include <polyphony/config/fields.h>
#include <polyphony/config/node.h>

namespace polyphony::config {

/// A class that YAML can name in `_target_`.
struct RegisteredClass {
  std::string name;  ///< dotted, e.g. "polyphony.callbacks.EarlyStopping"
  std::string kind;  ///< the interface: "Callback", "Model", …
  std::string doc;
  void (*describe)(Fields&);                              ///< its options
  void* (*create)(const Node&, const std::string& path);  ///< owning pointer to the interface
};

/// All classes, by name. @throws std::logic_error at start where two take one name
void register_class(RegisteredClass entry);
const std::vector<RegisteredClass>& registered_classes();
/// Looks `_target_` up among the classes of a kind.
/// @throws ConfigError with place, the nearest name and all names of that kind
const RegisteredClass& find_class(const Node& node, const std::string& kind,
                                  const std::string& path);

/// Binds an options struct from a mapping, strictly. @throws ConfigError (see Fields)
template <class Options>
Options bind(const Node& node, const std::string& owner, const std::string& path) {
  Options options;
  Fields fields(node, owner, path);
  options.describe(fields);
  fields.finish();
  return options;
}

/// Builds the object that `node._target_` names. @param path  key path of the node, for messages
template <class Interface>
std::unique_ptr<Interface> build(const Node& node, const std::string& path) {
  const RegisteredClass& entry = find_class(node, Interface::kKind, path);
  return std::unique_ptr<Interface>(static_cast<Interface*>(entry.create(node, path)));
}

template <class Interface>
std::unique_ptr<Interface> build(const Child<Interface>& child, const std::string& path) {
  return build<Interface>(child.node, path);
}

/// Registers Class (with a nested `Options`, constructible from it) as an Interface named NAME.
#define POLYPHONY_REGISTER(Interface, Class, NAME, DOC)                                  \
  namespace {                                                                            \
  [[maybe_unused]] const bool registered_##Class = [] {                                  \
    ::polyphony::config::register_class(                                                 \
        {NAME, Interface::kKind, DOC,                                                    \
         [](::polyphony::config::Fields& fields) { Class::Options{}.describe(fields); }, \
         [](const ::polyphony::config::Node& node, const std::string& path) -> void* {   \
           return static_cast<Interface*>(                                               \
               new Class(::polyphony::config::bind<Class::Options>(node, NAME, path)));  \
         }});                                                                            \
    return true;                                                                         \
  }();                                                                                   \
  }

}  // namespace polyphony::config
