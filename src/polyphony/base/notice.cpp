#include <polyphony/base/notice.h>

#include <cstdio>

namespace polyphony {
namespace {

/// Never destroyed: a thread that outlives main() may still have something to tell.
NoticeSink& current() {
  static NoticeSink& sink = *new NoticeSink(print_notice);
  return sink;
}

}  // namespace

void print_notice(Notice kind, std::string_view text) {
  fmt::print(kind == Notice::kInfo ? stdout : stderr, "{}{}",
             kind == Notice::kWarning ? "warning: " : "", text);
}

NoticeSink set_notice_sink(NoticeSink sink) { return std::exchange(current(), std::move(sink)); }

void notify(Notice kind, std::string_view text) { current()(kind, text); }

}  // namespace polyphony
