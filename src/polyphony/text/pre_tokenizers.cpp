#include <polyphony/text/pre_tokenizers.h>

#include <functional>
#include <map>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/utf8.h>
#include <polyphony/text/normalizers.h>
#include <polyphony/text/read_kind.h>

namespace polyphony::text {
namespace {

PointClass class_at(std::string_view text, std::size_t at, std::size_t& size) {
  const Point point = point_at(text, at);
  size = point.size;
  return classes_of(point.value);
}

/// Parts where each code point of `matching` classes is a match by itself.
struct SinglePoints {
  PointClass matching;

  void operator()(std::string_view text, std::vector<Part>& parts) const {
    parts.clear();
    std::size_t done = 0;
    std::size_t size = 0;
    for (std::size_t at = 0; at < text.size(); at += size) {
      if ((class_at(text, at, size) & matching) == 0) continue;
      if (done < at) parts.push_back({done, at, false});
      parts.push_back({at, at + size, true});
      done = at + size;
    }
    if (done < text.size()) parts.push_back({done, text.size(), false});
  }
};

/// Parts where each given code point is a match by itself.
struct OnePoint {
  std::string point;  ///< as UTF-8

  void operator()(std::string_view text, std::vector<Part>& parts) const {
    parts.clear();
    std::size_t done = 0;
    for (std::size_t at = text.find(point); at != std::string_view::npos;
         at = text.find(point, done)) {
      if (done < at) parts.push_back({done, at, false});
      done = at + point.size();
      parts.push_back({at, done, true});
    }
    if (done < text.size()) parts.push_back({done, text.size(), false});
  }
};

class Bert : public PreTokenizer {
 public:
  explicit Bert(const JsonReader&) {}
  void pre_tokenize(Pieces& pieces) const override {
    pieces.split(SplitBehavior::kRemoved, SinglePoints{kWhitespace});
    pieces.split(SplitBehavior::kIsolated, SinglePoints{kPunctuation});
  }
};

class WhitespaceSplit : public PreTokenizer {
 public:
  explicit WhitespaceSplit(const JsonReader&) {}
  void pre_tokenize(Pieces& pieces) const override {
    pieces.split(SplitBehavior::kRemoved, SinglePoints{kWhitespace});
  }
};

/// `\w+|[^\w\s]+`
class Whitespace : public PreTokenizer {
 public:
  explicit Whitespace(const JsonReader&) {}
  void pre_tokenize(Pieces& pieces) const override {
    pieces.split(SplitBehavior::kRemoved, [](std::string_view text, std::vector<Part>& parts) {
      parts.clear();
      constexpr PointClass kEither = kWord | kWhitespace;
      std::size_t size = 0;
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t begin = at;
        const PointClass kind = class_at(text, at, size) & kEither;
        const bool word = (kind & kWord) != 0;
        for (at += size; at < text.size(); at += size) {
          const PointClass next = class_at(text, at, size) & kEither;
          if (word ? (next & kWord) == 0 : next != kind) break;
        }
        parts.push_back({begin, at, kind == kWhitespace});
      }
    });
  }
};

class Punctuation : public PreTokenizer {
 public:
  explicit Punctuation(const JsonReader& json);
  void pre_tokenize(Pieces& pieces) const override {
    pieces.split(behavior_, SinglePoints{kPunctuation});
  }

 private:
  SplitBehavior behavior_ = SplitBehavior::kIsolated;
};

class Digits : public PreTokenizer {
 public:
  explicit Digits(const JsonReader& json)
      : behavior_(json.at("individual_digits").boolean() ? SplitBehavior::kIsolated
                                                         : SplitBehavior::kContiguous) {}
  void pre_tokenize(Pieces& pieces) const override {
    pieces.split(behavior_, SinglePoints{kNumeric});
  }

 private:
  SplitBehavior behavior_;
};

class CharDelimiterSplit : public PreTokenizer {
 public:
  explicit CharDelimiterSplit(const JsonReader& json) {
    append_utf8(delimiter_.point, json.at("delimiter").character());
  }
  void pre_tokenize(Pieces& pieces) const override {
    pieces.split(SplitBehavior::kRemoved, delimiter_);
  }

 private:
  OnePoint delimiter_;
};

class FixedLength : public PreTokenizer {
 public:
  explicit FixedLength(const JsonReader& json) {
    if (const auto length = json.find("length")) length_ = length->natural();
    if (length_ == 0) json.fail("length is 0");
  }
  void pre_tokenize(Pieces& pieces) const override {
    pieces.split(SplitBehavior::kIsolated, [&](std::string_view text, std::vector<Part>& parts) {
      parts.clear();
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t begin = at;
        for (std::uint32_t n = 0; n < length_ && at < text.size(); ++n)
          at += point_at(text, at).size;
        parts.push_back({begin, at, true});
      }
    });
  }

 private:
  std::uint32_t length_ = 5;
};

SplitBehavior read_behavior(const JsonReader& json) {
  const std::string name = json.string();
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  json.fail(fmt::format("no behavior `{}`", name),
            "there are Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
}

Punctuation::Punctuation(const JsonReader& json) {
  if (const auto behavior = json.find("behavior")) behavior_ = read_behavior(*behavior);
}

class Split : public PreTokenizer {
 public:
  explicit Split(const JsonReader& json)
      : pattern_(read_pattern(json.at("pattern"))),
        behavior_(read_behavior(json.at("behavior"))),
        invert_(json.at("invert").boolean()) {}

  void pre_tokenize(Pieces& pieces) const override {
    pieces.split(behavior_, [&](std::string_view text, std::vector<Part>& parts) {
      pattern_->divide(text, parts);
      if (!invert_) return;
      for (Part& part : parts) part.matches = !part.matches;
    });
  }

 private:
  std::unique_ptr<Pattern> pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

/// Blanks become a visible character, which also stands before the text; words begin with it.
class Metaspace : public PreTokenizer {
 public:
  explicit Metaspace(const JsonReader& json) {
    append_utf8(replacement_.point, json.at("replacement").character());
    if (const auto scheme = json.find("prepend_scheme")) {
      const std::string name = scheme->string();
      if (name == "always") {
        scheme_ = Scheme::kAlways;
      } else if (name == "first") {
        scheme_ = Scheme::kFirst;
      } else if (name == "never") {
        scheme_ = Scheme::kNever;
      } else {
        scheme->fail(fmt::format("no scheme `{}`", name), "there are always, first, never");
      }
    }
    if (!json.boolean_or("add_prefix_space", true)) scheme_ = Scheme::kNever;
    split_ = json.boolean_or("split", true);
  }

  void pre_tokenize(Pieces& pieces) const override {
    pieces.rewrite([&](const Piece& piece) { rewrite(pieces, piece); });
    if (split_) pieces.split(SplitBehavior::kMergedWithNext, replacement_);
  }

 private:
  enum class Scheme { kAlways, kFirst, kNever };

  void rewrite(Pieces& pieces, const Piece& piece) const {
    const std::string_view text = pieces.text_of(piece);
    const bool begins =
        text[0] == ' ' || text.substr(0, replacement_.point.size()) == replacement_.point;
    const bool wanted =
        scheme_ == Scheme::kAlways || (scheme_ == Scheme::kFirst && piece.original.begin == 0);
    const Span* spans = pieces.spans().data() + piece.begin;
    if (wanted && !begins) pieces.emit(replacement_.point, spans[0]);
    for (std::size_t at = 0; at < text.size();) {
      if (text[at] == ' ') {
        pieces.emit(replacement_.point, spans[at++]);
        continue;
      }
      const std::uint32_t size = point_at(text, at).size;
      pieces.emit(text.substr(at, size), spans[at]);
      at += size;
    }
  }

  OnePoint replacement_;
  Scheme scheme_ = Scheme::kAlways;
  bool split_ = true;
};

/// GPT-2's words: `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
void divide_as_gpt2(std::string_view text, std::vector<Part>& parts) {
  parts.clear();
  constexpr PointClass kKinds = kLetter | kNumber | kWhitespace;
  std::size_t size = 0;
  const auto kind_at = [&](std::size_t at) -> PointClass {
    return class_at(text, at, size) & kKinds;
  };
  const auto contraction = [&](std::size_t at) -> std::size_t {  // its size, or 0
    const std::string_view rest = text.substr(at + 1, 2);
    if (rest.empty()) return 0;
    if (rest == "re" || rest == "ve" || rest == "ll") return 3;
    const char c = rest[0];
    return c == 's' || c == 't' || c == 'm' || c == 'd' ? 2 : 0;
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    if (text[at] == '\'') {
      if (const std::size_t length = contraction(at); length > 0) {
        at += length;
        parts.push_back({begin, at, true});
        continue;
      }
    }
    PointClass kind = kind_at(at);
    const bool blank = text[at] == ' ';
    if (blank && at + 1 < text.size()) {
      const PointClass next = kind_at(at + 1);
      if ((next & kWhitespace) == 0) {
        ++at;
        kind = next;
      } else {
        size = 1;
      }
    }
    std::size_t last = at;  // start of the run's last code point
    at += size;
    for (; at < text.size() && kind_at(at) == kind; at += size) last = at;
    // White space before a word leaves its last code point to the word.
    if ((kind & kWhitespace) != 0 && at < text.size() && last > begin) at = last;
    parts.push_back({begin, at, true});
  }
}

class ByteLevel : public PreTokenizer {
 public:
  explicit ByteLevel(const JsonReader& json)
      : prefix_(json.at("add_prefix_space").boolean()),
        words_(json.boolean_or("use_regex", true)) {}

  void pre_tokenize(Pieces& pieces) const override {
    if (prefix_) {
      pieces.rewrite([&](const Piece& piece) {
        const Span* spans = pieces.spans().data() + piece.begin;
        const std::string_view text = pieces.text_of(piece);
        if (text[0] != ' ') pieces.emit(" ", spans[0]);
        for (std::size_t at = 0; at < text.size(); ++at) pieces.emit(text.substr(at, 1), spans[at]);
      });
    }
    if (words_) pieces.split(SplitBehavior::kIsolated, divide_as_gpt2);
    pieces.rewrite([&](const Piece& piece) {
      const Span* spans = pieces.spans().data() + piece.begin;
      const std::string_view text = pieces.text_of(piece);
      for (std::size_t at = 0; at < text.size(); ++at)
        pieces.emit(point_of_byte(static_cast<unsigned char>(text[at])), spans[at]);
    });
  }

 private:
  bool prefix_, words_;
};

class Sequence : public PreTokenizer {
 public:
  explicit Sequence(const JsonReader& json) {
    for (const JsonReader& item : json.at("pretokenizers").items())
      steps_.push_back(read_pre_tokenizer(item));
  }
  void pre_tokenize(Pieces& pieces) const override {
    for (const auto& step : steps_) step->pre_tokenize(pieces);
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> steps_;
};

using Make = std::function<std::unique_ptr<PreTokenizer>(const JsonReader&)>;
template <class T>
Make make() {
  return [](const JsonReader& json) { return std::make_unique<T>(json); };
}

}  // namespace

std::unique_ptr<PreTokenizer> read_pre_tokenizer(const JsonReader& json) {
  static const std::map<std::string, Make> kKinds = {
      {"BertPreTokenizer", make<Bert>()},
      {"ByteLevel", make<ByteLevel>()},
      {"Whitespace", make<Whitespace>()},
      {"WhitespaceSplit", make<WhitespaceSplit>()},
      {"Metaspace", make<Metaspace>()},
      {"Punctuation", make<Punctuation>()},
      {"Digits", make<Digits>()},
      {"Split", make<Split>()},
      {"CharDelimiterSplit", make<CharDelimiterSplit>()},
      {"FixedLength", make<FixedLength>()},
      {"Sequence", make<Sequence>()},
  };
  return read_kind(json, kKinds, "pre_tokenizer");
}

}  // namespace polyphony::text
