#pragma once

#include <string>

#include <polyphony/config/bind/classes.h>
#include <polyphony/config/bind/fields.h>
#include <polyphony/config/bind/instantiate.h>
#include <polyphony/config/yaml/node.h>

// What the .cpp file of a registered class includes: binding, building, and the macro.

namespace polyphony::config {

/// Binds an options struct from a mapping, strictly. @throws ConfigError (see Fields)
template <class Options>
Options bind(const Node& node, const std::string& owner, const std::string& path) {
  Options options;
  Fields fields(node, owner, path);
  options.describe(fields);
  fields.finish();
  return options;
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
