#pragma once

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/base/notice.h>

/// Keeps what is told while it lives, without the last line end, instead of printing it.
class Notices {
 public:
  Notices()
      : former_(polyphony::set_notice_sink([this](polyphony::Notice kind, std::string_view text) {
          const std::lock_guard lock(mutex_);
          told_.emplace_back(kind, text.substr(0, text.find_last_not_of('\n') + 1));
        })) {}
  ~Notices() { polyphony::set_notice_sink(former_); }
  Notices(const Notices&) = delete;
  Notices& operator=(const Notices&) = delete;

  std::vector<std::string> of(polyphony::Notice kind) const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> texts;
    for (const auto& [each, text] : told_) {
      if (each == kind) texts.push_back(text);
    }
    return texts;
  }
  std::vector<std::string> warnings() const { return of(polyphony::Notice::kWarning); }

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<polyphony::Notice, std::string>> told_;
  polyphony::NoticeSink former_;
};
