#include <polyphony/text/code_points.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <mutex>

#include <fmt/format.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <polyphony/base/error.h>

namespace polyphony::text {
namespace detail {
std::array<std::atomic<const ClassPage*>, 0x1100> class_pages{};
}  // namespace detail

namespace {

/// The version of Unicode, 1 to 15, that first assigned a code point; 0 where ICU knows none.
int age_of(char32_t c) {
  UVersionInfo version{};
  u_charAge(static_cast<UChar32>(c), version);
  return version[0];
}

bool assigned_by(char32_t c, int version) {
  const int age = age_of(c);
  return age != 0 && age <= version;
}

/// Code points that are newer than Debian 12's ICU (Unicode 15), up to Unicode 17.
struct Newer {
  char32_t first, last;
  PointClass classes;
};
constexpr PointClass kNewLetter = kLetter | kWord;
constexpr PointClass kNewDigit = kNumber | kNumeric | kWord;
constexpr Newer kNewer[] = {
    {0x897, 0x897, kWord},          {0x1C89, 0x1C8A, kNewLetter},   {0xA7CB, 0xA7CD, kNewLetter},
    {0xA7DA, 0xA7DC, kNewLetter},   {0x105C0, 0x105F3, kNewLetter}, {0x10D40, 0x10D49, kNewDigit},
    {0x10D4A, 0x10D65, kNewLetter}, {0x10D69, 0x10D6D, kWord},      {0x10D6F, 0x10D85, kNewLetter},
    {0x10EC2, 0x10EC4, kNewLetter}, {0x10EFC, 0x10EFC, kWord},      {0x11380, 0x11389, kNewLetter},
    {0x1138B, 0x1138B, kNewLetter}, {0x1138E, 0x1138E, kNewLetter}, {0x11390, 0x113B5, kNewLetter},
    {0x113B7, 0x113B7, kNewLetter}, {0x113B8, 0x113C0, kWord},      {0x113C2, 0x113C2, kWord},
    {0x113C5, 0x113C5, kWord},      {0x113C7, 0x113CA, kWord},      {0x113CC, 0x113D0, kWord},
    {0x113D1, 0x113D1, kNewLetter}, {0x113D2, 0x113D2, kWord},      {0x113D3, 0x113D3, kNewLetter},
    {0x113E1, 0x113E2, kWord},      {0x116D0, 0x116E3, kNewDigit},  {0x11BC0, 0x11BE0, kNewLetter},
    {0x11BF0, 0x11BF9, kNewDigit},  {0x11DE0, 0x11DE9, kNumeric},   {0x11F5A, 0x11F5A, kWord},
    {0x13460, 0x143FA, kNewLetter}, {0x16100, 0x1611D, kNewLetter}, {0x1611E, 0x1612F, kWord},
    {0x16130, 0x16139, kNewDigit},  {0x16D40, 0x16D6C, kNewLetter}, {0x16D70, 0x16D79, kNewDigit},
    {0x16FF4, 0x16FF6, kNumeric},   {0x18CFF, 0x18CFF, kNewLetter}, {0x1CCF0, 0x1CCF9, kNewDigit},
    {0x1E5D0, 0x1E5ED, kNewLetter}, {0x1E5EE, 0x1E5EF, kWord},      {0x1E5F0, 0x1E5F0, kNewLetter},
    {0x1E5F1, 0x1E5FA, kNewDigit},  {0x2EBF0, 0x2EE5D, kNewLetter},
};

/// Capital letters newer than ICU's data: a run and the distance to its small letters.
struct NewerCapitals {
  char32_t first, last;
  std::int32_t distance;
};
constexpr NewerCapitals kNewerCapitals[] = {
    {0x1C89, 0x1C89, 1},      {0xA7CB, 0xA7CB, 0x264 - 0xA7CB},
    {0xA7CC, 0xA7CC, 1},      {0xA7CE, 0xA7CE, 1},
    {0xA7D2, 0xA7D2, 1},      {0xA7D4, 0xA7D4, 1},
    {0xA7DA, 0xA7DA, 1},      {0xA7DC, 0xA7DC, 0x19B - 0xA7DC},
    {0x10D50, 0x10D65, 0x20}, {0x16EA0, 0x16EB8, 0x1B},
};

bool is_one_of(char32_t c, std::initializer_list<char32_t> list) {
  return std::find(list.begin(), list.end(), c) != list.end();
}

bool is_chinese(char32_t c) {
  constexpr struct {
    char32_t first, last;
  } kBlocks[] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
                 {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
  return std::any_of(std::begin(kBlocks), std::end(kBlocks),
                     [c](const auto& block) { return c >= block.first && c <= block.last; });
}

bool is_ascii_symbol(char32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

/// The classes that follow general categories. Categories changed for a few code points since the
/// versions that the library's tables were made from.
PointClass category_classes(char32_t c) {
  const std::uint32_t category = U_GET_GC_MASK(static_cast<UChar32>(c));
  const bool eight = assigned_by(c, 8);
  PointClass bits = 0;
  if (eight && (category & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) != 0) bits |= kControl;
  if (c == 0x1734 ||
      (eight && (category & U_GC_MN_MASK) != 0 && !is_one_of(c, {0x1885, 0x1886, 0xA9BD, 0x111C9})))
    bits |= kNonspacing;
  if (is_one_of(c, {0x1CF2, 0x1CF3}) ||
      (assigned_by(c, 9) && (category & U_GC_M_MASK) != 0 && c != 0x111C9))
    bits |= kCombining;
  if (is_ascii_symbol(c) || is_one_of(c, {0x166D, 0x111C9}) ||
      (eight && (category & U_GC_P_MASK) != 0))
    bits |= kPunctuation;
  if ((category & U_GC_N_MASK) != 0) bits |= kNumeric | kNumber;
  if ((category & U_GC_L_MASK) != 0) bits |= kLetter;
  if ((category & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0 ||
      u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_ALPHABETIC) != 0 || c == 0x200C ||
      c == 0x200D)
    bits |= kWord;
  return bits;
}

PointClass normalization_classes(char32_t c) {
  const auto point = static_cast<UChar32>(c);
  const bool moves = u_getCombiningClass(point) != 0;
  const auto answers_yes = [&](UProperty form) {
    return u_getIntPropertyValue(point, form) == UNORM_YES;
  };
  PointClass bits = 0;
  if (moves || !answers_yes(UCHAR_NFD_QUICK_CHECK)) bits |= kNfdChanges;
  if (moves || !answers_yes(UCHAR_NFKD_QUICK_CHECK)) bits |= kNfkdChanges;
  if (moves || !answers_yes(UCHAR_NFC_QUICK_CHECK)) bits |= kNfcChanges;
  if (moves || !answers_yes(UCHAR_NFKC_QUICK_CHECK)) bits |= kNfkcChanges;
  return bits;
}

PointClass compute_classes(char32_t c) {
  PointClass bits = category_classes(c) | normalization_classes(c);
  if (u_isUWhiteSpace(static_cast<UChar32>(c)) != 0) bits |= kWhitespace;
  if (is_chinese(c)) bits |= kChinese;
  if (lower_of(c) != c || c == 0x130) bits |= kLowers;
  for (const Newer& newer : kNewer) {
    if (c >= newer.first && c <= newer.last) bits |= newer.classes;
  }
  return bits;
}

void must_succeed(UErrorCode status) {
  if (U_SUCCESS(status)) return;
  throw DataError(fmt::format("text: loading ICU's normalisation failed: {}", u_errorName(status)),
                  "ICU's data files may be missing: install libicu72");
}

const icu::Normalizer2& form_of(Decomposition kind) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* form = kind == Decomposition::kCanonical
                                     ? icu::Normalizer2::getNFDInstance(status)
                                     : icu::Normalizer2::getNFKDInstance(status);
  must_succeed(status);
  return *form;
}

// Hangul syllables compose by arithmetic. Source: the Unicode Standard, 3.12.
constexpr char32_t kSyllables = 0xAC00, kLeads = 0x1100, kVowels = 0x1161, kTails = 0x11A7;
constexpr char32_t kLeadCount = 19, kVowelCount = 21, kTailCount = 28;
constexpr char32_t kSyllableCount = kLeadCount * kVowelCount * kTailCount;

}  // namespace

const detail::ClassPage& detail::load_class_page(std::uint32_t page) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (const auto* loaded = class_pages[page].load(std::memory_order_acquire)) return *loaded;
  static std::vector<std::unique_ptr<const ClassPage>> owned;
  auto fresh = std::make_unique<ClassPage>();
  for (std::uint32_t i = 0; i < fresh->size(); ++i) (*fresh)[i] = compute_classes(page << 8U | i);
  class_pages[page].store(fresh.get(), std::memory_order_release);
  owned.push_back(std::move(fresh));
  return *owned.back();
}

std::string newer_points(PointClass classes) {
  std::string ranges;
  for (const Newer& newer : kNewer) {
    if ((newer.classes & classes) == 0) continue;
    ranges += fmt::format("\\U{:08x}-\\U{:08x}", static_cast<std::uint32_t>(newer.first),
                          static_cast<std::uint32_t>(newer.last));
  }
  return ranges;
}

char32_t lower_of(char32_t c) {
  if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
  for (const NewerCapitals& run : kNewerCapitals) {
    if (c >= run.first && c <= run.last)
      return static_cast<char32_t>(static_cast<std::int32_t>(c) + run.distance);
  }
  return static_cast<char32_t>(u_tolower(static_cast<UChar32>(c)));
}

void append_decomposition(char32_t c, Decomposition kind, std::vector<char32_t>& out) {
  if (c >= kSyllables && c < kSyllables + kSyllableCount) {
    const char32_t index = c - kSyllables;
    out.push_back(kLeads + index / (kVowelCount * kTailCount));
    out.push_back(kVowels + index % (kVowelCount * kTailCount) / kTailCount);
    if (index % kTailCount != 0) out.push_back(kTails + index % kTailCount);
    return;
  }
  icu::UnicodeString parts;
  if (c < 0x80 || !assigned_by(c, 9) ||
      form_of(kind).getDecomposition(static_cast<UChar32>(c), parts) == 0) {
    out.push_back(c);
    return;
  }
  for (std::int32_t i = 0; i < parts.length(); i = parts.moveIndex32(i, 1))
    out.push_back(static_cast<char32_t>(parts.char32At(i)));
}

std::uint8_t combining_class(char32_t c) {
  if (c < 0x300) return 0;
  const std::uint8_t value = u_getCombiningClass(static_cast<UChar32>(c));
  return value != 0 && assigned_by(c, 9) ? value : std::uint8_t{0};
}

char32_t composite_of(char32_t first, char32_t second) {
  if (first >= kLeads && first < kLeads + kLeadCount && second >= kVowels &&
      second < kVowels + kVowelCount)
    return kSyllables + ((first - kLeads) * kVowelCount + (second - kVowels)) * kTailCount;
  if (first >= kSyllables && first < kSyllables + kSyllableCount && second > kTails &&
      second < kTails + kTailCount && (first - kSyllables) % kTailCount == 0)
    return first + (second - kTails);
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* form = icu::Normalizer2::getNFCInstance(status);
  must_succeed(status);
  const UChar32 pair = form->composePair(static_cast<UChar32>(first), static_cast<UChar32>(second));
  return pair >= 0 && assigned_by(static_cast<char32_t>(pair), 9) ? static_cast<char32_t>(pair) : 0;
}

}  // namespace polyphony::text
