#include <polyphony/text/grapheme.h>

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <polyphony/base/utf8.h>

namespace polyphony::text {
namespace {

int break_of(char32_t c) {
  return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_GRAPHEME_CLUSTER_BREAK);
}

bool is_control(int kind) { return kind == U_GCB_CONTROL || kind == U_GCB_CR || kind == U_GCB_LF; }

bool joins_hangul(int left, int right) {
  if (left == U_GCB_L)
    return right == U_GCB_L || right == U_GCB_V || right == U_GCB_LV || right == U_GCB_LVT;
  if (left == U_GCB_LV || left == U_GCB_V) return right == U_GCB_V || right == U_GCB_T;
  return (left == U_GCB_LVT || left == U_GCB_T) && right == U_GCB_T;
}

/// Whether an Indic consonant may be linked to the next by a virama (GB9c).
bool links(char32_t c, int syllabic) {
  if (u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_INDIC_SYLLABIC_CATEGORY) != syllabic)
    return false;
  switch (u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_SCRIPT)) {
    case USCRIPT_BENGALI:
    case USCRIPT_DEVANAGARI:
    case USCRIPT_GUJARATI:
    case USCRIPT_MALAYALAM:
    case USCRIPT_ORIYA:
    case USCRIPT_TELUGU:
      return true;
    default:
      return false;
  }
}

bool is_pictograph(char32_t c) {
  return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_EXTENDED_PICTOGRAPHIC) != 0;
}

}  // namespace

std::size_t grapheme_end(std::string_view text, std::size_t at) {
  Point point = point_at(text, at);
  std::size_t end = at + point.size;
  if (end == text.size()) return end;
  Point next = point_at(text, end);
  // Of the code points below the combining marks only CR and LF join.
  if (point.value < 0x300 && next.value < 0x300 && point.value != '\r') return end;
  int left = break_of(point.value);
  bool pictograph = is_pictograph(point.value);
  bool joined_pictograph = false;  // pictograph, extenders, ZWJ
  bool odd_flag = left == U_GCB_REGIONAL_INDICATOR;
  bool consonant = links(point.value, U_INSC_CONSONANT);
  bool linked = false;
  while (end < text.size()) {
    next = point_at(text, end);
    const int right = break_of(next.value);
    bool joins = left == U_GCB_CR && right == U_GCB_LF;
    if (!is_control(left) && !is_control(right)) {
      joins = joins_hangul(left, right) || right == U_GCB_EXTEND || right == U_GCB_ZWJ ||
              right == U_GCB_SPACING_MARK || left == U_GCB_PREPEND ||
              (joined_pictograph && is_pictograph(next.value)) ||
              (odd_flag && right == U_GCB_REGIONAL_INDICATOR) ||
              (linked && links(next.value, U_INSC_CONSONANT));
    }
    if (!joins) return end;
    joined_pictograph = pictograph && right == U_GCB_ZWJ;
    pictograph = is_pictograph(next.value) || (pictograph && right == U_GCB_EXTEND);
    odd_flag = right == U_GCB_REGIONAL_INDICATOR && !odd_flag;
    const bool starts = links(next.value, U_INSC_CONSONANT);
    linked = !starts && ((consonant && links(next.value, U_INSC_VIRAMA)) ||
                         (linked && (right == U_GCB_EXTEND || right == U_GCB_ZWJ)));
    consonant = starts || (consonant && (right == U_GCB_EXTEND || right == U_GCB_ZWJ));
    left = right;
    end += next.size;
  }
  return end;
}

}  // namespace polyphony::text
