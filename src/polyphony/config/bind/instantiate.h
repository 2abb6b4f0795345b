#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/config/bind/classes.h>
#include <polyphony/config/bind/fields.h>
#include <polyphony/config/yaml/node.h>

namespace polyphony::config {

/// What code adds to a node when it builds: Hydra's instantiate(node, *positional, **keywords).
struct Arguments {
  std::vector<Node> positional;  ///< where given, they stand for the node's `_args_`
  Node keywords = Node::map();   ///< merged over the node, mappings deep
};

/// A class and the mapping it is bound from.
struct Call {
  const RegisteredClass* entry = nullptr;
  Node options;  ///< without `_args_`: those have become options by the order of the field list
};

enum class Use { kWhole, kPartial };

/// Works Hydra's keys out:
/// - `_target_` names the class (find_class);
/// - `_args_`: values for the options in the order of the class's field list;
/// - `_partial_: true`: a factory, which only build_partial gives. Optimizers and schedules may say
///   it and be built at once: what Python gives them later (parameters, the optimizer) the pipeline
///   attaches here;
/// - `_recursive_`: nested classes are built by their owner, from its Child options, so both values
///   mean the same;
/// - `_convert_` (none, partial, object, all): options are plain typed values whichever is written.
/// @throws ConfigError with place, class and remedy
Call prepare_call(const Node& node, const std::string& kind, const std::string& path,
                  const Arguments& given, Use use);

/// Builds the object that `node._target_` names. @param path  key path of the node, for messages
template <class Interface>
std::unique_ptr<Interface> build(const Node& node, const std::string& path,
                                 const Arguments& given = {}) {
  const Call call = prepare_call(node, Interface::kKind, path, given, Use::kWhole);
  return std::unique_ptr<Interface>(
      static_cast<Interface*>(call.entry->create(call.options, path)));
}

template <class Interface>
std::unique_ptr<Interface> build(const Child<Interface>& child, const std::string& path,
                                 const Arguments& given = {}) {
  return build<Interface>(child.node, path, given);
}

/// The node with more arguments, as functools.partial keeps them: positional ones are appended,
/// keywords replace.
Node with_arguments(Node node, const Arguments& more);

/// A class with some of its options; the rest comes with the call.
template <class Interface>
class Partial {
 public:
  Partial(Node node, std::string path) : node_(std::move(node)), path_(std::move(path)) {}

  /// @throws ConfigError for options that are still missing, or of the wrong type
  std::unique_ptr<Interface> operator()(const Arguments& rest = {}) const {
    return build<Interface>(with_arguments(node_, rest), path_);
  }

 private:
  Node node_;
  std::string path_;
};

/// A factory of the class that `node._target_` names, with or without `_partial_: true`.
/// @throws ConfigError at once for an unknown class or option; values are checked by the call
template <class Interface>
Partial<Interface> build_partial(const Node& node, const std::string& path,
                                 const Arguments& given = {}) {
  const Call call = prepare_call(node, Interface::kKind, path, given, Use::kPartial);
  return Partial<Interface>(call.options, path);
}

}  // namespace polyphony::config
