#include <polyphony/text/decoders.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <utility>

#include <polyphony/base/utf8.h>
#include <polyphony/text/normalizers.h>
#include <polyphony/text/pattern.h>
#include <polyphony/text/read_kind.h>

namespace polyphony::text {
namespace {

using Strings = std::vector<std::string>;

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  if (what.empty()) return;
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, done)) {
    out.append(text, done, at - done).append(with);
    done = at + what.size();
  }
  text = out.append(text, done);
}

/// English punctuation and contractions close up to the word before them.
void clean_up(std::string& text) {
  constexpr std::pair<const char*, const char*> kRules[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [what, with] : kRules) replace_all(text, what, with);
}

class Bpe : public Decoder {
 public:
  explicit Bpe(const JsonReader& json) : suffix_(json.at("suffix").string()) {}
  Strings decode(Strings tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i)
      replace_all(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
    return tokens;
  }

 private:
  std::string suffix_;
};

class ByteLevel : public Decoder {
 public:
  explicit ByteLevel(const JsonReader&) {}
  Strings decode(Strings tokens) const override {
    std::string bytes, part;
    for (const std::string& token : tokens) {
      part.clear();
      bool known = true;
      for (std::size_t at = 0; at < token.size();) {
        const Point point = point_at(token, at);
        at += point.size;
        const int byte = byte_of_point(point.value);
        known = known && byte >= 0;
        part.push_back(static_cast<char>(byte));
      }
      bytes += known ? part : token;
    }
    std::string text;
    make_valid(bytes, text);
    return {std::move(text)};
  }
};

class WordPiece : public Decoder {
 public:
  explicit WordPiece(const JsonReader& json)
      : prefix_(json.at("prefix").string()), cleanup_(json.at("cleanup").boolean()) {}
  Strings decode(Strings tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0) {
        if (token.starts_with(prefix_)) {
          token.erase(0, prefix_.size());
        } else {
          token.insert(0, " ");
        }
      }
      if (cleanup_) clean_up(token);
    }
    return tokens;
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

class Metaspace : public Decoder {
 public:
  explicit Metaspace(const JsonReader& json)
      : replacement_(json.at("replacement").character()),
        strips_(json.string_or("prepend_scheme", "always") != "never" &&
                json.boolean_or("add_prefix_space", true)) {}
  Strings decode(Strings tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string out;
      for (std::size_t at = 0; at < tokens[i].size();) {
        const Point point = point_at(tokens[i], at);
        at += point.size;
        if (point.value != replacement_) {
          append_utf8(out, point.value);
        } else if (i > 0 || !strips_) {
          out += ' ';
        }
      }
      tokens[i] = std::move(out);
    }
    return tokens;
  }

 private:
  char32_t replacement_;
  bool strips_;
};

/// The byte of `<0x0A>`, or -1.
int fallback_byte(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return -1;
  int byte = 0;
  const char* end = token.data() + 5;
  const auto result = std::from_chars(token.data() + 3, end, byte, 16);
  return result.ec == std::errc() && result.ptr == end && byte >= 0 ? byte : -1;
}

class ByteFallback : public Decoder {
 public:
  explicit ByteFallback(const JsonReader&) {}
  Strings decode(Strings tokens) const override {
    Strings out;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (valid_prefix(bytes) == bytes.size()) {
        out.push_back(bytes);
      } else {
        out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
      }
      bytes.clear();
    };
    for (std::string& token : tokens) {
      const int byte = fallback_byte(token);
      if (byte >= 0) {
        bytes.push_back(static_cast<char>(byte));
        continue;
      }
      flush();
      out.push_back(std::move(token));
    }
    flush();
    return out;
  }
};

class Fuse : public Decoder {
 public:
  explicit Fuse(const JsonReader&) {}
  Strings decode(Strings tokens) const override {
    std::string all;
    for (const std::string& token : tokens) all += token;
    return {std::move(all)};
  }
};

class Strip : public Decoder {
 public:
  explicit Strip(const JsonReader& json)
      : start_(json.at("start").natural()), stop_(json.at("stop").natural()) {
    append_utf8(content_, json.at("content").character());
  }
  Strings decode(Strings tokens) const override {
    for (std::string& token : tokens) {
      for (std::uint32_t i = 0; i < start_ && token.starts_with(content_); ++i)
        token.erase(0, content_.size());
      for (std::uint32_t i = 0; i < stop_ && token.ends_with(content_); ++i)
        token.resize(token.size() - content_.size());
    }
    return tokens;
  }

 private:
  std::string content_;
  std::uint32_t start_, stop_;
};

class Replace : public Decoder {
 public:
  explicit Replace(const JsonReader& json)
      : pattern_(read_pattern(json.at("pattern"))), content_(json.at("content").string()) {}
  Strings decode(Strings tokens) const override {
    std::vector<Part> parts;
    for (std::string& token : tokens) {
      pattern_->divide(token, parts);
      std::string out;
      for (const Part& part : parts) {
        if (part.matches) {
          out += content_;
        } else {
          out.append(token, part.begin, part.end - part.begin);
        }
      }
      token = std::move(out);
    }
    return tokens;
  }

 private:
  std::unique_ptr<Pattern> pattern_;
  std::string content_;
};

class Ctc : public Decoder {
 public:
  explicit Ctc(const JsonReader& json)
      : pad_(json.at("pad_token").string()),
        delimiter_(json.at("word_delimiter_token").string()),
        cleanup_(json.at("cleanup").boolean()) {}
  Strings decode(Strings tokens) const override {
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    Strings out;
    for (std::string& token : tokens) {
      replace_all(token, pad_, "");
      if (cleanup_) {
        clean_up(token);
        replace_all(token, delimiter_, " ");
      }
      if (!token.empty()) out.push_back(std::move(token));
    }
    return out;
  }

 private:
  std::string pad_, delimiter_;
  bool cleanup_;
};

class Sequence : public Decoder {
 public:
  explicit Sequence(const JsonReader& json) {
    for (const JsonReader& item : json.at("decoders").items()) steps_.push_back(read_decoder(item));
  }
  Strings decode(Strings tokens) const override {
    for (const auto& step : steps_) tokens = step->decode(std::move(tokens));
    return tokens;
  }

 private:
  std::vector<std::unique_ptr<Decoder>> steps_;
};

using Make = std::function<std::unique_ptr<Decoder>(const JsonReader&)>;
template <class T>
Make make() {
  return [](const JsonReader& json) { return std::make_unique<T>(json); };
}

}  // namespace

std::unique_ptr<Decoder> read_decoder(const JsonReader& json) {
  static const std::map<std::string, Make> kKinds = {
      {"BPEDecoder", make<Bpe>()},
      {"ByteLevel", make<ByteLevel>()},
      {"WordPiece", make<WordPiece>()},
      {"Metaspace", make<Metaspace>()},
      {"ByteFallback", make<ByteFallback>()},
      {"Fuse", make<Fuse>()},
      {"Strip", make<Strip>()},
      {"Replace", make<Replace>()},
      {"CTC", make<Ctc>()},
      {"Sequence", make<Sequence>()},
  };
  return read_kind(json, kKinds, "decoder");
}

}  // namespace polyphony::text
