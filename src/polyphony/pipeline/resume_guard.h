#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <polyphony/config/bind/fields.h>
#include <polyphony/data/dataset.h>
#include <polyphony/dist/collective.h>
#include <polyphony/pipeline/entry.h>
#include <polyphony/pipeline/resume_rules.h>
#include <polyphony/train/callback.h>

namespace polyphony::pipeline {

/// What a run that goes on from a checkpoint may change.
struct ResumeOptions {
  std::vector<std::string> allow;

  void describe(config::Fields& f);
};

/// Keeps in every checkpoint what the run is trained with (options, classes in order, digests of
/// the data, LibTorch), and compares it where a run goes on from one: what changes how long, where
/// or how it is watched is told in a line; what changes what is learnt is refused, unless
/// `resume.allow` names it; other classes or another order of them, and another shape of the model,
/// are always refused.
class ResumeGuard : public train::Callback {
 public:
  /// @param config  resolved  @param docs  the options that the verb reads; other keys at the root
  /// are variables, of which only what they change is compared
  ResumeGuard(const Request& request, const config::Node& config,
              std::vector<config::FieldDoc> docs, ResumeOptions options);

  /// What the fit is trained and validated with. Every process calls it. @param dataset  the
  /// section of the configuration that they are built from
  void observe(const data::Dataset& train, const data::Dataset& val, const config::Node& dataset,
               dist::Collective& collective);

  /// Refuses changed options as on_load_checkpoint does, before anything is begun; what needs data
  /// and model is left to that. @throws ConfigError
  void check_options(const tensor::Value& checkpoint) const;

  /// What is done in process 0 once a checkpoint is accepted.
  void when_accepted(std::function<void()> then) { then_ = std::move(then); }

  std::string name() const override { return "ResumeGuard"; }
  void on_save_checkpoint(train::Trainer& trainer, tensor::Value& checkpoint) override;
  void on_load_checkpoint(train::Trainer& trainer, const tensor::Value& checkpoint) override;

 private:
  struct Facts {
    Leaves config;
    std::vector<std::string> classes;
    Leaves data;  ///< digests, by what they are of
    std::string torch;
    std::string directory;  ///< the run's
  };
  static tensor::Value value_of(const Facts& facts);
  static Facts facts_of(const tensor::Value& value);

  bool allows(const std::string& key) const;
  void check_allowed_names(const Leaves& more) const;
  void refuse_other_classes(const Facts& before) const;
  void refuse_other_shapes(train::Trainer& trainer, const tensor::Value& checkpoint,
                           const std::vector<Change>& changes) const;
  static void take(train::Trainer& trainer, const std::string& key);

  Facts facts_;
  std::function<void()> accepted_;
  std::function<void()> then_;
  std::vector<config::FieldDoc> docs_;
  ResumeOptions options_;
  std::set<std::string> keys_;                         ///< everything that may be named
  std::map<std::string, std::set<std::string>> from_;  ///< variables that an option is made of
};

/// Digests of the rows (as their table says) and of the files that they name: of each file its size
/// and samples of its content. Empty where a split has no row. Key "rows" and "files".
/// @param folders  that relative paths in the table may start from
Leaves data_digests(const data::Dataset& rows, const std::vector<std::filesystem::path>& folders);

}  // namespace polyphony::pipeline
