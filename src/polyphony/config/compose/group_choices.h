#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <polyphony/config/compose/default_entry.h>
#include <polyphony/config/compose/override.h>

namespace polyphony::config {

/// What the command line and `override` entries choose for the groups of a defaults list, and what
/// was found for each group.
class GroupChoices {
 public:
  /// @throws ComposeError for an override that no group can take
  GroupChoices(const std::vector<Override>& groups, bool legacy);

  /// Entries to append to the primary configuration's list.
  const std::vector<DefaultEntry>& appended() const { return appended_; }
  /// Notes an `override` entry; an earlier one of the same key stays.
  void add(const DefaultEntry& entry, const std::string& config_path);
  /// Puts the chosen option into the entry, where there is one.
  void choose(DefaultEntry& entry);
  /// True where the command line deletes the entry; notes that it did.
  bool take_deletion(const DefaultEntry& entry);
  /// Notes a group's option. @throws ComposeError where the group has another one already
  void record(const DefaultEntry& entry);
  /// @throws ComposeError for an override or deletion that met no entry
  void check_all_used() const;
  /// True where the command line chose this entry's option.
  bool is_external(const DefaultEntry& entry) const;

  const std::vector<std::pair<std::string, std::optional<std::string>>>& known() const {
    return known_;
  }

 private:
  struct Choice {
    Node value;
    Mark mark;
    std::string config_path;  ///< file of the `override` entry; "" for the command line
    bool used = false;
  };
  struct Deletion {
    std::optional<std::string> option;
    Mark mark;
    bool used = false;
  };

  [[noreturn]] void unmatched(const std::string& key, const Choice& choice) const;
  std::string known_groups() const;

  bool legacy_;
  std::map<std::string, Choice> choices_;
  std::vector<std::string> order_;  // of choices_
  std::vector<std::pair<std::string, Deletion>> deletions_;
  std::vector<DefaultEntry> appended_;
  std::vector<std::pair<std::string, std::optional<std::string>>> known_;
  std::map<std::string, std::size_t> known_at_;
  std::map<std::string, std::set<std::string>> keys_of_group_;
};

}  // namespace polyphony::config
