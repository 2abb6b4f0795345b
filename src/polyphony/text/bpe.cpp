#include <algorithm>
#include <array>

#include <fmt/format.h>

#include <polyphony/base/error.h>
#include <polyphony/base/json.h>
#include <polyphony/base/utf8.h>
#include <polyphony/text/model.h>

namespace polyphony::text {
namespace {

/// Which pairs of tokens merge, how early, and into what: open addressing, a power of two.
class MergeTable {
 public:
  struct Entry {
    std::uint64_t pair;
    std::uint32_t rank, id;
  };

  explicit MergeTable(std::size_t merges) {
    std::size_t size = 16;
    while (size < merges * 2) size *= 2;
    entries_.assign(size, {kFree, 0, 0});
  }
  void insert(std::uint32_t left, std::uint32_t right, std::uint32_t rank, std::uint32_t id) {
    const std::uint64_t pair = join(left, right);
    std::size_t at = hash(pair);
    while (entries_[at].pair != kFree && entries_[at].pair != pair) at = next(at);
    entries_[at] = {pair, rank, id};
  }
  const Entry* find(std::uint32_t left, std::uint32_t right) const {
    const std::uint64_t pair = join(left, right);
    for (std::size_t at = hash(pair); entries_[at].pair != kFree; at = next(at)) {
      if (entries_[at].pair == pair) return &entries_[at];
    }
    return nullptr;
  }

 private:
  static constexpr std::uint64_t kFree = ~0ULL;
  static std::uint64_t join(std::uint32_t left, std::uint32_t right) {
    return static_cast<std::uint64_t>(left) << 32U | right;
  }
  std::size_t hash(std::uint64_t pair) const {
    return (pair * 0x9E3779B97F4A7C15ULL >> 20U) & (entries_.size() - 1);
  }
  std::size_t next(std::size_t at) const { return (at + 1) & (entries_.size() - 1); }

  std::vector<Entry> entries_;
};

/// Byte-pair encoding (Sennrich et al., 2016): a word's characters, merged pair by pair, the pair
/// that was learnt first first, of equal ones the leftmost.
class Bpe : public Model {
 public:
  explicit Bpe(const JsonReader& json)
      : vocabulary_(read_vocabulary(json.at("vocab"))),
        prefix_(json.string_or("continuing_subword_prefix", "")),
        suffix_(json.string_or("end_of_word_suffix", "")),
        merges_(json.at("merges").size()) {
    fuse_unknown_ = json.boolean_or("fuse_unk", false);
    byte_fallback_ = json.boolean_or("byte_fallback", false);
    whole_words_ = json.boolean_or("ignore_merges", false);
    const auto dropout = json.find("dropout");
    if (dropout && dropout->number() != 0)
      dropout->fail("merges are never left out here", "set it to null: it is for training only");
    if (const auto unknown = json.find("unk_token")) {
      has_unknown_ = true;
      unknown_token_ = unknown->string();
      unknown_ = vocabulary_.id_of(unknown_token_);
    }
    read_merges(json.at("merges"));
    for (char32_t c = 0; c < near_.size(); ++c) {
      std::string spelling;
      append_utf8(spelling, c);
      near_[c] = vocabulary_.id_of(spelling).value_or(kNone);
    }
    for (std::size_t byte = 0; byte < bytes_.size(); ++byte)
      bytes_[byte] = vocabulary_.id_of(fmt::format("<0x{:02X}>", byte)).value_or(kNone);
  }

  void tokenize(std::string_view piece, ModelScratch& scratch,
                std::vector<Token>& tokens) const override {
    if (whole_words_) {
      if (const auto id = vocabulary_.id_of(piece)) {
        tokens.push_back({*id, 0, static_cast<std::uint32_t>(piece.size())});
        return;
      }
    }
    spell(piece, scratch.symbols);
    merge(scratch);
    std::uint32_t at = 0;
    for (const auto& symbol : scratch.symbols) {
      if (symbol.size == 0) continue;
      tokens.push_back({symbol.id, at, at + symbol.size});
      at += symbol.size;
    }
  }
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  static constexpr std::uint32_t kNone = 0xFFFFFFFFU;

  void read_merges(const JsonReader& json) {
    if (!json.is_array()) json.fail("not a list of merges");
    std::uint32_t rank = 0;
    for (const auto& merge : json.value()) {
      std::string left, right;
      if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
        left = merge[0].get<std::string>();
        right = merge[1].get<std::string>();
      } else if (merge.is_string()) {
        const auto& both = merge.get_ref<const std::string&>();
        if (both.starts_with("#version")) continue;
        const std::size_t blank = both.find(' ');
        if (blank == std::string::npos || both.find(' ', blank + 1) != std::string::npos)
          json.fail(fmt::format("merge {}: `{}` is not two tokens", rank, both));
        left = both.substr(0, blank);
        right = both.substr(blank + 1);
      } else {
        json.fail(fmt::format("merge {} is not two tokens", rank));
      }
      insert(json, left, right, rank++);
    }
  }

  void insert(const JsonReader& json, const std::string& left, const std::string& right,
              std::uint32_t rank) {
    const auto id_of = [&](const std::string& token) {
      const auto id = vocabulary_.id_of(token);
      if (!id)
        json.fail(fmt::format("merge {}: `{}` is not in the vocabulary", rank, token),
                  "vocabulary and merges must come from one training");
      return *id;
    };
    if (right.size() < prefix_.size())
      json.fail(fmt::format("merge {}: `{}` lacks the prefix `{}`", rank, right, prefix_));
    merges_.insert(id_of(left), id_of(right), rank, id_of(left + right.substr(prefix_.size())));
  }

  std::uint32_t id_of_point(std::string_view point, bool first, bool last) const {
    const bool plain = (first || prefix_.empty()) && (!last || suffix_.empty());
    if (plain) {
      const char32_t c = point_at(point, 0).value;
      if (c < near_.size()) return near_[c];
      return vocabulary_.id_of(point).value_or(kNone);
    }
    std::string spelling = first ? "" : prefix_;
    spelling += point;
    if (last) spelling += suffix_;
    return vocabulary_.id_of(spelling).value_or(kNone);
  }

  /// The characters of a word as symbols.
  void spell(std::string_view piece, std::vector<ModelScratch::Symbol>& symbols) const {
    symbols.clear();
    std::uint32_t unknown_size = 0;  // of unknown characters not yet pushed
    const auto push = [&](std::uint32_t id, std::uint32_t size) {
      const auto index = static_cast<std::int32_t>(symbols.size());
      if (index > 0) symbols.back().next = index;
      symbols.push_back({id, index - 1, -1, size});
    };
    const auto push_unknown = [&] {
      if (unknown_size > 0) push(*unknown_, unknown_size);
      unknown_size = 0;
    };
    for (std::size_t at = 0; at < piece.size();) {
      const std::uint32_t size = point_at(piece, at).size;
      const std::string_view point = piece.substr(at, size);
      const bool first = at == 0;
      at += size;
      const bool last = at == piece.size();
      const std::uint32_t id = id_of_point(point, first, last);
      if (id != kNone) {
        push_unknown();
        push(id, size);
      } else if (byte_fallback_ && has_bytes(point, first, last)) {
        for (const char c : bytes_to_spell(point, first, last))
          push(bytes_[static_cast<unsigned char>(c)], 1);
      } else if (has_unknown_) {
        if (!unknown_) fail_unknown(point);
        if (!fuse_unknown_) push_unknown();
        unknown_size += size;
      }
    }
    push_unknown();
  }

  std::string bytes_to_spell(std::string_view point, bool first, bool last) const {
    return (first ? "" : prefix_) + std::string(point) + (last ? suffix_ : "");
  }
  bool has_bytes(std::string_view point, bool first, bool last) const {
    const std::string spelling = bytes_to_spell(point, first, last);
    return std::all_of(spelling.begin(), spelling.end(),
                       [&](char c) { return bytes_[static_cast<unsigned char>(c)] != kNone; });
  }

  void merge(ModelScratch& scratch) const {
    auto& symbols = scratch.symbols;
    auto& heap = scratch.merges;
    const auto later = [](const ModelScratch::Merge& a, const ModelScratch::Merge& b) {
      return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
    };
    heap.clear();
    const auto offer = [&](std::int32_t left, std::int32_t right) {
      const auto* entry = merges_.find(symbols[static_cast<std::size_t>(left)].id,
                                       symbols[static_cast<std::size_t>(right)].id);
      if (entry == nullptr) return false;
      heap.push_back({entry->rank, static_cast<std::uint32_t>(left), entry->id});
      return true;
    };
    for (std::int32_t i = 0; i + 1 < static_cast<std::int32_t>(symbols.size()); ++i)
      offer(i, i + 1);
    std::make_heap(heap.begin(), heap.end(), later);
    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end(), later);
      const ModelScratch::Merge top = heap.back();
      heap.pop_back();
      auto& left = symbols[top.position];
      if (left.size == 0 || left.next < 0) continue;
      auto& right = symbols[static_cast<std::size_t>(left.next)];
      const auto* entry = merges_.find(left.id, right.id);
      if (entry == nullptr || entry->id != top.id) continue;  // out of date
      left.id = top.id;
      left.size += right.size;
      left.next = right.next;
      right.size = 0;
      const auto position = static_cast<std::int32_t>(top.position);
      if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = position;
      if (left.previous >= 0 && offer(left.previous, position))
        std::push_heap(heap.begin(), heap.end(), later);
      if (left.next >= 0 && offer(position, left.next))
        std::push_heap(heap.begin(), heap.end(), later);
    }
  }

  [[noreturn]] void fail_unknown(std::string_view text) const {
    throw DataError(fmt::format("tokenizer: `{}` is not in the vocabulary, and neither is the "
                                "token for unknown characters, `{}`",
                                text, unknown_token_),
                    "add it to the vocabulary");
  }

  Vocabulary vocabulary_;
  std::string prefix_, suffix_;  ///< of characters that continue or end a word
  MergeTable merges_;
  bool fuse_unknown_ = false, byte_fallback_ = false, whole_words_ = false, has_unknown_ = false;
  std::string unknown_token_;
  std::optional<std::uint32_t> unknown_;
  std::array<std::uint32_t, 0x180> near_{};  ///< ids of the first code points
  std::array<std::uint32_t, 256> bytes_{};   ///< ids of <0x00> to <0xFF>
};

}  // namespace

std::unique_ptr<Model> make_bpe(const JsonReader& json) { return std::make_unique<Bpe>(json); }

}  // namespace polyphony::text
