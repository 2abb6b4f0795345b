#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include <polyphony/base/base64.h>
#include <polyphony/base/utf8.h>
#include <polyphony/config/yaml/dump.h>
#include <polyphony/config/yaml/scalars.h>

namespace polyphony::config {
namespace {

enum class Tags { kNone, kGolden };

/// Writes JSON without building a tree of it.
class JsonWriter {
 public:
  JsonWriter(int indent, Tags tags) : indent_(indent), tags_(tags) {}

  void write(const Node& node) {
    switch (node.kind()) {
      case Node::Kind::kNull:
        out_ += "null";
        return;
      case Node::Kind::kBool:
        out_ += node.as_bool() ? "true" : "false";
        return;
      case Node::Kind::kInt:
        out_ += python_str(node);
        return;
      case Node::Kind::kFloat:
        return number(node.as_float());
      case Node::Kind::kString:
        if (node.is_bytes() && tags_ == Tags::kGolden)
          return tagged("$bytes", encode_base64(node.as_string()));
        return text(node.as_string());
      case Node::Kind::kList:
        return list(
            node.items(), [this](const Node& item) { write(item); }, "[]");
      case Node::Kind::kMap:
        return map(node);
    }
  }
  std::string take() { return std::move(out_); }

 private:
  void number(double value) {
    if (std::isfinite(value)) {
      out_ += float_repr(value);
    } else if (tags_ == Tags::kGolden) {
      tagged("$float", float_repr(value));
    } else {
      text(std::isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
    }
  }
  void tagged(std::string_view tag, const std::string& value) {
    out_ += '{';
    text(tag);
    out_ += indent_ < 0 ? ":" : ": ";
    text(value);
    out_ += '}';
  }
  void map(const Node& node) {
    const bool other_keys = std::any_of(
        node.entries().begin(), node.entries().end(),
        [](const Node::Item& item) { return !item.first.is_string() || item.first.is_bytes(); });
    if (!other_keys || tags_ == Tags::kNone) {
      return list(
          node.entries(),
          [this](const Node::Item& item) {
            text(python_str(item.first));
            out_ += indent_ < 0 ? ":" : ": ";
            write(item.second);
          },
          "{}");
    }
    out_ += '{';
    text("$map");
    out_ += indent_ < 0 ? ":" : ": ";
    list(
        node.entries(),
        [this](const Node::Item& item) {
          out_ += '[';
          write(item.first);
          out_ += indent_ < 0 ? "," : ", ";
          write(item.second);
          out_ += ']';
        },
        "[]");
    out_ += '}';
  }
  template <class Items, class Write>
  void list(const Items& items, Write write_item, const char* brackets) {
    out_ += brackets[0];
    ++depth_;
    bool first = true;
    for (const auto& item : items) {
      if (!first) out_ += ',';
      first = false;
      new_line();
      write_item(item);
    }
    --depth_;
    if (!first) new_line();
    out_ += brackets[1];
  }
  void new_line() {
    if (indent_ < 0) return;
    out_ += '\n';
    out_.append(static_cast<std::size_t>(indent_) * static_cast<std::size_t>(depth_), ' ');
  }
  void text(std::string_view value) {
    out_ += '"';
    while (!value.empty()) {
      const char c = value[0];
      if (static_cast<unsigned char>(c) >= 0x80) {
        const DecodedPoint point = decode_point(value);
        append_utf8(out_, point.value);
        value.remove_prefix(point.valid ? point.size : 1);
        continue;
      }
      value.remove_prefix(1);
      if (c == '"' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (c == '\n') {
        out_ += "\\n";
      } else if (c == '\t') {
        out_ += "\\t";
      } else if (c == '\r') {
        out_ += "\\r";
      } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
        out_ += fmt::format("\\u{:04x}", static_cast<int>(c));
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }

  std::string out_;
  int indent_;
  Tags tags_;
  int depth_ = 0;
};

}  // namespace

std::string to_json(const Node& node, int indent) {
  JsonWriter writer(indent, Tags::kNone);
  writer.write(node);
  return writer.take();
}

std::string to_tagged_json(const Node& node, int indent) {
  JsonWriter writer(indent, Tags::kGolden);
  writer.write(node);
  return writer.take();
}

}  // namespace polyphony::config
