#include <polyphony/record/run_filter.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include <polyphony/base/error.h>

namespace polyphony::record {
namespace {

std::optional<double> as_number(const std::string& text) {
  if (text.empty() || std::isspace(static_cast<unsigned char>(text.front())) != 0) return {};
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (*end != '\0') return {};
  return value;
}

enum class Op { kHas, kEqual, kUnequal, kLess, kAtMost, kGreater, kAtLeast, kContains, kLacks };

/// Longest first: "<=" is not "<" and "=".
constexpr std::array<std::pair<std::string_view, Op>, 9> kOps = {{{"==", Op::kEqual},
                                                                  {"!=", Op::kUnequal},
                                                                  {"<=", Op::kAtMost},
                                                                  {">=", Op::kAtLeast},
                                                                  {"!~", Op::kLacks},
                                                                  {"=", Op::kEqual},
                                                                  {"<", Op::kLess},
                                                                  {">", Op::kGreater},
                                                                  {"~", Op::kContains}}};

bool is_negative(Op op) { return op == Op::kUnequal || op == Op::kLacks; }

template <typename T>
bool compares(const T& left, Op op, const T& right) {
  switch (op) {
    case Op::kEqual:
      return left == right;
    case Op::kUnequal:
      return left != right;
    case Op::kLess:
      return left < right;
    case Op::kAtMost:
      return left <= right;
    case Op::kGreater:
      return left > right;
    case Op::kAtLeast:
      return left >= right;
    default:
      return false;
  }
}

/// "nan = nan": who asks for NaN wants the runs that have it.
bool compares_numbers(double left, Op op, double right) {
  if (std::isnan(left) && std::isnan(right)) {
    return op == Op::kEqual || op == Op::kAtMost || op == Op::kAtLeast;
  }
  return compares(left, op, right);
}

bool holds(const FieldValue& field, Op op, const std::string& wanted) {
  const std::string text = field_text(field);
  if (op == Op::kContains) return text.find(wanted) != std::string::npos;
  if (op == Op::kLacks) return text.find(wanted) == std::string::npos;
  const auto* number = std::get_if<double>(&field);
  const auto left = number != nullptr ? std::optional(*number) : as_number(text);
  const auto right = as_number(wanted);
  if (left && right) return compares_numbers(*left, op, *right);
  return compares(text, op, wanted);
}

/// Any of the tags for "=", none for "!=".
bool tag_holds(const std::vector<std::string>& tags, Op op, const std::string& wanted) {
  if (op == Op::kHas) return !tags.empty();
  const auto one = [&](const std::string& tag) { return holds(tag, op, wanted); };
  return is_negative(op) ? std::all_of(tags.begin(), tags.end(), one)
                         : std::any_of(tags.begin(), tags.end(), one);
}

}  // namespace

/// A node of the expression.
struct RunFilter::Term {
  enum class Kind { kCompare, kNot, kAll, kAny };
  Kind kind = Kind::kAll;
  std::string field, value;
  Op op = Op::kHas;
  std::vector<Term> terms;

  bool matches(const RunIndex& index, const IndexedRun& run) const {
    const auto one = [&](const Term& term) { return term.matches(index, run); };
    switch (kind) {
      case Kind::kNot:
        return !one(terms.front());
      case Kind::kAll:
        return std::all_of(terms.begin(), terms.end(), one);
      case Kind::kAny:
        return std::any_of(terms.begin(), terms.end(), one);
      case Kind::kCompare:
        break;
    }
    if (field == "tag") return tag_holds(run.run.tags, op, value);
    const auto found = index.field(run, field);
    if (!found) return is_negative(op);
    return op == Op::kHas || holds(*found, op, value);
  }

  template <typename Visit>
  void visit_fields(const Visit& visit) const {
    if (kind == Kind::kCompare) visit(field);
    for (const Term& term : terms) term.visit_fields(visit);
  }
};

namespace {

using Term = RunFilter::Term;

/// Recursive descent over the text of a filter.
class FilterParser {
 public:
  explicit FilterParser(std::string_view text) : text_(text) {}

  Term parse() {
    skip_space();
    if (at_end()) return {};
    Term term = any();
    if (!at_end()) fail("expected `and`, `or` or the end");
    return term;
  }

 private:
  Term any() {
    Term term{Term::Kind::kAny, {}, {}, Op::kHas, {}};
    do {
      term.terms.push_back(all());
    } while (take_word("or"));
    return term;
  }
  Term all() {
    Term term{Term::Kind::kAll, {}, {}, Op::kHas, {}};
    do {
      term.terms.push_back(one());
    } while (take_word("and") || take(","));
    return term;
  }
  Term one() {
    if (++depth_ > kMaxDepth) fail("nested too deeply");
    Term term;
    if (take_word("not")) {
      term.kind = Term::Kind::kNot;
      term.terms.push_back(one());
    } else if (take("(")) {
      term = any();
      if (!take(")")) fail("expected `)`");
    } else {
      term = comparison();
    }
    --depth_;
    return term;
  }
  Term comparison() {
    Term term;
    term.kind = Term::Kind::kCompare;
    term.field = word("a field: a metric, a configuration key or state, tag, name...");
    for (const auto& [sign, op] : kOps) {
      if (!take(sign)) continue;
      term.op = op;
      term.value = word("a value");
      break;
    }
    return term;
  }

  std::string word(const char* what) {
    if (!at_end() && (text_[at_] == '"' || text_[at_] == '\'')) return quoted();
    const std::size_t begin = at_;
    while (!at_end() &&
           std::string_view(" \t\n(),=<>!~\"'").find(text_[at_]) == std::string::npos) {
      ++at_;
    }
    if (at_ == begin) fail(fmt::format("expected {}", what));
    std::string found(text_.substr(begin, at_ - begin));
    skip_space();
    return found;
  }
  std::string quoted() {
    const char quote = text_[at_];
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("this quote is never closed");
    std::string found(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    skip_space();
    return found;
  }
  bool take(std::string_view sign) {
    if (text_.substr(at_, sign.size()) != sign) return false;
    at_ += sign.size();
    skip_space();
    return true;
  }
  bool take_word(std::string_view wanted) {
    const std::size_t end = at_ + wanted.size();
    if (text_.substr(at_, wanted.size()) != wanted) return false;
    if (end < text_.size() && text_[end] != '(' && text_[end] != ' ' && text_[end] != '\t') {
      return false;
    }
    at_ = end;
    skip_space();
    return true;
  }
  bool at_end() const { return at_ >= text_.size(); }
  void skip_space() {
    while (!at_end() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  [[noreturn]] void fail(const std::string& why) const {
    throw UsageError(fmt::format("filter `{}`: column {}: {}", text_, at_ + 1, why),
                     "write FIELD OP VALUE, OP one of = != < <= > >= ~ !~, joined by `and`, `or`, "
                     "`not` and parentheses; names with other signs in quotes: "
                     "test_acc > 0.7 and state = finished");
  }

  static constexpr int kMaxDepth = 100;
  std::string_view text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

RunFilter::RunFilter(std::string_view text)
    : root_(std::make_unique<Term>(FilterParser(text).parse())) {}
RunFilter::~RunFilter() = default;
RunFilter::RunFilter(RunFilter&&) noexcept = default;

bool RunFilter::matches(const RunIndex& index, const IndexedRun& run) const {
  return root_->matches(index, run);
}

void RunFilter::check_fields(const RunIndex& index) const {
  root_->visit_fields([&index](const std::string& field) { index.check_field(field); });
}

RunOrder parse_order(const std::string& text) {
  RunOrder order{text, false};
  for (const bool descending : {true, false}) {
    const std::string_view ending = descending ? ":desc" : ":asc";
    if (!text.ends_with(ending)) continue;
    order = {text.substr(0, text.size() - ending.size()), descending};
  }
  if (order.field.empty()) {
    throw UsageError(fmt::format("`{}`: an order without a field", text),
                     "write a metric, a configuration key or a field, e.g. test_acc:desc");
  }
  return order;
}

namespace {

struct Ranked {
  const IndexedRun* run;
  int rank = 2;  ///< 0: a number, 1: a text, 2: no such field or NaN
  double number = 0;
  std::string text;
};

Ranked ranked(const RunIndex& index, const IndexedRun& run, const std::string& field) {
  Ranked entry{&run, 2, 0, {}};
  const auto value = index.field(run, field);
  if (!value) return entry;
  const std::string text = field_text(*value);
  const auto* exact = std::get_if<double>(&*value);
  const auto number = exact != nullptr ? std::optional(*exact) : as_number(text);
  if (number && !std::isnan(*number)) return {&run, 0, *number, {}};
  return number ? entry : Ranked{&run, 1, 0, text};
}

}  // namespace

std::vector<const IndexedRun*> select_runs(const RunIndex& index, const RunFilter& filter,
                                           const RunOrder& order) {
  std::vector<Ranked> chosen;
  for (const auto& [id, run] : index.runs()) {
    if (filter.matches(index, run)) chosen.push_back(ranked(index, run, order.field));
  }
  std::stable_sort(chosen.begin(), chosen.end(), [&order](const Ranked& a, const Ranked& b) {
    if (a.rank != b.rank) return a.rank < b.rank;
    const Ranked& low = order.descending ? b : a;
    const Ranked& high = order.descending ? a : b;
    return a.rank == 0 ? low.number < high.number : low.text < high.text;
  });
  std::vector<const IndexedRun*> runs;
  for (const Ranked& entry : chosen) runs.push_back(entry.run);
  return runs;
}

}  // namespace polyphony::record
