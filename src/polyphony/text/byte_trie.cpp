#include <polyphony/text/byte_trie.h>

#include <algorithm>
#include <array>
#include <deque>

namespace polyphony::text {

/// Places nodes: an only child goes to any free place, brothers to the first base that fits them in
/// one of the last blocks of 256.
class ByteTrie::Builder {
 public:
  explicit Builder(std::vector<Node>& nodes) : nodes_(nodes) {
    nodes_.clear();
    add_block();
    take(kRoot);  // and the root is nobody's child
  }

  /// A base under which all labels are free. @param labels  rising, at least one
  std::uint32_t place(const std::vector<unsigned char>& labels) {
    for (;;) {
      for (std::size_t block = open_.size(); block-- > 0;) {
        const std::uint32_t begin = open_[block] * kBlock;
        for (std::uint32_t at = begin; at < begin + kBlock; ++at) {
          if (used_[at]) continue;
          const std::uint32_t base = at ^ labels[0];
          if (std::all_of(labels.begin() + 1, labels.end(),
                          [&](unsigned char label) { return !used_[base ^ label]; }))
            return base;
          if (labels.size() > 32) break;  // wide nodes want a fresh block
        }
      }
      add_block();
    }
  }

  void take(std::uint32_t at) {
    used_[at] = true;
    const std::uint32_t block = at / kBlock;
    if (--free_[block] > 0) return;
    const auto found = std::find(open_.begin(), open_.end(), block);
    if (found != open_.end()) open_.erase(found);
  }

 private:
  static constexpr std::uint32_t kBlock = 256;
  static constexpr std::size_t kOpen = 8;  // blocks that are searched

  void add_block() {
    open_.push_back(static_cast<std::uint32_t>(free_.size()));
    if (open_.size() > kOpen) open_.pop_front();
    free_.push_back(kBlock);
    nodes_.resize(nodes_.size() + kBlock, Node{0, kNone, kNone});
    used_.resize(nodes_.size(), false);
  }

  std::vector<Node>& nodes_;
  std::vector<bool> used_;
  std::vector<std::uint32_t> free_;  // places left, a block
  std::deque<std::uint32_t> open_;
};

ByteTrie::ByteTrie(std::vector<std::pair<std::string_view, std::uint32_t>> keys) {
  std::stable_sort(keys.begin(), keys.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  Builder builder(nodes_);
  struct Range {
    std::size_t begin, end;  // keys that share the node's prefix
    std::size_t depth;
    std::uint32_t node;
  };
  std::vector<Range> open{{0, keys.size(), 0, kRoot}};
  std::vector<unsigned char> labels;
  std::vector<std::size_t> starts;
  while (!open.empty()) {
    Range range = open.back();
    open.pop_back();
    for (; range.begin < range.end && keys[range.begin].first.size() == range.depth;
         ++range.begin) {
      if (range.depth > 0) nodes_[range.node].value = keys[range.begin].second;
    }
    if (range.begin == range.end) continue;
    labels.clear();
    starts.clear();
    for (std::size_t i = range.begin; i < range.end; ++i) {
      const auto label = static_cast<unsigned char>(keys[i].first[range.depth]);
      if (!labels.empty() && labels.back() == label) continue;
      labels.push_back(label);
      starts.push_back(i);
    }
    starts.push_back(range.end);
    const std::uint32_t base = builder.place(labels);
    nodes_[range.node].base = base;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const std::uint32_t child = base ^ labels[i];
      builder.take(child);
      nodes_[child].parent = range.node;
      open.push_back({starts[i], starts[i + 1], range.depth + 1, child});
    }
  }
}

std::uint32_t ByteTrie::find(std::string_view key) const {
  std::uint32_t node = kRoot;
  for (const char c : key) {
    node = child(node, static_cast<unsigned char>(c));
    if (node == kNone) return kNone;
  }
  return value(node);
}

}  // namespace polyphony::text
