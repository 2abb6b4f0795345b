#include <polyphony/text/normalize.h>

#include <fmt/format.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <polyphony/base/error.h>
#include <polyphony/base/utf8.h>

namespace polyphony::text {
namespace {

void must_succeed(UErrorCode status, const char* step) {
  if (U_SUCCESS(status)) return;
  throw DataError(fmt::format("text: {} failed: {}", step, u_errorName(status)),
                  "ICU's data files may be missing: install libicu72");
}

icu::UnicodeString compose(const icu::UnicodeString& text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* form = icu::Normalizer2::getNFKCInstance(status);
  must_succeed(status, "loading NFKC");
  icu::UnicodeString composed = form->normalize(text, status);
  must_succeed(status, "NFKC");
  return composed;
}

icu::UnicodeString collapse(const icu::UnicodeString& text) {
  icu::UnicodeString out;
  bool pending = false;
  for (int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) {
    const UChar32 c = text.char32At(i);
    if (u_isUWhiteSpace(c)) {
      pending = !out.isEmpty();
      continue;
    }
    if (pending) out.append(static_cast<UChar32>(U' '));
    pending = false;
    out.append(c);
  }
  return out;
}

}  // namespace

void NormalizeOptions::describe(config::Fields& f) {
  f("nfkc", nfkc, "Unicode compatibility composition (NFKC)");
  f("lowercase", lowercase, "lower case, by Unicode's rules for no particular language");
  f("collapse_whitespace", collapse_whitespace,
    "runs of white space become one blank, none at the ends");
  f("cleaning", cleaning,
    "characters that are left out first; kemdy19: all but Latin letters, Hangul, digits and .!?");
}

std::string clean_kemdy19(std::string_view utf8) {
  std::string valid, out;
  make_valid(utf8, valid);
  bool blank = false;  // the last is one
  for (std::size_t at = 0; at < valid.size();) {
    const Point point = point_at(valid, at);
    at += point.size;
    const char32_t c = point.value;
    const bool kept = (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z') ||
                      (c >= U'0' && c <= U'9') || (c >= 0xAC00 && c <= 0xD7A3) ||
                      (c >= 0x3131 && c <= 0x314E) || c == U'.' || c == U'!' || c == U'?';
    if (kept) {
      append_utf8(out, c);
    } else if (!blank) {
      out += ' ';
    }
    blank = !kept;
  }
  return out;
}

std::string normalize(std::string_view utf8, const NormalizeOptions& options) {
  std::string cleaned;
  if (options.cleaning == Cleaning::kKemdy19) utf8 = cleaned = clean_kemdy19(utf8);
  icu::UnicodeString text = icu::UnicodeString::fromUTF8(
      icu::StringPiece(utf8.data(), static_cast<int32_t>(utf8.size())));
  if (options.nfkc) text = compose(text);
  if (options.lowercase) {
    text.toLower(icu::Locale::getRoot());
    if (options.nfkc) text = compose(text);
  }
  if (options.collapse_whitespace) text = collapse(text);
  std::string out;
  text.toUTF8String(out);
  return out;
}

}  // namespace polyphony::text
