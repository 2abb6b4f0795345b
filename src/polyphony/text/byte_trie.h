#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace polyphony::text {

/// A map from byte strings to ids, walked byte by byte: a double array, in which the child of a
/// node by a byte stands at `base ^ byte` if that place names the node as its parent.
class ByteTrie {
 public:
  static constexpr std::uint32_t kRoot = 0;
  static constexpr std::uint32_t kNone = 0xFFFFFFFFU;

  ByteTrie() : nodes_(256, Node{0, kNone, kNone}) {}
  /// @param keys  in any order; where a key comes twice the later one counts; empty keys are left
  /// out
  explicit ByteTrie(std::vector<std::pair<std::string_view, std::uint32_t>> keys);

  /// The child of a node, or kNone.
  std::uint32_t child(std::uint32_t node, unsigned char byte) const {
    const std::uint32_t next = nodes_[node].base ^ byte;
    return nodes_[next].parent == node ? next : kNone;
  }
  /// The id of the key that ends in a node, or kNone.
  std::uint32_t value(std::uint32_t node) const { return nodes_[node].value; }
  /// The id of a whole key, or kNone.
  std::uint32_t find(std::string_view key) const;

 private:
  struct Node {
    std::uint32_t base;
    std::uint32_t parent;
    std::uint32_t value;
  };
  class Builder;

  std::vector<Node> nodes_;
};

}  // namespace polyphony::text
