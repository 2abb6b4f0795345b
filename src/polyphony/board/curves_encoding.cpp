#include <polyphony/board/curves_encoding.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include <polyphony/board/json.h>

namespace polyphony::board {
namespace {

static_assert(std::endian::native == std::endian::little);

using Named = std::pair<const char*, const std::vector<double>*>;

Json head_of(const DrawnCurve& curve) {
  return {{"id", curve.id}, {"name", curve.name}, {"group", curve.group}, {"points", curve.points}};
}

Json head_of(const DrawnBand& band) { return {{"group", band.group}, {"runs", band.runs}}; }

std::vector<Named> arrays_of(const DrawnBand& band) {
  return {{"x", &band.band.x},
          {"mean", &band.band.mean},
          {"low", &band.band.low},
          {"high", &band.band.high}};
}

void append_named(std::string& out, const std::vector<Named>& arrays) {
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    out += fmt::format("{}\"{}\":", i > 0 ? "," : "", arrays[i].first);
    append_array(out, *arrays[i].second);
  }
}

/// A head without its closing brace.
std::string opened(const Json& head) {
  std::string text = dump(head);
  text.pop_back();
  return text + ",";
}

/// The head, and what follows it.
std::string packed(const Json& head, const std::vector<const std::vector<double>*>& arrays) {
  const std::string text = dump(head);
  const auto size = static_cast<std::uint32_t>(text.size());
  std::string out(sizeof(size), '\0');
  std::memcpy(out.data(), &size, sizeof(size));
  out += text;
  out.resize((out.size() + 3) / 4 * 4, '\0');
  for (const auto* values : arrays) {
    const std::vector<float> narrow(values->begin(), values->end());
    out.append(reinterpret_cast<const char*>(narrow.data()), narrow.size() * sizeof(float));
  }
  return out;
}

}  // namespace

std::string to_json(std::span<const DrawnCurve> curves) {
  std::string out = "{\"curves\":[";
  for (const DrawnCurve& curve : curves) {
    if (out.back() == '}') out += ',';
    out += opened(head_of(curve));
    append_named(out, {{"x", &curve.shown.x}, {"y", &curve.shown.y}});
    if (!curve.raw.x.empty()) {
      out += ",\"raw\":{";
      append_named(out, {{"x", &curve.raw.x}, {"y", &curve.raw.y}});
      out += '}';
    }
    out += '}';
  }
  return out + "]}";
}

std::string to_json(std::span<const DrawnBand> bands) {
  std::string out = "{\"bands\":[";
  for (const DrawnBand& band : bands) {
    if (out.back() == '}') out += ',';
    out += opened(head_of(band));
    append_named(out, arrays_of(band));
    out += '}';
  }
  return out + "]}";
}

std::string to_binary(std::span<const DrawnCurve> curves) {
  Json list = Json::array();
  std::vector<const std::vector<double>*> arrays;
  for (const DrawnCurve& curve : curves) {
    Json head = head_of(curve);
    head["size"] = curve.shown.x.size();
    head["rawSize"] = curve.raw.x.size();
    list.push_back(std::move(head));
    for (const auto* values : {&curve.shown.x, &curve.shown.y, &curve.raw.x, &curve.raw.y}) {
      arrays.push_back(values);
    }
  }
  return packed({{"curves", std::move(list)}}, arrays);
}

std::string to_binary(std::span<const DrawnBand> bands) {
  Json list = Json::array();
  std::vector<const std::vector<double>*> arrays;
  for (const DrawnBand& band : bands) {
    Json head = head_of(band);
    head["size"] = band.band.x.size();
    list.push_back(std::move(head));
    for (const auto& [name, values] : arrays_of(band)) arrays.push_back(values);
  }
  return packed({{"bands", std::move(list)}}, arrays);
}

}  // namespace polyphony::board
