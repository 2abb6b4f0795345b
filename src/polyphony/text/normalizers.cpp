#include <polyphony/text/normalizers.h>

#include <array>
#include <functional>
#include <map>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/base64.h>
#include <polyphony/base/utf8.h>
#include <polyphony/text/charsmap.h>
#include <polyphony/text/pattern.h>
#include <polyphony/text/read_kind.h>

namespace polyphony::text {
namespace {

bool is(char32_t c, PointClass classes) { return (classes_of(c) & classes) != 0; }

class Bert : public Normalizer {
 public:
  explicit Bert(const JsonReader& json)
      : clean_(json.at("clean_text").boolean()),
        chinese_(json.at("handle_chinese_chars").boolean()),
        lowercase_(json.at("lowercase").boolean()) {
    const auto strip = json.find("strip_accents");
    strip_accents_ = strip ? strip->boolean() : lowercase_;
  }

  void normalize(AlignedText& text) const override {
    if (clean_) clean(text);
    if (chinese_) space_chinese(text);
    if (strip_accents_) {
      text.decompose(Decomposition::kCanonical);
      text.filter([](char32_t c) { return !is(c, kNonspacing); });
    }
    if (lowercase_) text.lowercase();
  }

 private:
  static void clean(AlignedText& text) {
    text.filter([](char32_t c) {
      if (c == '\t' || c == '\n' || c == '\r') return true;
      return c != 0 && c != 0xFFFD && !is(c, kControl);
    });
    text.map([](char32_t c) { return is(c, kWhitespace) ? U' ' : c; });
  }

  static void space_chinese(AlignedText& text) {
    std::vector<Change>& changes = text.scratch();
    changes.clear();
    bool found = false;
    for (std::size_t at = 0; at < text.text().size();) {
      const Point point = point_at(text.text(), at);
      at += point.size;
      if (is(point.value, kChinese)) {
        found = true;
        changes.insert(changes.end(), {{U' ', 0}, {point.value, 1}, {U' ', 1}});
      } else {
        changes.push_back({point.value, 0});
      }
    }
    if (found) text.transform(changes);
  }

  bool clean_, chinese_, lowercase_, strip_accents_ = false;
};

template <Decomposition kKind, bool kCompose>
class UnicodeForm : public Normalizer {
 public:
  explicit UnicodeForm(const JsonReader&) {}
  void normalize(AlignedText& text) const override {
    if constexpr (kCompose) {
      text.compose(kKind);
    } else {
      text.decompose(kKind);
    }
  }
};

class Lowercase : public Normalizer {
 public:
  explicit Lowercase(const JsonReader&) {}
  void normalize(AlignedText& text) const override { text.lowercase(); }
};

class StripAccents : public Normalizer {
 public:
  explicit StripAccents(const JsonReader&) {}
  void normalize(AlignedText& text) const override {
    text.filter([](char32_t c) { return !is(c, kCombining); });
  }
};

class Strip : public Normalizer {
 public:
  explicit Strip(const JsonReader& json)
      : left_(json.at("strip_left").boolean()), right_(json.at("strip_right").boolean()) {}
  void normalize(AlignedText& text) const override { text.strip(left_, right_); }

 private:
  bool left_, right_;
};

class Replace : public Normalizer {
 public:
  explicit Replace(const JsonReader& json)
      : pattern_(read_pattern(json.at("pattern"))), content_(json.at("content").string()) {}

  void normalize(AlignedText& text) const override {
    std::vector<Part> parts;
    pattern_->divide(text.text(), parts);
    if (parts.size() == 1 && !parts[0].matches) return;
    text.begin_replacing();
    for (const Part& part : parts) {
      if (part.matches) text.replace(part.begin, part.end, content_);
    }
    text.end_replacing();
  }

 private:
  std::unique_ptr<Pattern> pattern_;
  std::string content_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(const JsonReader& json) : content_(json.at("prepend").string()) {}
  void normalize(AlignedText& text) const override { text.prepend(content_); }

 private:
  std::string content_;
};

class Precompiled : public Normalizer {
 public:
  explicit Precompiled(const JsonReader& json) : map_(read(json.at("precompiled_charsmap"))) {}
  void normalize(AlignedText& text) const override { map_.apply(text); }

 private:
  static Charsmap read(const JsonReader& charsmap) {
    const auto bytes = decode_base64(charsmap.string());
    if (!bytes) charsmap.fail("not base64");
    return Charsmap(*bytes, charsmap.place());
  }

  Charsmap map_;
};

class Nmt : public Normalizer {
 public:
  explicit Nmt(const JsonReader&) {}
  void normalize(AlignedText& text) const override {
    text.filter([](char32_t c) {
      return !((c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
               c == 0x8F || c == 0x9F);
    });
    text.map([](char32_t c) {
      const bool blank = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
                         (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 ||
                         c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
      return blank ? U' ' : c;
    });
  }
};

class ByteLevel : public Normalizer {
 public:
  explicit ByteLevel(const JsonReader&) {}
  void normalize(AlignedText& text) const override {
    std::vector<Change>& changes = text.scratch();
    changes.clear();
    for (const char c : text.text())
      changes.push_back({point_of_byte(static_cast<unsigned char>(c)), is_continuation(c) ? 1 : 0});
    text.transform(changes);
  }
};

class Sequence : public Normalizer {
 public:
  explicit Sequence(const JsonReader& json) {
    for (const JsonReader& item : json.at("normalizers").items())
      steps_.push_back(read_normalizer(item));
  }
  void normalize(AlignedText& text) const override {
    for (const auto& step : steps_) step->normalize(text);
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> steps_;
};

using Make = std::function<std::unique_ptr<Normalizer>(const JsonReader&)>;
template <class T>
Make make() {
  return [](const JsonReader& json) { return std::make_unique<T>(json); };
}

const std::map<std::string, Make>& kinds() {
  static const std::map<std::string, Make> kAll = {
      {"BertNormalizer", make<Bert>()},
      {"NFC", make<UnicodeForm<Decomposition::kCanonical, true>>()},
      {"NFD", make<UnicodeForm<Decomposition::kCanonical, false>>()},
      {"NFKC", make<UnicodeForm<Decomposition::kCompatible, true>>()},
      {"NFKD", make<UnicodeForm<Decomposition::kCompatible, false>>()},
      {"Lowercase", make<Lowercase>()},
      {"StripAccents", make<StripAccents>()},
      {"Strip", make<Strip>()},
      {"Replace", make<Replace>()},
      {"Prepend", make<Prepend>()},
      {"Precompiled", make<Precompiled>()},
      {"Nmt", make<Nmt>()},
      {"ByteLevel", make<ByteLevel>()},
      {"Sequence", make<Sequence>()},
  };
  return kAll;
}

/// GPT-2's alphabet: printable bytes of Latin-1 stand for themselves, the others for U+0100 and on.
constexpr std::array<char32_t, 256> kByteAlphabet = [] {
  std::array<char32_t, 256> points{};
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    points[byte] = printable ? byte : next++;
  }
  return points;
}();

constexpr std::array<std::int16_t, 0x144> kAlphabetBytes = [] {
  std::array<std::int16_t, 0x144> bytes{};
  bytes.fill(-1);
  for (std::size_t byte = 0; byte < 256; ++byte)
    bytes[kByteAlphabet[byte]] = static_cast<std::int16_t>(byte);
  return bytes;
}();

}  // namespace

std::unique_ptr<Normalizer> read_normalizer(const JsonReader& json) {
  return read_kind(json, kinds(), "normalizer");
}

char32_t point_of_byte(unsigned char byte) { return kByteAlphabet[byte]; }

int byte_of_point(char32_t c) { return c < kAlphabetBytes.size() ? kAlphabetBytes[c] : -1; }

}  // namespace polyphony::text
